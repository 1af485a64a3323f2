"""Watching a schedule run: what LAZYGRAD_DEBUG prints and what LAZYGRAD_VERIFY checks.

A watch sees every launch, before and after. Watched runs wait for the device after each kernel, so they are slow.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy

from lazygrad import environment
from lazygrad.ir.layout import row_major
from lazygrad.kernel.interpret import interpret
from lazygrad.kernel.kernel import Kernel
from lazygrad.kernel.printer import print_kernel
from lazygrad.runtime.buffer import Allocation, Buffer
from lazygrad.runtime.device import CompilingDevice
from lazygrad.schedule import ScheduledKernel

# How far a kernel may be from its interpretation: rounding in another order, times the length of what was summed.
RELATIVE_TOLERANCE = {16: 2e-2, 32: 1e-4, 64: 1e-10}

Number = bool | int | float


class VerificationError(AssertionError):
    """A kernel computed something else than its meaning; the message names it and the user's line."""


class Watch(Protocol):
    """Sees each launch of a run."""

    def before(self, scheduled: ScheduledKernel, memories: Sequence[Any], offsets: Sequence[int]) -> None:
        """Called before a launch, with the device idle."""

    def after(self, scheduled: ScheduledKernel, memories: Sequence[Any], numbers: Sequence[Number]) -> None:
        """Called after it, with the device idle again."""


# Watches of the program's own, beside those that the environment asks for.
_added: list[Watch] = []


@contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    """Has a watch see every launch of all devices, as long as the block lasts."""
    _added.append(watch)
    try:
        yield
    finally:
        _added.remove(watch)


def is_watched_by_program() -> bool:
    """Whether this is within ``watched_by``."""
    return bool(_added)


def watches(device: CompilingDevice) -> list[Watch]:
    """The watches that the environment asks for, and those of ``watched_by``."""
    found = list(_added)
    level = environment.level("LAZYGRAD_DEBUG")
    if level:
        found.append(_Report(device, level))
    if environment.level("LAZYGRAD_VERIFY"):
        found.append(_Verify(device))
    return found


class _Report:
    """Prints each kernel as it runs: time and bandwidth, from level 2 on its IR, from 3 on its source."""

    def __init__(self, device: CompilingDevice, level: int) -> None:
        self.device = device
        self.level = level
        self.start = 0.0

    def before(self, scheduled: ScheduledKernel, memories: Sequence[Any], offsets: Sequence[int]) -> None:
        if self.level >= 2:
            print(print_kernel(scheduled.kernel), file=sys.stderr)
        if self.level >= 3:
            print(self.device.source(scheduled.kernel), file=sys.stderr)
        self.start = time.perf_counter()

    def after(self, scheduled: ScheduledKernel, memories: Sequence[Any], numbers: Sequence[Number]) -> None:
        took = time.perf_counter() - self.start
        moved = sum(buffer.size * buffer.dtype.itemsize for buffer in scheduled.kernel.buffers)
        print(
            f"lazygrad {self.device.name}: {scheduled.kernel.name:40} {took * 1e3:9.3f} ms {moved / 1e6:9.2f} MB "
            f"{moved / took / 1e9:6.1f} GB/s  {scheduled.place or ''}",
            file=sys.stderr,
        )


class _Verify:
    """Runs the interpreter on what the kernel read, and compares with what it wrote."""

    def __init__(self, device: CompilingDevice) -> None:
        self.device = device
        self.inputs: list[numpy.ndarray[Any, Any]] = []
        self.offsets: list[int] = []

    def before(self, scheduled: ScheduledKernel, memories: Sequence[Any], offsets: Sequence[int]) -> None:
        remaining = iter(offsets)
        self.offsets = [next(remaining) if b.movable else 0 for b in scheduled.kernel.buffers]
        self.inputs = self._read(scheduled.kernel, memories)

    def after(self, scheduled: ScheduledKernel, memories: Sequence[Any], numbers: Sequence[Number]) -> None:
        kernel = scheduled.kernel
        expected = [array.copy() for array in self.inputs]
        interpret(kernel, expected, [0 for b in kernel.buffers if b.movable], numbers)
        for position, (want, got) in enumerate(zip(expected, self._read(kernel, memories), strict=True)):
            # What is only read may have been overwritten by what is written: they may share memory.
            different = difference(want, got) if kernel.buffers[position].written else None
            if different is not None:
                raise VerificationError(
                    f"{self.device.name}: kernel {kernel.name} wrote something else than the reference to its buffer "
                    f"{position}: {different}\ncomputed for {scheduled.place or 'an unknown line'}\n"
                    f"{print_kernel(kernel)}"
                )

    def _read(self, kernel: Kernel, memories: Sequence[Any]) -> list[numpy.ndarray[Any, Any]]:
        arrays = []
        for memory, offset, declared in zip(memories, self.offsets, kernel.buffers, strict=True):
            shape = (declared.size,)
            allocation = Allocation(memory, declared.size * declared.dtype.itemsize, None)
            whole = Buffer(allocation, shape, declared.dtype, self.device.name, row_major(shape), offset)
            arrays.append(self.device.to_host(whole))
        return arrays


def difference(want: numpy.ndarray[Any, Any], got: numpy.ndarray[Any, Any]) -> str | None:
    """Words for elements that differ by more than rounding in another order does; None where there are none."""
    if want.dtype.kind in "biu":
        wrong = want != got
    else:
        bits = want.dtype.itemsize * 8
        wide_want, wide_got = want.astype(numpy.float64), got.astype(numpy.float64)
        with numpy.errstate(all="ignore"):
            scale = numpy.nanmax(numpy.abs(wide_want[numpy.isfinite(wide_want)]), initial=1e-30)
            near = numpy.isclose(
                wide_got, wide_want, rtol=RELATIVE_TOLERANCE[bits], atol=RELATIVE_TOLERANCE[bits] * scale,
                equal_nan=True,
            )  # fmt: skip
        wrong = ~near
    if not wrong.any():
        return None
    first = int(numpy.argmax(wrong))
    return f"{int(wrong.sum())} of {wrong.size} elements, the first at {first}: {got[first]} instead of {want[first]}"
