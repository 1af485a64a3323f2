"""Whole programs: training steps from the same weights in every framework, inference, an optimizer's update alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.frameworks import Array, Framework, Precision, Run, integers, normal
from benchmarks.frameworks.framework import InTurn, Optimizer
from benchmarks.workloads.gpt import GPTSizes, gpt
from benchmarks.workloads.resnet import ResNetSizes, resnet
from benchmarks.workloads.workload import Build

RESNET_SGD = Optimizer("SGD", {"lr": 0.01, "momentum": 0.9})
# A smaller step for the update alone, whose gradients stay as they are: parameters shall not run away.
UPDATE_SGD = Optimizer("SGD", {"lr": 1e-4, "momentum": 0.9, "weight_decay": 1e-4})
GPT_ADAMW = Optimizer("AdamW", {"lr": 3e-4, "betas": (0.9, 0.95), "weight_decay": 0.1})
MLP_ADAM = Optimizer("Adam", {"lr": 1e-3})
Make = Callable[[Any], Any]
# Steps take turns with so many batches.
BATCHES = 2


class Training:
    """A workload that trains: a model, an optimizer and a batch.

    ``bare`` makes a step from the framework's own initial weights, without copies of anything in NumPy: for what a
    process needs in memory, and how long it takes to its first step.
    """

    def __init__(
        self, make: Make, optimizer: Optimizer, batch: Callable[[int], tuple[Array, Array]], launch_bound: bool = False
    ) -> None:
        self.make = make
        self.optimizer = optimizer
        self.batch = batch
        self.launch_bound = launch_bound

    def __call__(self, framework: Framework, precision: Precision) -> Run:
        return self._run(framework, framework.model(self.make), precision)

    def bare(self, framework: Framework) -> Run:
        model = framework.bare_model(self.make)
        framework.settle(model)
        return self._run(framework, model, "highest")

    def _run(self, framework: Framework, model: Any, precision: Precision) -> Run:
        batches = InTurn([list(map(framework.tensor, self.batch(number))) for number in range(BATCHES)])
        return framework.training(model, self.optimizer, precision, batches, self.launch_bound)


def resnet_step(sizes: ResNetSizes, batch: int, size: int) -> Training:
    """Images (batch, 3, size, size), cross-entropy, SGD with momentum."""
    return Training(
        lambda torch: resnet(torch, sizes),
        RESNET_SGD,
        lambda number: (
            normal((batch, 3, size, size), f"images {number}"),
            integers(sizes.classes, (batch,), f"labels {number}"),
        ),
    )


def gpt_step(sizes: GPTSizes, batch: int) -> Training:
    """Tokens (batch, context), cross-entropy of the next one, AdamW."""

    def tokens(number: int) -> tuple[Array, Array]:
        drawn = integers(sizes.vocabulary, (batch, sizes.context + 1), f"tokens {number}")
        return drawn[:, :-1].copy(), drawn[:, 1:].reshape(-1)

    return Training(lambda torch: gpt(torch, sizes), GPT_ADAMW, tokens)


def mlp_step(widths: Sequence[int], batch: int) -> Training:
    """A perceptron with ReLU between its layers, cross-entropy, Adam."""

    def make(torch: Any) -> Any:
        layers: list[Any] = []
        for inputs, outputs in pairwise(widths):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    def batch_of(number: int) -> tuple[Array, Array]:
        return normal((batch, widths[0]), f"inputs {number}"), integers(widths[-1], (batch,), f"labels {number}")

    return Training(make, MLP_ADAM, batch_of, launch_bound=True)


def resnet_inference(sizes: ResNetSizes, batch: int, size: int) -> Build:
    """Logits of images (batch, 3, size, size) in evaluation mode."""

    def build(framework: Framework, precision: Precision) -> Run:
        model = framework.model(lambda torch: resnet(torch, sizes))
        shape = (batch, 3, size, size)
        images = [[framework.tensor(normal(shape, f"images {number}"))] for number in range(BATCHES)]
        return Run(framework.inference(model, InTurn(images)))

    return build


def gpt_decoding(sizes: GPTSizes, batch: int) -> Build:
    """The next token's logits (batch, 1, vocabulary) from one token and the keys and values of those before.

    All of the context but the last token lies before it: the longest step of decoding. Also computed are the token's
    own key and value in each layer, for the next step.
    """

    def build(framework: Framework, precision: Precision) -> Run:
        model = framework.model(lambda torch: gpt(torch, sizes))
        past_shape = (batch, sizes.heads, sizes.context - 1, sizes.width // sizes.heads)

        def inputs(number: int) -> list[Any]:
            past = [
                framework.tensor(normal(past_shape, f"{what} {layer} {number}"))
                for layer in range(sizes.layers)
                for what in ("key", "value")
            ]
            return [framework.tensor(integers(sizes.vocabulary, (batch, 1), f"token {number}")), *past]

        return Run(framework.inference(model, InTurn([inputs(number) for number in range(BATCHES)])))

    return build


def sgd_update(sizes: ResNetSizes) -> Build:
    """The update of ResNet's parameters alone, with momentum, along gradients that stay as they are."""

    def build(framework: Framework, precision: Precision) -> Run:
        model = framework.model(lambda torch: resnet(torch, sizes))
        gradients = {
            name: normal(tuple(parameter.shape), f"gradient of {name}") for name, parameter in model.named_parameters()
        }
        return Run(framework.update(model, gradients, UPDATE_SGD))

    return build
