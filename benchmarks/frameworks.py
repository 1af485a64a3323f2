"""lazygrad and torch behind one face: tensors of NumPy arrays, models, optimizers, waiting, reading back.

A workload is written against this and torch's names, so that both compute the same from the same numbers.
"""

from __future__ import annotations

import gc
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import lru_cache
from math import prod, sqrt
from typing import Any

import numpy

Array = numpy.ndarray[Any, Any]
# CUDA's functions that launch kernels: cudaLaunchKernel, cuLaunchKernelEx, cudaGraphLaunch and their like.
LAUNCH = re.compile(r"^cu\w*(LaunchKernel|GraphLaunch)")


class Framework(ABC):
    """``module`` is lazygrad or torch. New tensors and models are made on the device that it was opened for."""

    label: str
    module: Any

    @abstractmethod
    def tensor(self, array: Array, dtype: str = "", requires_grad: bool = False) -> Any:
        """A computed leaf; ``dtype`` by torch's name, unless it is the array's."""

    @abstractmethod
    def numpy(self, tensor: Any) -> Array:
        """The elements, floats as float32."""

    @abstractmethod
    def realize(self, *tensors: Any) -> None:
        """Submits whatever the tensors still need."""

    @abstractmethod
    def synchronize(self) -> None:
        """Waits for the device."""

    @abstractmethod
    def optimizer(self, kind: str, parameters: Iterable[Any], **options: Any) -> Any:
        """The framework's fastest optimizer of a kind ("SGD", "Adam", "AdamW")."""

    @abstractmethod
    def autocast(self) -> AbstractContextManager[Any]:
        """A region of automatic mixed precision in bfloat16."""

    @abstractmethod
    def release(self) -> None:
        """Gives the memory of dropped tensors back to the device."""

    def counters(self) -> dict[str, int]:
        """What the framework's runtime did so far, if it counts."""
        return {}

    def launches(self, step: Callable[[], object]) -> int | None:
        """How often kernels or graphs of kernels are launched when ``step`` runs; None where nobody can tell.

        Slows down whatever the process launches later.
        """
        return None

    def within(self, precision: str) -> AbstractContextManager[Any]:
        """The region that a forward pass of a precision is in."""
        return self.autocast() if precision == "bfloat16" else nullcontext()

    def compiled(self, function: Callable[..., Any], launch_bound: bool = False) -> Callable[..., Any]:
        """The function as it is run; only torch.compile changes anything."""
        return function

    def update(self, kind: str, parameters: Iterable[Any], **options: Any) -> Callable[[], object]:
        """An optimizer's step as a workload of its own."""
        return self.optimizer(kind, parameters, **options).step

    def set_precision(self, precision: str) -> None:
        """How float32 products are computed from now on: "high" in TensorFloat32, all others in float32."""
        self.module.set_float32_matmul_precision("high" if precision == "high" else "highest")

    def model(self, make: Callable[[Any], Any]) -> Any:
        """A model on the device, with weights that are the same in every framework."""
        made = make(self.module)
        self.fill(made)
        return made

    def fill(self, model: Any) -> None:
        """Kaiming's normal weights, biases of zero and norms of one, by the parameters' names."""
        with self.module.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self.tensor(weights(name, tuple(parameter.shape))))
        self.realize(*model.parameters())


@lru_cache(maxsize=1024)
def weights(name: str, shape: tuple[int, ...]) -> Array:
    """The initial values of a parameter."""
    if len(shape) < 2:
        return numpy.full(shape, float(name.endswith("weight")), numpy.float32)
    return normal(shape, name) * numpy.float32(sqrt(2 / prod(shape[1:])))


@lru_cache(maxsize=8)
def normal(shape: tuple[int, ...], name: str) -> Array:
    """Standard normal numbers, the same whenever they are asked for under a name."""
    return numpy.random.default_rng([*name.encode()]).standard_normal(shape, numpy.float32)


def integers(below: int, shape: tuple[int, ...], name: str) -> Array:
    """Whole numbers from 0 on, the same whenever they are asked for under a name."""
    return numpy.random.default_rng([*name.encode()]).integers(0, below, shape)


