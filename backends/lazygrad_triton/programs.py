"""Launching: writes a launch's arguments into a block of memory that the driver reads, and submits it.

Training steps launch the same kernels over and over, so this is the hot path. All arguments lie in one block of
eight bytes each, packed by one call; a table of pointers to them, which the driver wants, never changes.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from lazygrad.ir.dtype import float32
from lazygrad.ir.node import user_place
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime import Program
from lazygrad.runtime.statistics import total
from lazygrad_triton.context import Function
from lazygrad_triton.generated import Launch
from lazygrad_triton.remembered import Remembered
from lazygrad_triton.signature import ALIGNMENT, SLOT_BYTES, rounded_to_float32, rounding, signature

if TYPE_CHECKING:
    from lazygrad_triton.device import TritonDevice


class Prepared(NamedTuple):
    """A launch with everything but its arguments: what ``cuLaunchKernel`` takes, and the function that it keeps."""

    arguments: tuple[Any, ...]
    function: Function
    scratch_bytes: int


# Pointers to scratch memory that follow the arguments: more than any version of Triton wants. The driver reads as many
# pointers as the function has parameters.
SCRATCH_AREAS = 4
# Makes the functions of the launches for offsets that are multiples of 16 (True) or anything (False).
Loader = Callable[[bool], Sequence[Function]]


class TritonProgram(Program):
    """The functions of one kernel; those for offsets that are no multiples of 16 are made when they are needed."""

    def __init__(self, device: TritonDevice, kernel: Kernel, launches: Sequence[Launch], load: Loader) -> None:
        self.kernel = kernel
        self.remembered: Remembered | None = None  # from what another process can make this program
        self.signature = signature(kernel)
        self._device = device
        self._launches = launches
        self._load = load
        self._counts = (len(kernel.buffers), sum(buffer.movable for buffer in kernel.buffers), len(kernel.scalars))
        self._roundings = tuple(rounding(dtype) for dtype in kernel.scalars)
        self._rounds = any(each is not None for each in self._roundings)
        self._activate = device.context.activate
        # The garbage collector, or a signal's handler, may run something that launches this very program while its
        # arguments are being packed; the number tells whether what is packed is still this launch's.
        self._lock = RLock()
        self._packed = 0
        packing = struct.Struct(self.signature.layout)
        self._pack_into = packing.pack_into
        self._scratch_place = packing.size
        slots = packing.size // SLOT_BYTES + SCRATCH_AREAS
        self._values = ctypes.create_string_buffer(slots * SLOT_BYTES)  # zeros, so areas are null pointers
        start = ctypes.addressof(self._values)
        self._pointers = (ctypes.c_void_p * slots)(*range(start, start + slots * SLOT_BYTES, SLOT_BYTES))
        self._prepared: dict[bool, tuple[Prepared, ...]] = {}
        self.prepare(True)

    def prepare(self, aligned: bool) -> tuple[Prepared, ...]:
        """Loads the functions of a variant."""
        prepared = tuple(
            Prepared(
                (
                    function.handle, launch.programs, 1, 1, function.binary.threads, 1, 1, function.binary.shared,
                    self._device.context.stream, ctypes.addressof(self._pointers), 0,
                ),
                function,
                launch.programs * sum(function.binary.scratch[:1]),
            )
            for launch, function in zip(self._launches, self._load(aligned), strict=True)
        )  # fmt: skip
        self._prepared[aligned] = prepared
        return prepared

    def launch(self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]) -> None:
        """Submits one run. ``offsets`` has one number for each movable buffer, in order."""
        if (len(buffers), len(offsets), len(scalars)) != self._counts:
            wanted, got = self._counts, (len(buffers), len(offsets), len(scalars))
            raise TypeError(
                f"kernel {self.kernel.name} takes {wanted[0]} buffers, {wanted[1]} offsets and {wanted[2]} scalars, "
                f"got {got[0]}, {got[1]} and {got[2]}"
            )
        if self._rounds:
            scalars = [
                scalar if rounded is None else rounded(scalar)
                for rounded, scalar in zip(self._roundings, scalars, strict=True)
            ]
        aligned = True
        for offset in offsets:
            if offset % ALIGNMENT:
                aligned = False
        prepared = self._prepared.get(aligned) or self.prepare(aligned)
        device = self._device
        start = device.begin_timing() if device.profile is not None else None
        with self._lock:
            for arguments, _, scratch_bytes in prepared:
                packed = -1
                while packed != self._packed:
                    packed = self._pack(buffers, offsets, scalars)
                    if scratch_bytes:
                        self._set_scratch(scratch_bytes)
                    self._activate()
                (status,) = device.launch_kernel(*arguments)
                if status:
                    raise self._failure(arguments, status)
        if start is not None:
            device.end_timing(self.kernel.name, start)
        total.kernels_launched += 1

    def _pack(self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]) -> int:
        """Packs the arguments; returns how often that was done."""
        self._packed += 1
        packed = self._packed
        try:
            self._pack_into(self._values, 0, *[memory.address for memory in buffers], *offsets, *scalars)
        except OverflowError:
            self._pack_large(buffers, offsets, scalars)
        return packed

    def _pack_large(
        self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]
    ) -> None:
        """Packs scalars among which are numbers beyond float32."""
        fitting = [
            rounded_to_float32(scalar) if dtype is float32 else scalar
            for scalar, dtype in zip(scalars, self.kernel.scalars, strict=True)
        ]
        self._pack_into(self._values, 0, *[memory.address for memory in buffers], *offsets, *fitting)

    def _set_scratch(self, size: int) -> None:
        """The first area is the compiler's; the second is its profiler's and stays null."""
        struct.pack_into("=Q", self._values, self._scratch_place, self._device.scratch(size).address)

    def _failure(self, arguments: tuple[Any, ...], status: Any) -> Exception:
        during = (
            f"for kernel {self.kernel.name} ({arguments[1]} blocks of {arguments[4]} threads, {arguments[7]} bytes of "
            f"shared memory), launched at {user_place() or 'an unknown line'}"
        )
        return self._device.context.driver.error("cuLaunchKernel", status, during)
