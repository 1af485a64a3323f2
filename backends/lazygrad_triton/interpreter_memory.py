"""Memory as interpreted block programs see it: addresses that stand for elements of NumPy arrays.

In: the arrays of a launch. Out: one address for each, and loads, stores and atomic additions on blocks of addresses.
An address is the number of a region and a place in it, so that an access outside of the elements that a kernel was
given is found, whatever lies there in truth. Stores can be undone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

Array = numpy.ndarray[Any, Any]

# The upper bits of an address are the region's number plus one. Regions begin in the middle of what the lower bits
# reach, so that an address is still in its region on its way through a negative offset.
_REGION_BITS = 48
_MIDDLE = 1 << (_REGION_BITS - 1)


class AccessError(RuntimeError):
    """A block program touched memory that the kernel does not own."""


class Region(NamedTuple):
    """The bytes of one buffer, of which those from ``first`` to ``last`` (exclusive) may be touched."""

    bytes: Array
    first: int
    last: int
    written: bool


class AddressSpace:
    """The buffers of one launch."""

    def __init__(self) -> None:
        self._regions: list[Region] = []
        self._views: list[dict[numpy.dtype[Any], Array]] = []
        self._journal: list[tuple[Array, Array, Array]] = []

    def add(self, region: Region) -> int:
        """The address of the region's first byte."""
        self._regions.append(region)
        self._views.append({})
        return (len(self._regions) << _REGION_BITS) + _MIDDLE

    def load(self, addresses: Array, mask: Array | None, other: Array | None, dtype: numpy.dtype[Any]) -> Array:
        """The elements at the addresses; ``other`` (or 0) where the mask is False."""
        arrays = [array for array in (addresses, mask, other) if array is not None]
        shape = numpy.broadcast_shapes(*(array.shape for array in arrays))
        found = numpy.zeros(shape, dtype)
        if other is not None:
            found[...] = other
        for view, index, live in self._elements(addresses, mask, shape, dtype, "loads from", False):
            found[live] = view[index]
        return found

    def store(self, addresses: Array, values: Array, mask: Array | None, dtype: numpy.dtype[Any]) -> None:
        """Writes where the mask is True."""
        arrays = [array for array in (addresses, mask, values) if array is not None]
        shape = numpy.broadcast_shapes(*(array.shape for array in arrays))
        spread = numpy.broadcast_to(values, shape)
        for view, index, live in self._elements(addresses, mask, shape, dtype, "stores to", True):
            self._journal.append((view, index, view[index]))
            view[index] = spread[live].astype(dtype, copy=False)

    def add_atomically(self, addresses: Array, values: Array, mask: Array | None, dtype: numpy.dtype[Any]) -> Array:
        """Adds where the mask is True. Returns what was there before any of the additions."""
        arrays = [array for array in (addresses, mask, values) if array is not None]
        shape = numpy.broadcast_shapes(*(array.shape for array in arrays))
        spread = numpy.broadcast_to(values, shape)
        before = numpy.zeros(shape, dtype)
        for view, index, live in self._elements(addresses, mask, shape, dtype, "adds to", True):
            before[live] = view[index]
            self._journal.append((view, index, view[index]))
            numpy.add.at(view, index, spread[live].astype(dtype, copy=False))
        return before

    def commit(self) -> None:
        """What was stored stays."""
        self._journal.clear()

    def undo(self) -> None:
        """Takes back every store since the last commit."""
        for view, index, before in reversed(self._journal):
            view[index] = before
        self._journal.clear()

    def _elements(
        self, addresses: Array, mask: Array | None, shape: tuple[int, ...], dtype: numpy.dtype[Any], verb: str,
        writing: bool,
    ) -> list[tuple[Array, Array, Any]]:  # fmt: skip
        """For each region that is touched: its elements, which of them, and at which places of the block."""
        spread = numpy.broadcast_to(addresses, shape)
        everything: Any = ...
        live: Any = everything if mask is None or mask.all() else numpy.broadcast_to(mask, shape)
        chosen = spread if live is everything else spread[live]
        if not chosen.size:
            return []
        numbers = chosen >> numpy.uint64(_REGION_BITS)
        number = int(numbers.flat[0])
        if (numbers == number).all():
            view, index = self._index(number, chosen, dtype, verb, writing)
            return [(view, index, live)]
        found = []
        whole = spread >> numpy.uint64(_REGION_BITS)
        for number in numpy.unique(numbers).tolist():
            inside = whole == number
            if live is not everything:
                inside &= live
            view, index = self._index(number, spread[inside], dtype, verb, writing)
            found.append((view, index, inside))
        return found

    def _index(
        self, number: int, addresses: Array, dtype: numpy.dtype[Any], verb: str, writing: bool
    ) -> tuple[Array, Array]:
        if not 1 <= number <= len(self._regions):
            raise AccessError(f"a block program {verb} the address {int(addresses.flat[0]):#x}, which is no buffer's")
        region = self._regions[number - 1]
        size = dtype.itemsize
        start = (number << _REGION_BITS) + _MIDDLE
        places = (addresses - numpy.uint64(start)).view(numpy.int64)
        lowest, highest = int(places.min()), int(places.max())
        if lowest < region.first or highest + size > region.last:
            wrong = lowest if lowest < region.first else highest
            raise AccessError(
                f"a block program {verb} buffer {number - 1} at element {(wrong - region.first) // size} of "
                f"{(region.last - region.first) // size} ({dtype})"
            )
        if writing and not region.written:
            raise AccessError(f"a block program {verb} buffer {number - 1}, which the kernel only reads")
        if size > 1 and (places & (size - 1)).any():
            raise AccessError(f"a block program {verb} buffer {number - 1} between two elements of {dtype}")
        view = self._views[number - 1].get(dtype)
        if view is None:
            view = region.bytes[: region.bytes.size // size * size].view(dtype)
            self._views[number - 1][dtype] = view
        return view, places >> (size.bit_length() - 1)
