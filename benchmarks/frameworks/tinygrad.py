"""tinygrad: steps captured by ``TinyJit``, on one of its devices."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy
from tinygrad import Context, Device, Tensor, TinyJit, dtypes, nn

from benchmarks.frameworks.data import Array, weights
from benchmarks.frameworks.face import EPSILON, face
from benchmarks.frameworks.framework import Framework, Optimizer, Precision, Run, compared


def _normalize(x: Any, mean: Any, var: Any, weight: Any, bias: Any) -> Any:
    return x.batchnorm(weight, bias, mean, (var + EPSILON).rsqrt())


def _moments(x: Any) -> Any:
    mean = x.mean((0, 2, 3))
    centred = x - mean.reshape(1, -1, 1, 1)
    return mean, (centred * centred).mean((0, 2, 3))


def _functions() -> SimpleNamespace:
    return SimpleNamespace(
        relu=Tensor.relu,
        tanh=Tensor.tanh,
        sigmoid=Tensor.sigmoid,
        exp=Tensor.exp,
        softmax=Tensor.softmax,
        cat=lambda tensors, dim: Tensor.cat(*tensors, dim=dim),
        arange=lambda *bounds, device: Tensor.arange(*bounds),
        keep=lambda variable, value: variable.value.assign(value.detach()),
        conv2d=lambda x, w, stride=1, padding=0: x.conv2d(w, stride=stride, padding=padding),
        max_pool2d=lambda x, kernel, stride, padding: x.max_pool2d((kernel, kernel), stride, padding=padding),
        linear=lambda x, w, b: x.linear(w.transpose(), b),
        embedding=lambda indices, table: table[indices],
        layer_norm=lambda x, shape, weight, bias: x.layernorm(eps=EPSILON) * weight + bias,
        normalize=_normalize,
        moments=_moments,
        gelu=lambda x, approximate: x.gelu() if approximate == "tanh" else x * 0.5 * (1 + (x / 2**0.5).erf()),
        scaled_dot_product_attention=lambda q, k, v, is_causal=False: q.scaled_dot_product_attention(
            k, v, is_causal=is_causal
        ),
        cross_entropy=lambda logits, labels: logits.sparse_categorical_crossentropy(labels),
    )


class Tinygrad(Framework):
    """``device`` by tinygrad's name; DEV in the environment names it, too, for tensors that have no inputs."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.module = face(_functions(), self.tensor)

    def tensor(self, array: Array, dtype: str = "", requires_grad: bool = False) -> Any:
        found = Tensor(numpy.ascontiguousarray(array), device=self.device)
        if dtype:
            found = found.cast(getattr(dtypes, dtype))
        return found.clone().realize()

    def numpy(self, tensor: Any) -> Array:
        array: Array = tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
        return array

    def realize(self, *tensors: Any) -> None:
        Tensor.realize(*tensors)

    def synchronize(self) -> None:
        Device[self.device].synchronize()

    def release(self) -> None:
        gc.collect()

    def forward(self, function: Callable[..., Any], inputs: Iterable[Any]) -> Callable[[], Sequence[Any]]:
        def run(*inputs: Any) -> Sequence[Any]:
            result = function(*inputs)
            found = result if isinstance(result, tuple) else (result,)
            return [tensor.realize() for tensor in found]

        return self._captured(run, inputs)

    def gradients(
        self, function: Callable[..., Any], inputs: Sequence[Any], cotangent: Any
    ) -> Callable[[], Sequence[Any]]:
        def run(cotangent: Any, *inputs: Any) -> Sequence[Any]:
            result = function(*inputs)
            return _realized(result, *result.gradient(*inputs, gradient=cotangent))

        return self._captured(run, (cotangent, *inputs))

    def convolution_gradient(
        self, which: int, image: Any, weight: Any, cotangent: Any, stride: int, padding: int
    ) -> Callable[[], Sequence[Any]]:
        def run(cotangent: Any, *inputs: Any) -> Sequence[Any]:
            result = self.module.conv2d(*inputs, stride=stride, padding=padding)
            return _realized(*result.gradient(inputs[which], gradient=cotangent))

        return self._captured(run, (cotangent, image, weight))

    def training(
        self, model: Any, optimizer: Optimizer, precision: Precision, batch: Iterable[Any], launch_bound: bool
    ) -> Run:
        updating = self._optimizer([v.value for v in model.parameters()], optimizer)
        named = dict(model.named_parameters())
        looked_at = [(name, named[name].value) for name in compared(list(named))]
        statistics = [v.value for v in model.statistics()]

        def run(inputs: Any, targets: Any) -> Sequence[Any]:
            updating.zero_grad()
            logits = model(inputs)
            loss = self.module.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)
            loss.backward()
            # Gradients are computed here if at all: later they would be of the new parameters.
            gradients = [parameter.grad for _, parameter in looked_at]
            return _realized(loss, *gradients, *updating.schedule_step(), *statistics)[: 1 + len(gradients)]

        step = self._captured(run, batch)
        now: dict[str, Any] = {}

        def keeping() -> Sequence[Any]:
            with Context(TRAINING=1):
                loss, *now["gradients"] = step()
            return (loss,)

        def left_behind() -> Mapping[str, Any]:
            return {f"gradient of {n}": g for (n, _), g in zip(looked_at, now["gradients"], strict=True)}

        return Run(keeping, left_behind)

    def update(self, model: Any, gradients: Mapping[str, Array], optimizer: Optimizer) -> Callable[[], Sequence[Any]]:
        parameters = [variable.value for variable in model.parameters()]
        updating = self._optimizer(parameters, optimizer)
        for name, variable in model.named_parameters():
            variable.value.grad = self.tensor(gradients[name])

        def run() -> Sequence[Any]:
            return _realized(*updating.schedule_step())

        captured = self._captured(run, ())

        def step() -> Sequence[Any]:
            with Context(TRAINING=1):
                captured()
            return parameters

        return step

    def _optimizer(self, parameters: Sequence[Any], optimizer: Optimizer) -> Any:
        options = dict(optimizer.options)
        if "betas" in options:
            options["b1"], options["b2"] = options.pop("betas")
        return getattr(nn.optim, optimizer.kind)(parameters, **options)

    def _captured(self, run: Callable[..., Sequence[Any]], inputs: Iterable[Any]) -> Callable[[], Sequence[Any]]:
        captured = TinyJit(run)
        return lambda: captured(*inputs)

    def fill(self, model: Any) -> None:
        for name, variable in model.named_parameters():
            variable.value.assign(self.tensor(weights(name, variable.shape))).realize()

    def bare_model(self, make: Callable[[Any], Any]) -> Any:
        made = make(self.module)
        for variable in made.parameters():
            if len(variable.shape) > 1:
                variable.value.assign(Tensor.kaiming_normal(*variable.shape, device=self.device)).realize()
        return made

    def set_precision(self, precision: Precision) -> None:
        if precision == "bfloat16":
            raise NotImplementedError("tinygrad has no region of mixed precision")


def _realized(*tensors: Any) -> Sequence[Any]:
    Tensor.realize(*tensors)
    return tensors
