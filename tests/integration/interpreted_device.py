"""A compiling device whose programs are interpreted at once, in NumPy memory that is poisoned before it is lent.

Schedules, plans of memory and launches are the real ones; tests replace its methods by what fails, or waits.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import EntryPoint

import numpy

from lazygrad.ir.layout import row_major
from lazygrad.kernel.interpret import interpret
from lazygrad.kernel.machine import Machine
from lazygrad.runtime import (
    Buffer,
    Capabilities,
    CompilingDevice,
    DeviceInformation,
    Pool,
    Program,
    compiled,
    registry,
    statistics,
)
from lazygrad.runtime.arrange import row_major_array

NAME = "interpreted:0"


class InterpretedProgram(Program):
    def __init__(self, kernel):
        self.kernel = kernel

    def launch(self, buffers, offsets, scalars):
        arrays = []
        for memory, declared in zip(buffers, self.kernel.buffers, strict=True):
            whole = memory.size // declared.dtype.itemsize * declared.dtype.itemsize
            arrays.append(memory[:whole].view(declared.dtype.numpy))
        windows = iter(offsets)
        for number, declared in enumerate(self.kernel.buffers):
            if declared.movable:
                arrays[number] = arrays[number][next(windows) :]
        cut = [array[: declared.size] for array, declared in zip(arrays, self.kernel.buffers, strict=True)]
        interpret(self.kernel, cut, [0] * len(offsets), scalars)
        statistics.total.kernels_launched += 1


class InterpretedDevice(CompilingDevice):
    information = DeviceInformation(NAME, "interpreter of kernels", "1")
    capabilities = Capabilities(Machine("cpu", 2))
    is_processor = True

    def __init__(self, name=NAME):
        self.name = name
        self.pool = Pool(self, name)

    def allocate(self, size):
        return numpy.full(size, 0xFF, numpy.uint8)

    def free(self, memory):
        memory[:] = 0xFF

    def region(self, memory, start, size):
        return memory[start : start + size]

    def from_host(self, array, dtype):
        allocation = self.pool.take(array.nbytes)
        allocation.memory[: array.nbytes] = numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8)
        return Buffer(allocation, array.shape, dtype, self.name, row_major(array.shape))

    def to_host(self, buffer):
        itemsize = buffer.dtype.itemsize
        first, last = buffer.offset * itemsize, (buffer.offset + buffer.layout.size) * itemsize
        return row_major_array(buffer.allocation.memory[first:last].copy().view(buffer.dtype.numpy), buffer.layout)

    def synchronize(self):
        """Launches have run when they return."""

    def compile(self, kernels):
        return [InterpretedProgram(kernel) for kernel in kernels]


@contextmanager
def opened(name=NAME):
    """A new device of that name, for the time of a test."""
    device = InterpretedDevice(name)
    kind = name.partition(":")[0]
    registry._entry_points()[kind] = EntryPoint(kind, "never loaded", registry.GROUP)
    registry._opened[name] = device
    try:
        yield device
    finally:
        del registry._opened[name], registry._entry_points()[kind]
        compiled._EXECUTABLES.pop(name, None)
