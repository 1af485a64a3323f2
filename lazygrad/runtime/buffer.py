"""Buffers: computed elements of one tensor in a device's memory.

A buffer is a window (offset and layout) on an allocation; several buffers may share one. The allocation goes
back to its device's pool when the last buffer on it dies.
"""

from __future__ import annotations

from typing import Any

from lazygrad.ir.dtype import DType
from lazygrad.ir.layout import Layout
from lazygrad.ir.node import Place
from lazygrad.ir.shape import Shape


class Allocation:
    """A piece of device memory; ``memory`` is the backend's own handle, ``size`` is in bytes."""

    __slots__ = ("__weakref__", "memory", "owner", "place", "size")

    def __init__(self, memory: Any, size: int, owner: Any, place: Place | None = None) -> None:
        self.memory = memory
        self.size = size
        self.owner = owner
        self.place = place

    def __del__(self) -> None:
        if self.owner is not None:
            self.owner.release(self)


class Buffer:
    """The elements of a tensor: an allocation, the offset of the first element, and a layout.

    ``is_window``: the allocation holds more than these elements, and other windows like it may follow.
    """

    __slots__ = ("__weakref__", "allocation", "device", "dtype", "is_window", "layout", "offset", "shape")

    def __init__(
        self,
        allocation: Allocation,
        shape: Shape,
        dtype: DType,
        device: str,
        layout: Layout,
        offset: int = 0,
        is_window: bool = False,
    ) -> None:
        self.allocation = allocation
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.layout = layout
        self.offset = offset
        self.is_window = is_window

    def __repr__(self) -> str:
        return f"<buffer {self.dtype.name}{list(self.shape)} on {self.device}>"
