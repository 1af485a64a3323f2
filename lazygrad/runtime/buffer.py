"""Buffers: computed elements of one tensor in a device's memory.

A buffer is a window (offset and layout) on an allocation; several buffers may share one. The allocation goes
back to its device's pool when the last buffer on it dies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import count, repeat
from typing import Any

from lazygrad.ir.dtype import DType
from lazygrad.ir.layout import Layout
from lazygrad.ir.node import Place
from lazygrad.ir.shape import Shape

_next_contents = count()


class Allocation:
    """A piece of device memory; ``memory`` is the backend's own handle, ``size`` is in bytes.

    ``contents`` numbers what is in it: no other elements, here or elsewhere, have had the number before. ``derived``
    has values, by what they are, that were computed from these elements and are kept for whoever wants the same again.
    """

    __slots__ = ("__weakref__", "contents", "derived", "memory", "place", "size")

    def __init__(self, memory: Any, size: int, place: Place | None = None) -> None:
        self.memory = memory
        self.size = size
        self.place = place
        self.contents = next(_next_contents)
        self.derived: dict[Any, Buffer] | None = None

    def overwrite(self) -> None:
        """From now on other elements are written here."""
        self.contents = next(_next_contents)
        self.derived = None

    def derive(self, key: Any, value: Buffer, most: int) -> None:
        """Keeps a value. All of them take at most ``most`` times the memory of this, or the oldest are let go."""
        derived = self.derived = {**(self.derived or {}), key: value}
        size = sum(each.allocation.size for each in derived.values())
        for oldest in list(derived)[:-1]:
            if size <= most * self.size:
                break
            size -= derived.pop(oldest).allocation.size


def overwrite_all(allocations: Sequence[Allocation]) -> None:
    """``overwrite`` of each. A step does this to all parameters, gradients and state, so it is done in C."""
    deque(map(setattr, allocations, repeat("contents"), _next_contents), maxlen=0)
    deque(map(setattr, allocations, repeat("derived"), repeat(None)), maxlen=0)


class Buffer:
    """The elements of a tensor: an allocation, the offset of the first element, and a layout.

    ``is_window``: the allocation holds more than these elements, and other windows like it may follow.
    ``overwritten_at`` is the user's line that took the memory for an update in place: the elements are gone then.
    """

    __slots__ = (
        "__weakref__",
        "_allocation",
        "device",
        "dtype",
        "is_window",
        "layout",
        "offset",
        "overwritten_at",
        "shape",
    )

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
        self._allocation: Allocation | None = allocation
        self.overwritten_at: Place | None = None
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.layout = layout
        self.offset = offset
        self.is_window = is_window

    @property
    def allocation(self) -> Allocation:
        """The memory. RuntimeError (much like torch's) when the elements have been overwritten."""
        if self._allocation is None:
            raise RuntimeError(
                f"a value of {self.dtype.name}{list(self.shape)} that is needed for this computation has been modified "
                f"by an inplace operation, the update at {self.overwritten_at or 'an unknown line'}. "
                "Compute what depends on the old value before the update, or keep a copy with .detach().clone()"
            )
        return self._allocation

    @property
    def is_overwritten(self) -> bool:
        """Whether the elements are gone."""
        return self._allocation is None

    def overwrite(self, place: Place | None) -> None:
        """The elements are gone; ``place`` is the user's line that updated them."""
        self._allocation = None
        self.overwritten_at = place

    def __repr__(self) -> str:
        return f"<buffer {self.dtype.name}{list(self.shape)} on {self.device}>"
