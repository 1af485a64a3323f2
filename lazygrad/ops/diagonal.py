"""Diagonals, composed of movements: no primitive of its own."""

from __future__ import annotations

from lazygrad.ir.node import Node
from lazygrad.ops.movement import Range
from lazygrad.ops.padding import slice_
from lazygrad.ops.reshaping import permute, reshape


def diagonal(x: Node, first: int, second: int, offset: int = 0) -> Node:
    """The elements at which axis ``second`` is ``offset`` ahead of axis ``first``; they become the last axis.

    Flattened to one axis, a square's diagonal is every (extent + 1)th element.
    """
    others = tuple(axis for axis in range(x.rank) if axis not in (first, second))
    moved = permute(x, (*others, first, second))
    *outer, rows, columns = moved.shape
    top, left = max(-offset, 0), max(offset, 0)
    length = max(min(rows - top, columns - left), 0)
    if not length:
        top = left = 0
    whole = tuple(Range(0, extent) for extent in outer)
    square = slice_(moved, (*whole, Range(top, top + length), Range(left, left + length)))
    flat = reshape(square, (*outer, length * length))
    return slice_(flat, (*whole, Range(0, length * length, length + 1)))
