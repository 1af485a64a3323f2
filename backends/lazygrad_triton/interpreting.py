"""``triton:interpret``: kernels run in Triton's interpreter on NumPy arrays, on any machine and without torch.

It is there to test generated code where there is no graphics processor. A launch takes milliseconds, so it is no
way to compute anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy
import triton

from lazygrad.ir.dtype import DType
from lazygrad.ir.layout import row_major
from lazygrad.ir.node import user_place
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime import Buffer, Capabilities, CompilingDevice, DeviceInformation, Pool, Program
from lazygrad.runtime.arrange import row_major_array
from lazygrad.runtime.cache import Store
from lazygrad.runtime.statistics import total
from lazygrad_triton import interpreter
from lazygrad_triton.capabilities import interpreter_capabilities
from lazygrad_triton.files import keep
from lazygrad_triton.generated import GeneratedSource
from lazygrad_triton.interpreter import InterpretedFile
from lazygrad_triton.signature import signature

NAME = "triton:interpret"
INFORMATION = DeviceInformation(NAME, "Triton's interpreter (slow, for tests)", f"triton {triton.__version__}")

# From a kernel and what the device can do to a file of Triton functions.
Generator = Callable[[Kernel, Capabilities], GeneratedSource]


class InterpretedProgram(Program):
    """One kernel's file, run by the interpreter."""

    def __init__(self, kernel: Kernel, source: GeneratedSource, path: str) -> None:
        self.kernel = kernel
        self._file = InterpretedFile(source.text, path)
        self._launches = source.launches
        self._parameters = signature(kernel).parameters

    def launch(self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]) -> None:
        """Runs to the end. RuntimeError names the kernel and the line of its file that failed."""
        arguments = interpreter_arguments(self.kernel, buffers, offsets, scalars)
        for launch in self._launches:
            self._file.launch(launch.function, launch.programs, arguments)
        total.kernels_launched += 1


def interpreter_arguments(
    kernel: Kernel, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]
) -> list[interpreter.Buffer | interpreter.Number]:
    """The arguments of the kernel's functions: buffers are byte arrays that begin where pointers point."""
    movable = sum(declared.movable for declared in kernel.buffers)
    if (len(buffers), len(offsets), len(scalars)) != (len(kernel.buffers), movable, len(kernel.scalars)):
        raise TypeError(
            f"kernel {kernel.name} takes {len(kernel.buffers)} buffers, {movable} offsets and {len(kernel.scalars)} "
            f"scalars, got {len(buffers)}, {len(offsets)} and {len(scalars)}"
        )
    parameters = iter(signature(kernel).parameters)
    starts = iter(offsets)
    found: list[interpreter.Buffer | interpreter.Number] = []
    for memory, declared in zip(buffers, kernel.buffers, strict=True):
        itemsize = declared.dtype.itemsize
        first = next(starts) * itemsize if declared.movable else 0
        last = first + declared.size * itemsize
        found.append(interpreter.Buffer(memory, next(parameters).type, first, last, declared.written))
    for offset in offsets:
        found.append(interpreter.Number(offset, next(parameters).type))
    for scalar, dtype in zip(scalars, kernel.scalars, strict=True):
        rounded = numpy.asarray(scalar).astype(dtype.numpy).item()
        found.append(interpreter.Number(rounded, next(parameters).type))
    return found


class InterpretingDevice(CompilingDevice):
    """NumPy's memory and Triton's interpreter. ``generator`` makes the source of a kernel; tests give their own."""

    def __init__(self, generator: Generator | None = None) -> None:
        self.name = NAME
        self.is_processor = True
        self.information = INFORMATION
        self.capabilities = interpreter_capabilities()
        self.dtypes = self.capabilities.dtypes
        self.pool = Pool(self, NAME)
        self._generator = generator
        self._programs: dict[Kernel, InterpretedProgram] = {}
        self._lock = Lock()
        self._store = Store("triton", "interpret")

    def allocate(self, size: int) -> numpy.ndarray[Any, Any]:
        return numpy.empty(size, numpy.uint8)

    def free(self, memory: Any) -> None:
        """NumPy frees it when nobody holds it."""

    def from_host(self, array: numpy.ndarray[Any, Any], dtype: DType) -> Buffer:
        flat = numpy.ascontiguousarray(array, dtype.numpy).reshape(-1).view(numpy.uint8)
        allocation = self.pool.take(flat.nbytes, user_place())
        allocation.memory[: flat.nbytes] = flat
        total.host_to_device_transfers += 1
        total.host_to_device_bytes += flat.nbytes
        return Buffer(allocation, array.shape, dtype, self.name, row_major(array.shape))

    def to_host(self, buffer: Buffer) -> numpy.ndarray[Any, Any]:
        itemsize = buffer.dtype.itemsize
        first, last = buffer.offset * itemsize, (buffer.offset + buffer.layout.size) * itemsize
        flat = buffer.allocation.memory[first:last].copy().view(buffer.dtype.numpy)
        total.device_to_host_transfers += 1
        total.device_to_host_bytes += flat.nbytes
        return row_major_array(flat, buffer.layout)

    def synchronize(self) -> None:
        """Launches have run when they return."""

    def compile(self, kernels: Sequence[Kernel]) -> Sequence[InterpretedProgram]:
        with self._lock:
            for kernel in kernels:
                if kernel not in self._programs:
                    source = self._generate(kernel)
                    path = keep(self._store, kernel.name, source.text)
                    self._programs[kernel] = InterpretedProgram(kernel, source, path)
                    total.kernels_built += 1
            return [self._programs[kernel] for kernel in kernels]

    def source(self, kernel: Kernel) -> str:
        return self._generate(kernel).text

    def _generate(self, kernel: Kernel) -> GeneratedSource:
        if self._generator is None:
            from lazygrad_triton.source import generate

            self._generator = generate
        return self._generator(kernel, self.capabilities)