class Lazygrad(Framework):
    """lazygrad on one of its devices, which becomes the default device."""

    label = "lazygrad"

    def __init__(self, device: str) -> None:
        import lazygrad
        from lazygrad import runtime

        self.module = lazygrad
        opened = runtime.device(runtime.canonical_device(device))
        if not isinstance(opened, runtime.CompilingDevice):
            raise TypeError(f"{opened.name} evaluates node by node: it is a reference, and nobody waits for it")
        self.device = opened
        lazygrad.set_default_device(self.device.name)

    def tensor(self, array: Array, dtype: str = "", requires_grad: bool = False) -> Any:
        made = self.module.from_numpy(array)
        if dtype:
            made = made.to(getattr(self.module, dtype))
        self.module.realize(made)
        return made.detach().requires_grad_() if requires_grad else made

    def numpy(self, tensor: Any) -> Array:
        found = tensor.detach()
        return found.float().numpy() if found.is_floating_point() else found.numpy()

    def realize(self, *tensors: Any) -> None:
        self.module.realize(*tensors)

    def synchronize(self) -> None:
        self.device.synchronize()

    def optimizer(self, kind: str, parameters: Iterable[Any], **options: Any) -> Any:
        return getattr(self.module.optim, kind)(parameters, **options)

    def autocast(self) -> AbstractContextManager[Any]:
        kind = "cpu" if self.device.is_processor else self.device.name.partition(":")[0]
        return self.module.autocast(kind, dtype=self.module.bfloat16)

    def counters(self) -> dict[str, int]:
        from lazygrad.runtime import statistics

        return asdict(statistics.total)

    def release(self) -> None:
        gc.collect()
        self.device.synchronize()
        self.device.pool.empty_cache()


class Torch(Framework):
    """torch, as it is or through torch.compile, with images in its own layout or channels last."""

    def __init__(self, device: str, label: str, *, compile: bool = False, channels_last: bool = False) -> None:
        import torch

        self.module = torch
        self.label = label
        self.device = torch.device(device)
        self.compile = compile
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        # Convolutions are tried out once for each shape.
        torch.backends.cudnn.benchmark = True

    def tensor(self, array: Array, dtype: str = "", requires_grad: bool = False) -> Any:
        # A copy in any case: the array is somebody else's input, too.
        wanted = getattr(self.module, dtype) if dtype else None
        made = self.module.from_numpy(array).to(self.device, wanted, copy=True)
        if made.dim() == 4:
            made = made.contiguous(memory_format=self.format)
        return made.requires_grad_(requires_grad)

    def model(self, make: Callable[[Any], Any]) -> Any:
        with self.device:
            made = make(self.module).to(memory_format=self.format)
        self.fill(made)
        return made

    def numpy(self, tensor: Any) -> Array:
        found = tensor.detach()
        found = (found.float() if found.is_floating_point() else found).cpu().contiguous().numpy()
        return numpy.array(found)  # the tensor's memory may be used again

    def realize(self, *tensors: Any) -> None:
        """Nothing: torch computes when it is called."""

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            self.module.cuda.synchronize(self.device)

    def optimizer(self, kind: str, parameters: Iterable[Any], **options: Any) -> Any:
        # One kernel for all parameters, where there is one.
        return getattr(self.module.optim, kind)(parameters, fused=self.device.type == "cuda" or None, **options)

    def update(self, kind: str, parameters: Iterable[Any], **options: Any) -> Callable[[], object]:
        if not self.compile:
            return super().update(kind, parameters, **options)
        # The compiler fuses what it sees, not what is one kernel already.
        return self.compiled(getattr(self.module.optim, kind)(parameters, **options).step)

    def autocast(self) -> AbstractContextManager[Any]:
        return self.module.autocast(self.device.type, dtype=self.module.bfloat16)

    def compiled(self, function: Callable[..., Any], launch_bound: bool = False) -> Callable[..., Any]:
        if not self.compile:
            return function
        return self.module.compile(function, dynamic=False, mode="reduce-overhead" if launch_bound else None)

    def set_precision(self, precision: str) -> None:
        super().set_precision(precision)
        # Convolutions have a switch of their own.
        self.module.backends.cudnn.allow_tf32 = precision == "high"

    def launches(self, step: Callable[[], object]) -> int | None:
        if self.device.type != "cuda":
            return None
        from torch.profiler import ProfilerActivity, profile

        self.synchronize()
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
            step()
            self.synchronize()
        return sum(LAUNCH.search(event.name) is not None for event in profiled.events())

    def release(self) -> None:
        gc.collect()
        if self.compile:
            self.module.compiler.reset()
        if self.device.type == "cuda":
            self.module.cuda.empty_cache()
