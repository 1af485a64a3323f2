"""Device memory as OpenCL buffers.

A ``Memory`` has a serial number, so that a program can tell whether an argument is still what it set last without
keeping the buffer alive (an address may come back with another buffer behind it).
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy
import pyopencl

from lazygrad.kernel.machine import MOST_PANEL_BYTES
from lazygrad_opencl.huge_pages import huge_paged

_SERIALS = count(1)
# Regions of one memory that are remembered: some times what a large schedule has.
MOST_REGIONS = 4096
# Bytes: what OpenCL's largest vectors, and caches' lines, are aligned to.
ALIGNMENT = 128


class Memory:
    """One OpenCL buffer of ``size`` bytes; ``on_host`` if the device works in the host's memory.

    Then ``address`` is where it is for the host and for kernels, else 0.
    """

    __slots__ = ("_regions", "address", "buffer", "mapped", "serial", "size")

    def __init__(self, context: Any, size: int, on_host: bool = False) -> None:
        # Kernels of processors read a last panel of columns whole, and make nothing of what lies behind.
        whole = size + MOST_PANEL_BYTES if on_host else size
        pages = host_memory(whole) if on_host else None
        flags = pyopencl.mem_flags
        try:
            if pages is None:
                self.buffer = pyopencl.Buffer(context, flags.READ_WRITE, whole)
            else:
                self.buffer = pyopencl.Buffer(context, flags.READ_WRITE | flags.USE_HOST_PTR, hostbuf=pages)
        except pyopencl.MemoryError as error:
            raise MemoryError(str(error)) from error
        except pyopencl.LogicError as error:
            largest = min(device.max_mem_alloc_size for device in context.devices)
            raise MemoryError(f"one buffer may have {largest} bytes on this device") from error
        self._set(size, 0 if pages is None else pages.ctypes.data)
        self.mapped = pages is not None

    def _set(self, size: int, address: int) -> None:
        self.mapped = False
        self.size = size
        self.address = address
        self.serial = next(_SERIALS)
        self._regions: dict[tuple[int, int], Memory] = {}

    def region(self, start: int, size: int) -> Memory:
        """``size`` bytes from ``start`` on; the same object each time, so that it need not be bound again."""
        known = self._regions.get((start, size))
        if known is None:
            if len(self._regions) >= MOST_REGIONS:
                self._regions.clear()
            known = Memory.__new__(Memory)
            known.buffer = self.buffer.get_sub_region(start, size)
            known._set(size, self.address + start if self.address else 0)
            self._regions[start, size] = known
        return known

    def release(self) -> None:
        """Gives the memory back: to the driver, which keeps it until submitted work is done, or, if it is ``mapped``,
        to the system, which does not.
        """
        self._regions.clear()
        self.buffer.release()


def host_memory(size: int) -> numpy.ndarray[Any, Any] | None:
    """Bytes of the host, as kernels like them aligned; None if there are none."""
    pages = huge_paged(size)
    if pages is not None:
        return pages
    try:
        everything = numpy.empty(size + ALIGNMENT, numpy.uint8)
    except MemoryError:
        return None  # the driver's own allocation says what is wrong
    start = -everything.ctypes.data % ALIGNMENT
    return everything[start : start + size]
