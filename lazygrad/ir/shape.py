"""Shapes: tuples of extents. Broadcasting, axis normalisation, and errors that name what was given."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

Shape = tuple[int, ...]


def size_of(shape: Sequence[int]) -> int:
    """The number of elements; 1 for a scalar's empty shape."""
    return prod(shape)


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The common shape by the usual rule: align on the right, extents equal or 1.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for axis, extent in enumerate(shape, rank - len(shape)):
            if extent != 1 and extent != result[axis]:
                if result[axis] != 1:
                    raise RuntimeError(
                        f"shapes {' and '.join(str(list(s)) for s in shapes)} cannot be broadcast together: "
                        f"axis {axis - rank} has extents {result[axis]} and {extent}; they must be equal or 1"
                    )
                result[axis] = extent
    return tuple(result)


def normalize_axis(axis: int, rank: int, op: str = "operation") -> int:
    """``axis`` counted from the front; IndexError (torch's type) when it is out of range."""
    limit = max(rank, 1)
    if not -limit <= axis < limit:
        raise IndexError(
            f"{op}: dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {axis})"
        )
    return axis % limit


def normalize_axes(axes: int | Sequence[int] | None, rank: int, op: str = "operation") -> tuple[int, ...]:
    """Sorted axes counted from the front; None means all. RuntimeError when one is named twice."""
    if axes is None:
        return tuple(range(rank))
    given = (axes,) if isinstance(axes, int) else tuple(axes)
    result = tuple(normalize_axis(axis, rank, op) for axis in given)
    if len(set(result)) != len(result):
        raise RuntimeError(f"{op}: dimension appears twice in {list(given)}")
    return tuple(sorted(result)) if rank else ()
