"""torch, as it is or through torch.compile, with images in its own layout or channels last."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy

from benchmarks.frameworks.data import Array
from benchmarks.frameworks.framework import Optimizer, Precision, TorchLike

# CUDA's functions that launch kernels: cudaLaunchKernel, cuLaunchKernelEx, cudaGraphLaunch and their like.
LAUNCH = re.compile(r"^cu\w*(LaunchKernel|GraphLaunch)")


class Torch(TorchLike):
    """On one of its devices ("cpu", "cuda:0")."""

    def __init__(self, device: str, compile: bool = False, channels_last: bool = False, threads: int = 0) -> None:
        import torch

        self.module = torch
        self.device = torch.device(device)
        self.compile = compile
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        if threads:
            torch.set_num_threads(threads)
        # Convolutions are tried out once for each shape.
        torch.backends.cudnn.benchmark = True

    def tensor(self, array: Array, dtype: str = "", requires_grad: bool = False) -> Any:
        # A copy in any case: the array is somebody else's input, too.
        wanted = getattr(self.module, dtype) if dtype else None
        made = self.module.from_numpy(array).to(self.device, wanted, copy=True)
        if made.dim() == 4:
            made = made.contiguous(memory_format=self.format)
        return made.requires_grad_(requires_grad)

    def bare_model(self, make: Callable[[Any], Any]) -> Any:
        with self.device:
            return make(self.module).to(memory_format=self.format)

    def numpy(self, tensor: Any) -> Array:
        found = tensor.detach()
        found = (found.float() if found.is_floating_point() else found).cpu().contiguous().numpy()
        return numpy.array(found)  # the tensor's memory may be used again

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            self.module.cuda.synchronize(self.device)

    def optimizer(self, parameters: Iterable[Any], optimizer: Optimizer) -> Any:
        # One kernel for all parameters: the fastest of torch's three ways, on processors too.
        options = {"fused": True, **optimizer.options}
        return getattr(self.module.optim, optimizer.kind)(parameters, **options)

    def update(self, model: Any, gradients: Any, optimizer: Optimizer) -> Any:
        if not self.compile:
            return super().update(model, gradients, optimizer)
        # The compiler fuses what it sees, not what is one kernel already.
        return super().update(model, gradients, Optimizer(optimizer.kind, {**optimizer.options, "fused": False}))

    def optimizer_step(self, optimizer: Any) -> Callable[[], Any]:
        return self.compiled(optimizer.step)

    def convolution_gradient(
        self, which: int, image: Any, weight: Any, cotangent: Any, stride: int, padding: int
    ) -> Callable[[], Any]:
        backward = self.module.ops.aten.convolution_backward
        mask = [which == 0, which == 1, False]

        def gradient(cotangent: Any, image: Any, weight: Any) -> Any:
            found = backward(
                cotangent, image, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, mask
            )
            return found[which]

        run = self.compiled(gradient)
        return lambda: (run(cotangent, image, weight),)

    def autocast(self) -> AbstractContextManager[Any]:
        region: AbstractContextManager[Any] = self.module.autocast(self.device.type, dtype=self.module.bfloat16)
        return region

    def compiled(self, function: Callable[..., Any], launch_bound: bool = False) -> Callable[..., Any]:
        if not self.compile:
            return function
        on_gpu = self.device.type == "cuda"
        return self.module.compile(  # type: ignore[no-any-return]
            function, dynamic=False, mode="reduce-overhead" if launch_bound and on_gpu else None
        )

    def set_precision(self, precision: Precision) -> None:
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
