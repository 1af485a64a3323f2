"""The largest value of each window and where it is: the nodes that max pooling of any rank is made of.

In: an image of any rank, and for each axis that windows slide over their size, stride, dilation and padding. Out: one
value for each window, and if asked for the positions in the flattened image that they came from.

One axis is done after the other, the last one first: the largest of the rows' largest values is the window's, and of
equal ones the first row's first is the window's first in row-major order, which is torch's choice. So k*k points cost
2k comparisons. Derivatives go where the values came from, through the same selections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lazygrad import ops
from lazygrad.ir.dtype import bool_
from lazygrad.ir.node import Node
from lazygrad.ir.shape import size_of
from lazygrad.ops.movement import Padding, Range, Window

# A window's points are compared one by one up to this size: each is then an operand of one elementwise kernel, which
# is what compiles to the fastest code, but its length grows with them. Larger windows are reduced instead.
COMPARED = 8


class Sliding(NamedTuple):
    """How windows slide over one axis: ``low`` and ``high`` points around the image belong to no element."""

    axis: int
    size: int
    stride: int
    dilation: int
    low: int
    high: int

    def count(self, extent: int) -> int:
        """How many windows there are on an axis of ``extent``."""
        return (extent + self.low + self.high - (self.size - 1) * self.dilation - 1) // self.stride + 1


def largest_of_windows(x: Node, slidings: Sequence[Sliding], with_positions: bool = False) -> tuple[Node, Node | None]:
    """The largest value of each window, NaN being larger than all, and its position (int64) or None.

    Every window must reach an element. Of equal values the first one is taken. Of several NaN it is the last one,
    as in torch, on axes where windows have at most ``COMPARED`` points.
    """
    positions = None
    if with_positions:
        image = tuple(x.shape[s.axis] for s in slidings)
        numbers = ops.reshape(
            ops.arange(size_of(image), x.device),
            tuple(x.shape[a] if a in {s.axis for s in slidings} else 1 for a in range(x.rank)),
        )
        positions = ops.expand(numbers, x.shape)
    for sliding in reversed(slidings):
        count = sliding.count(x.shape[sliding.axis])
        if sliding.low or sliding.high:
            around = tuple(
                Padding(sliding.low, sliding.high) if a == sliding.axis else Padding(0, 0) for a in range(x.rank)
            )
            inside = ops.pad(ops.constant(True, x.shape, bool_, x.device), around)
            x = ops.where(inside, ops.pad(x, around), x.dtype.minimum)
            positions = None if positions is None else ops.pad(positions, around)
        along = _compared if sliding.size <= COMPARED else _reduced
        x, positions = along(x, positions, sliding, count)
    return x, positions


def _compared(x: Node, positions: Node | None, sliding: Sliding, count: int) -> tuple[Node, Node | None]:
    """One point of all windows after the other: it replaces the best before it if it is larger."""
    best = _point(x, sliding, 0, count)
    best_position = None if positions is None else _point(positions, sliding, 0, count)
    for tap in range(1, sliding.size):
        value = _point(x, sliding, tap, count)
        better = ops.lt(best, value)
        if value.dtype.is_float:
            better = ops.bitwise_or(better, ops.ne(value, value))
        entered = _enters(best, sliding, tap, count)
        if entered is not None:
            better = ops.bitwise_or(better, entered)
        best = ops.where(better, value, best)
        if positions is not None and best_position is not None:
            best_position = ops.where(better, _point(positions, sliding, tap, count), best_position)
    return best, best_position


def _point(x: Node, sliding: Sliding, tap: int, count: int) -> Node:
    """Point ``tap`` of each of the ``count`` windows on an axis."""
    start = tap * sliding.dilation
    own = Range(start, start + (count - 1) * sliding.stride + 1, sliding.stride)
    return ops.slice_(x, tuple(own if a == sliding.axis else Range(0, e) for a, e in enumerate(x.shape)))


def _enters(like: Node, sliding: Sliding, tap: int, count: int) -> Node | None:
    """The windows whose first element is at ``tap``: what is before it is padding, and no element loses to that.

    It would only where all elements are the dtype's smallest value, -inf. None if there are no such windows.
    """
    start, stop = (
        min(max(-(-(sliding.low - t * sliding.dilation) // sliding.stride), 0), count) for t in (tap, tap - 1)
    )
    if start == stop:
        return None
    shape = tuple(stop - start if a == sliding.axis else e for a, e in enumerate(like.shape))
    around = tuple(Padding(start, count - stop) if a == sliding.axis else Padding(0, 0) for a in range(like.rank))
    return ops.pad(ops.constant(True, shape, bool_, like.device), around)


def _reduced(x: Node, positions: Node | None, sliding: Sliding, count: int) -> tuple[Node, Node | None]:
    """All points of each window at once: selected by a mask and summed, the derivative is a mask again."""
    window = (Window(sliding.axis, sliding.size, sliding.stride, sliding.dilation),)
    points = ops.windows(x, window)
    last = points.rank - 1
    largest = ops.argmax(points, last)
    if sliding.low:
        # As in _enters: the padding before a window's first element is never taken.
        before = ops.sub(sliding.low, ops.mul(ops.arange(count, x.device), sliding.stride))
        first = ops.maximum(ops.neg(ops.floor_divide(ops.neg(before), sliding.dilation)), 0)
        line = tuple(count if a == sliding.axis else 1 for a in range(largest.rank))
        largest = ops.maximum(largest, ops.expand(ops.reshape(first, line), largest.shape))
    taps = ops.expand(ops.reshape(ops.arange(sliding.size, x.device), (1,) * last + (sliding.size,)), points.shape)
    chosen = ops.eq(taps, ops.expand(ops.reshape(largest, (*largest.shape, 1)), points.shape))
    best = ops.sum_(ops.where(chosen, points, 0), (last,))
    if positions is None:
        return best, None
    return best, ops.sum_(ops.where(chosen, ops.windows(positions, window), 0), (last,))
