"""lazygrad on one of its devices, in a plain loop or through ``lazygrad.compile``."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

from benchmarks.frameworks.data import Array
from benchmarks.frameworks.framework import Optimizer, TorchLike


class Lazygrad(TorchLike):
    """The device becomes the default device."""

    def __init__(self, device: str, compile: bool = False) -> None:
        import lazygrad
        from lazygrad import runtime

        self.module = lazygrad
        self.compile = compile
        # Any: what is more than a ``Device`` is asked for where it is known to be there.
        self.device: Any = runtime.device(runtime.canonical_device(device))
        lazygrad.set_default_device(self.device.name)

    @property
    def is_compiling(self) -> bool:
        """Whether it launches kernels; the reference evaluates node by node."""
        from lazygrad import runtime

        return isinstance(self.device, runtime.CompilingDevice)

    def tensor(self, array: Array, dtype: str = "", requires_grad: bool = False) -> Any:
        made = self.module.from_numpy(array)
        if dtype:
            made = made.to(getattr(self.module, dtype))
        self.module.realize(made)
        return made.detach().requires_grad_() if requires_grad else made

    def numpy(self, tensor: Any) -> Array:
        found = tensor.detach()
        array: Array = found.float().numpy() if found.is_floating_point() else found.numpy()
        return array

    def realize(self, *tensors: Any) -> None:
        self.module.realize(*tensors)

    def settle(self, model: Any) -> None:
        self.realize(*model.parameters())

    def synchronize(self) -> None:
        self.device.synchronize()

    def whole_step(self, step: Callable[..., Any]) -> Callable[..., Any]:
        return self._captured(step)

    def forward(self, function: Callable[..., Any], inputs: Iterable[Any]) -> Callable[[], Any]:
        return super().forward(self._captured(function), inputs)

    def gradients(self, function: Callable[..., Any], inputs: Any, cotangent: Any) -> Callable[[], Any]:
        def whole(cotangent: Any, *inputs: Any) -> Any:
            result = function(*inputs)
            return (result.detach(), *self.module.autograd.grad(result, inputs, cotangent))

        run = self._captured(whole)
        return lambda: run(cotangent, *inputs)

    def convolution_gradient(
        self, which: int, image: Any, weight: Any, cotangent: Any, stride: int, padding: int
    ) -> Callable[[], Any]:
        def gradient(cotangent: Any, *inputs: Any) -> Any:
            result = self.module.nn.functional.conv2d(*inputs, stride=stride, padding=padding)
            return self.module.autograd.grad(result, [inputs[which]], cotangent)

        run = self._captured(gradient)
        inputs = (image.detach().requires_grad_(which == 0), weight.detach().requires_grad_(which == 1))
        return lambda: run(cotangent, *inputs)

    def optimizer(self, parameters: Iterable[Any], optimizer: Optimizer) -> Any:
        return getattr(self.module.optim, optimizer.kind)(parameters, **optimizer.options)

    def optimizer_step(self, optimizer: Any) -> Callable[[], Any]:
        return self._captured(lambda: optimizer.step())

    def _captured(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.module.compile(function) if self.compile else function

    def autocast(self) -> AbstractContextManager[Any]:
        kind = "cpu" if self.device.is_processor else self.device.name.partition(":")[0]
        region: AbstractContextManager[Any] = self.module.autocast(kind, dtype=self.module.bfloat16)
        return region

    def counters(self) -> dict[str, int]:
        from lazygrad.runtime import statistics

        return asdict(statistics.sums())

    def release(self) -> None:
        gc.collect()
        self.device.synchronize()
        if self.is_compiling:
            self.device.pool.empty_cache()
