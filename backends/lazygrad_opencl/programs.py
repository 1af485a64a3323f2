"""Launching: sets what changed among a kernel's arguments and submits one run.

Training steps launch the same kernels over and over, often with the same buffers, so this is the hot path: sizes
are computed once, and an argument is set only when it differs from the last one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any

import pyopencl

from lazygrad.ir.dtype import DType, bool_, float32
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime import Program
from lazygrad.runtime.statistics import total
from lazygrad_opencl.build import Built
from lazygrad_opencl.entry import Home, Signature
from lazygrad_opencl.generated import GeneratedSource
from lazygrad_opencl.types import argument_type

if TYPE_CHECKING:
    from lazygrad_opencl.device import OpenCLDevice

# The struct codes of kernel arguments. OpenCL has no bool arguments: they travel as uchar.
_CODES = {
    "bool": "=B", "uint8": "=B", "int8": "=b", "int16": "=h", "int32": "=i", "int64": "=q",
    "float32": "=f", "float64": "=d",
}  # fmt: skip
# Bytes of an argument of an entry.
WORD = 8
_pack_offset = struct.Struct("=q").pack
_enqueue = pyopencl.enqueue_nd_range_kernel


@cache
def packing(dtype: DType, in_word: bool = False) -> Callable[[bool | int | float], bytes]:
    """How a scalar of ``dtype`` becomes a kernel argument; half precisions are rounded and travel as float32.

    ``in_word``: with zeros behind it up to 8 bytes.
    """
    as_float32 = dtype.bits == 16 and dtype.is_float
    code = _CODES[float32.name if as_float32 else dtype.name]
    pack = struct.Struct(f"{code}{WORD - struct.calcsize(code)}x" if in_word else code).pack
    if as_float32:
        rounded = dtype.numpy.type
        return lambda value: pack(float(rounded(value)))
    if dtype is bool_:
        return lambda value: pack(bool(value))
    return pack


def signature(kernel: Kernel, source: GeneratedSource) -> Signature:
    """The arguments of a kernel's function."""
    offsets = ["long" for buffer in kernel.buffers if buffer.movable]
    numbers = (*offsets, *(argument_type(dtype) for dtype in kernel.scalars))
    return Signature(len(kernel.buffers), numbers, source.scratch_bytes > 0)


class SharedFunction:
    """A kernel function of a built program, and what each of its arguments was set to last.

    Kernels that differ but give the same text share one, so what it was set to is known here and not by kernel.
    ``launches`` counts them: the garbage collector, or a signal's handler, may run something that launches the same
    function while its arguments are being set.
    """

    def __init__(self, built: Built) -> None:
        self.function, self.home = built
        self.last: dict[int, Any] = {}
        self.launches = 0
        self.lock = RLock()


class OpenCLProgram(Program):
    """One kernel function with the sizes it is launched with.

    Arguments in order: the buffers, an int64 element offset for each movable buffer, the scalars, and where
    ``scratch_bytes`` is not zero the device's scratch memory. An entry has them elsewhere (``entry.py``).
    """

    def __init__(
        self, device: OpenCLDevice, kernel: Kernel, shared: SharedFunction, name: str, source: GeneratedSource
    ) -> None:
        self.kernel = kernel
        self.name = name
        self.launch_sizes = (source.work_groups, source.work_group_size, source.scratch_bytes)
        self._device = device
        self._shared = shared
        self._local = (source.work_group_size,)
        self._global = (source.work_groups * source.work_group_size,)
        self._buffers = len(kernel.buffers)
        self._movable = sum(buffer.movable for buffer in kernel.buffers)
        self.scratch_bytes = source.scratch_bytes
        home = shared.home
        is_entry = home.number is not None
        self._packs = tuple(packing(dtype, is_entry) for dtype in kernel.scalars)
        # How each of a runner's numbers becomes a word: offsets, then scalars.
        self.packs = (_pack_offset,) * self._movable + self._packs
        # Positions among the arguments.
        self._first_buffer = home.first_pointer
        self._first_number = home.first_word(self._buffers)
        numbers = self._movable + len(self._packs)
        self._scratch = 1 + self._buffers if is_entry else self._buffers + numbers

    @property
    def identity(self) -> Hashable:
        return self.name, self.launch_sizes

    @property
    def home(self) -> Home:
        """Where its function is."""
        return self._shared.home

    def launch(self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]) -> None:
        """Submits one run. ``offsets`` has one number for each movable buffer, in order."""
        if len(buffers) != self._buffers or len(offsets) != self._movable or len(scalars) != len(self._packs):
            raise TypeError(
                f"kernel {self.kernel.name} takes {self._buffers} buffers, {self._movable} offsets and "
                f"{len(self._packs)} scalars, got {len(buffers)}, {len(offsets)} and {len(scalars)}"
            )
        shared, device = self._shared, self._device
        # What a finalizer submits meanwhile must not go to the team, of which this launch would not know any more.
        was_launching, device.is_launching = device.is_launching, True
        try:
            with shared.lock:
                launches = shared.launches
                self._set_arguments(buffers, offsets, scalars)
                while launches != shared.launches:
                    launches = shared.launches
                    shared.last.clear()
                    self._set_arguments(buffers, offsets, scalars)
                event = _enqueue(device.queue, shared.function, self._global, self._local)
                if not shared.launches and device.loaded_code is not None:
                    device.loaded_code.launched(shared.home.kernel)
                shared.launches += 1
        finally:
            device.is_launching = was_launching
        device.submitted(self.name, event)
        total.kernels_launched += 1

    def _set_arguments(
        self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]
    ) -> None:
        """Sets those that differ from what they were set to last."""
        last, function = self._shared.last, self._shared.function
        position = self._first_buffer
        for memory in buffers:
            if last.get(position) != memory.serial:
                function.set_arg(position, memory.buffer)
                last[position] = memory.serial
            position += 1
        position = self._first_number
        for offset in offsets:
            if last.get(position) != offset:
                # set_arg tries every kind of memory first, which takes 10 us for a number.
                function._set_arg_buf_multi((position, _pack_offset(offset)))
                last[position] = offset
            position += 1
        for pack, scalar in zip(self._packs, scalars, strict=True):
            packed = pack(scalar)
            if last.get(position) != packed:
                function._set_arg_buf_multi((position, packed))
                last[position] = packed
            position += 1
        if self.scratch_bytes:
            memory, position = self._device.scratch(self.scratch_bytes), self._scratch
            if last.get(position) != memory.serial:
                function.set_arg(position, memory.buffer)
                last[position] = memory.serial
