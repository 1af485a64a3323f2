"""Training steps: forward, backward and the optimizer's update, from the same weights in every framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.frameworks import Framework, integers, normal
from benchmarks.workloads.gpt import GPTSizes, gpt
from benchmarks.workloads.resnet import ResNetSizes, resnet
from benchmarks.workloads.workload import Precision, Run


def resnet_step(sizes: ResNetSizes, batch: int, size: int) -> Callable[[Framework, Precision], Run]:
    """Images (batch, 3, size, size), cross-entropy, SGD with momentum."""

    def build(framework: Framework, precision: Precision) -> Run:
        model = framework.model(lambda torch: resnet(torch, sizes))
        optimizer = framework.optimizer("SGD", model.parameters(), lr=0.01, momentum=0.9)
        images = framework.tensor(normal((batch, 3, size, size), "images"))
        labels = framework.tensor(integers(sizes.classes, (batch,), "labels"))
        return training(framework, precision, model, optimizer, images, labels)

    return build


def gpt_step(sizes: GPTSizes, batch: int) -> Callable[[Framework, Precision], Run]:
    """Tokens (batch, context), cross-entropy of the next one, AdamW."""

    def build(framework: Framework, precision: Precision) -> Run:
        model = framework.model(lambda torch: gpt(torch, sizes))
        optimizer = framework.optimizer("AdamW", model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)
        tokens = integers(sizes.vocabulary, (batch, sizes.context + 1), "tokens")
        inputs = framework.tensor(tokens[:, :-1].copy())
        targets = framework.tensor(tokens[:, 1:].reshape(-1))
        return training(framework, precision, model, optimizer, inputs, targets)

    return build


def mlp_step(widths: Sequence[int], batch: int) -> Callable[[Framework, Precision], Run]:
    """A perceptron with ReLU between its layers, cross-entropy, Adam."""

    def make(torch: Any) -> Any:
        layers: list[Any] = []
        for inputs, outputs in pairwise(widths):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    def build(framework: Framework, precision: Precision) -> Run:
        model = framework.model(make)
        optimizer = framework.optimizer("Adam", model.parameters(), lr=1e-3)
        inputs = framework.tensor(normal((batch, widths[0]), "inputs"))
        labels = framework.tensor(integers(widths[-1], (batch,), "labels"))
        return training(framework, precision, model, optimizer, inputs, labels, launch_bound=True)

    return build


def training(
    framework: Framework, precision: Precision, model: Any, optimizer: Any, inputs: Any, targets: Any,
    launch_bound: bool = False,
) -> Run:  # fmt: skip
    """A run whose step is a whole training step; it returns the loss, and leaves gradients behind."""
    F = framework.module.nn.functional

    def loss_of(inputs: Any, targets: Any) -> Any:
        logits = model(inputs)
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)

    compiled = framework.compiled(loss_of, launch_bound)

    def step() -> Sequence[Any]:
        optimizer.zero_grad()
        with framework.within(precision):
            loss = compiled(inputs, targets)
        loss.backward()
        optimizer.step()
        return (loss.detach(),)

    def left_behind() -> Mapping[str, Any]:
        named = list(model.named_parameters())
        chosen = dict([named[0], named[len(named) // 2], named[-1]])
        return {f"gradient of {name}": parameter.grad for name, parameter in chosen.items()}

    return Run(step, left_behind)


def sgd_step(sizes: ResNetSizes) -> Callable[[Framework, Precision], Run]:
    """The update of ResNet's parameters alone, with momentum, along gradients that stay as they are."""

    def build(framework: Framework, precision: Precision) -> Run:
        model = framework.model(lambda torch: resnet(torch, sizes))
        for name, parameter in model.named_parameters():
            parameter.grad = framework.tensor(normal(tuple(parameter.shape), f"gradient of {name}"))
        update = framework.update("SGD", model.parameters(), lr=1e-4, momentum=0.9)

        def step() -> Sequence[Any]:
            update()
            return [parameter.detach() for parameter in model.parameters()]

        return Run(step)

    return build
