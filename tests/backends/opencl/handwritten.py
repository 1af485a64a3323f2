"""Kernels with hand-written sources: the runtime is tested without the code generator."""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.ir.dtype import DType, float32
from lazygrad.kernel.kernel import BufferDeclaration, Kernel
from lazygrad.runtime import Capabilities
from lazygrad_opencl.device import OpenCLDevice
from lazygrad_opencl.devices import found_devices
from lazygrad_opencl.source import GeneratedSource

SIZE = 64


def kernel(name: str, scalars: tuple[DType, ...] = (), movable: bool = False, out: DType = float32) -> Kernel:
    """A declaration: b0 is read, b1 is written."""
    buffers = (BufferDeclaration(float32, SIZE, movable=movable), BufferDeclaration(out, SIZE, written=True))
    return Kernel(name, (), buffers, scalars)


def source(kernel: Kernel, body: str, scratch_bytes: int = 0, groups: int = 1) -> GeneratedSource:
    c_types = {"float64": "double", "int64": "long", "int32": "int", "int16": "short", "int8": "char"}
    c_types |= {"bool": "uchar", "uint8": "uchar"}
    arguments = [f"__global {c_types.get(b.dtype.name, 'float')}* b{n}" for n, b in enumerate(kernel.buffers)]
    arguments += [f"long o{n}" for n, b in enumerate(kernel.buffers) if b.movable]
    arguments += [f"{c_types.get(dtype.name, 'float')} s{n}" for n, dtype in enumerate(kernel.scalars)]
    arguments += ["__global uchar* scratch"] * (scratch_bytes > 0)
    head = f"__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void {kernel.name}({', '.join(arguments)})"
    return GeneratedSource(f"{head} {{\n{body}\n}}\n", kernel.name, groups, 1, scratch_bytes)


def each(expression: str) -> str:
    """A loop that sets every element."""
    return f"for (int i = 0; i < {SIZE}; i++) b1[i] = {expression};"


def times(factor: int) -> Kernel:
    return kernel(f"times{factor}")


def times_source(kernel: Kernel, capabilities: Capabilities) -> GeneratedSource:
    """The generator of ``times``."""
    return source(kernel, each(f"b0[i] * {kernel.name[5:]}.0f"))


def open_device(
    generator: Callable[[Kernel, Capabilities], GeneratedSource] = times_source, number: int = 0
) -> OpenCLDevice:
    """A device of its own: nothing is compiled yet, its cache is looked for again."""
    return OpenCLDevice(found_devices()[number], generator)
