"""A device on which alternatives do what their number says: right ones take made-up times, others fail in every way.

Its backend is found by other processes through an entry point that ``publish`` writes.
"""

from __future__ import annotations

import os
import signal
import time

import numpy

from lazygrad.ir.dtype import float32
from lazygrad.ir.index import Index, Variable
from lazygrad.ir.layout import row_major
from lazygrad.ir.value import LOAD, leaf
from lazygrad.kernel.interpret import interpret
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Kernel, Stage, Store
from lazygrad.kernel.machine import Machine
from lazygrad.runtime import HEURISTIC, Buffer, Capabilities, CompilingDevice, DeviceInformation, Pool, Program

SIZE = 64
# What the one number of an alternative means. Any number above these: right, and so many microseconds.
WRONG, UNCOMPILABLE, RAISES, DIES, HANGS, INTERRUPTS, INCOMPLETE = range(1, 8)
HEURISTIC_MICROSECONDS = 100


def publish(folder):
    """Makes the backend ``faulty`` known to whoever has the folder in its path."""
    information = folder / "faulty-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[lazygrad.backends]\nfaulty = {__name__}:backend\n")


def alternatives(*numbers):
    return (HEURISTIC, *(((number,),) for number in numbers))


def times(factor):
    """A kernel that multiplies."""
    axis = Variable("i0", SIZE)
    here = Index(0, ((axis, 1),))
    store = Store(Access(1, here), leaf(LOAD, float32, Access(0, here)) * factor)
    buffers = (BufferDeclaration(float32, SIZE), BufferDeclaration(float32, SIZE, written=True))
    return Kernel(f"times{factor}", (Body((axis,), (Stage((), (), (store,)),)),), buffers)


class FaultyProgram(Program):
    def __init__(self, device, kernel, behaviour):
        self.device = device
        self.kernel = kernel
        self.behaviour = behaviour

    def launch(self, buffers, offsets, scalars):
        self.device.microseconds = self.behaviour
        if self.behaviour == RAISES:
            raise RuntimeError("an illegal address")
        if self.behaviour == DIES:
            os._exit(139)
        if self.behaviour == INTERRUPTS:
            os.kill(os.getppid(), signal.SIGINT)
        if self.behaviour in (HANGS, INTERRUPTS):
            time.sleep(1000)
        arrays = [
            memory[: d.size * 4].view(numpy.float32) for memory, d in zip(buffers, self.kernel.buffers, strict=True)
        ]
        before = arrays[1].copy()
        interpret(self.kernel, arrays, offsets, scalars)
        if self.behaviour == WRONG:
            arrays[1][7] += 1
        if self.behaviour == INCOMPLETE:
            arrays[1][-1] = before[-1]


class FaultyDevice(CompilingDevice):
    is_tunable = True
    is_processor = True
    name = "faulty:0"
    information = DeviceInformation(name, "Device that fails (on purpose)", "driver 1")
    capabilities = Capabilities(Machine("cpu", 1))

    def __init__(self, *numbers):
        self.pool = Pool(self, self.name)
        self.numbers = numbers
        self.microseconds = 0

    def allocate(self, size):
        return numpy.empty(size, numpy.uint8)

    def free(self, memory):
        pass

    def region(self, memory, start, size):
        return memory[start : start + size]

    def from_host(self, array, dtype):
        allocation = self.pool.take(array.nbytes)
        allocation.memory[: array.nbytes] = array.view(numpy.uint8)
        return Buffer(allocation, array.shape, dtype, self.name, row_major(array.shape))

    def to_host(self, buffer):
        size = buffer.layout.size * buffer.dtype.itemsize
        return buffer.allocation.memory[:size].copy().view(buffer.dtype.numpy)

    def synchronize(self):
        pass

    def compile(self, kernels):
        return self.compile_alternatives(kernels, [HEURISTIC] * len(kernels))

    def compile_alternatives(self, kernels, chosen):
        if ((UNCOMPILABLE,),) in chosen:
            raise RuntimeError("the compiler has no registers left")
        behaviours = [each[0][0] if each else HEURISTIC_MICROSECONDS for each in chosen]
        return [FaultyProgram(self, kernel, each) for kernel, each in zip(kernels, behaviours, strict=True)]

    def alternatives(self, kernel):
        return alternatives(*self.numbers)

    def seconds(self, run, before=None):
        run()
        return self.microseconds / 1e6


class FaultyBackend:
    name = "faulty"
    preference = -100

    def devices(self):
        return ()

    def open(self, variant):
        if variant == "broken":
            raise RuntimeError("the device has fallen off the bus")
        if variant == "slow":
            time.sleep(1000)
        return FaultyDevice()


backend = FaultyBackend()
