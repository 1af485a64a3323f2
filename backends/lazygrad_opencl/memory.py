"""Device memory as OpenCL buffers.

A ``Memory`` has a serial number, so that a program can tell whether an argument is still what it set last without
keeping the buffer alive (an address may come back with another buffer behind it).
"""

from __future__ import annotations

from itertools import count
from typing import Any

import pyopencl

_SERIALS = count(1)


class Memory:
    """One OpenCL buffer of ``size`` bytes."""

    __slots__ = ("buffer", "serial", "size")

    def __init__(self, context: Any, size: int) -> None:
        try:
            self.buffer = pyopencl.Buffer(context, pyopencl.mem_flags.READ_WRITE, size)
        except pyopencl.MemoryError as error:
            raise MemoryError(str(error)) from error
        except pyopencl.LogicError as error:
            largest = min(device.max_mem_alloc_size for device in context.devices)
            raise MemoryError(f"one buffer may have {largest} bytes on this device") from error
        self.size = size
        self.serial = next(_SERIALS)

    def release(self) -> None:
        """Gives the memory back to the driver, once submitted work is done with it."""
        self.buffer.release()
