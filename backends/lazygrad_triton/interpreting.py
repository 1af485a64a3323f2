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
from lazygrad.runtime import (
    HEURISTIC,
    Alternative,
    Buffer,
    Capabilities,
    CompilingDevice,
    DeviceInformation,
    Pool,
    Program,
)
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
        self._types = tuple(signature(kernel).types.values())
        self._counts = (len(kernel.buffers), sum(buffer.movable for buffer in kernel.buffers), len(kernel.scalars))

    def launch(self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]) -> None:
        """Runs to the end. RuntimeError names the kernel and the line of its file that failed."""
        if (len(buffers), len(offsets), len(scalars)) != self._counts:
            wanted = self._counts
            raise TypeError(
                f"kernel {self.kernel.name} takes {wanted[0]} buffers, {wanted[1]} offsets and {wanted[2]} scalars, "
                f"got {len(buffers)}, {len(offsets)} and {len(scalars)}"
            )
        arguments = self._arguments(buffers, offsets, scalars)
        for launch in self._launches:
            self._file.launch(launch.function, launch.programs, arguments)
        total.kernels_launched += 1

    def _arguments(
        self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]
    ) -> list[interpreter.Buffer | interpreter.Number]:
        types, starts = iter(self._types), iter(offsets)
        found: list[interpreter.Buffer | interpreter.Number] = []
        for memory, declared in zip(buffers, self.kernel.buffers, strict=True):
            itemsize = declared.dtype.itemsize
            first = next(starts) * itemsize if declared.movable else 0
            last = first + declared.size * itemsize
            found.append(interpreter.Buffer(memory, next(types), first, last, declared.written))
        found += [interpreter.Number(offset, next(types)) for offset in offsets]
        for scalar, dtype in zip(scalars, self.kernel.scalars, strict=True):
            found.append(interpreter.Number(numpy.asarray(scalar).astype(dtype.numpy).item(), next(types)))
        return found


class InterpretingDevice(CompilingDevice):
    """NumPy's memory and Triton's interpreter. ``generator`` makes the source of a kernel; tests give their own."""

    is_tunable = True

    def __init__(self, generator: Generator | None = None) -> None:
        self.name = NAME
        self.is_processor = True
        self.information = INFORMATION
        self.capabilities = interpreter_capabilities()
        self.dtypes = self.capabilities.dtypes
        self.pool = Pool(self, NAME)
        self._generator = generator
        self._programs: dict[tuple[Kernel, Alternative], InterpretedProgram] = {}
        self._latest: dict[Kernel, Alternative] = {}
        self._lock = Lock()
        self._store = Store("triton", "interpret")

    def allocate(self, size: int) -> numpy.ndarray[Any, Any]:
        return numpy.empty(size, numpy.uint8)

    def free(self, memory: Any) -> None:
        """NumPy frees it when nobody holds it."""

    def region(self, memory: numpy.ndarray[Any, Any], start: int, size: int) -> numpy.ndarray[Any, Any]:
        return memory[start : start + size]

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
        return self.compile_alternatives(kernels, [HEURISTIC] * len(kernels))

    def compile_alternatives(
        self, kernels: Sequence[Kernel], chosen: Sequence[Alternative]
    ) -> Sequence[InterpretedProgram]:
        with self._lock:
            wanted = list(zip(kernels, chosen, strict=True))
            for kernel, alternative in wanted:
                if (kernel, alternative) not in self._programs:
                    source = self._generate(kernel, alternative)
                    path = keep(self._store, kernel.name, source.text)
                    self._programs[kernel, alternative] = InterpretedProgram(kernel, source, path)
                    total.kernels_built += 1
                self._latest[kernel] = alternative
            return [self._programs[each] for each in wanted]

    def alternatives(self, kernel: Kernel) -> Sequence[Alternative]:
        from lazygrad_triton.source import alternatives

        return alternatives(kernel, self.capabilities)

    def source(self, kernel: Kernel) -> str:
        return self._generate(kernel, self._latest.get(kernel, HEURISTIC)).text

    def _generate(self, kernel: Kernel, alternative: Alternative) -> GeneratedSource:
        if self._generator is not None:
            return self._generator(kernel, self.capabilities)
        from lazygrad_triton.source import generate

        return generate(kernel, self.capabilities, alternative)
