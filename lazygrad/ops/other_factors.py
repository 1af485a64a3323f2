"""Products of all factors but one, for each of them: the derivative of a product.

In: factors, and the axes they are multiplied over. Out: for each factor the product of the others. It is composed of
multiplications and views only, so that it and its derivatives of any order are right at zeros too.
"""

from __future__ import annotations

from lazygrad.ir.dtype import bool_
from lazygrad.ir.node import Node
from lazygrad.ir.shape import size_of
from lazygrad.ops.arithmetic import mul
from lazygrad.ops.comparison import where
from lazygrad.ops.movement import Padding, Range
from lazygrad.ops.padding import pad, slice_
from lazygrad.ops.reshaping import expand, flip, inverse_order, permute, reshape
from lazygrad.ops.source import constant

# Where they are long, halves of the factors begin at multiples of this, as vectors of float32 do.
_VECTOR = 8


def product_of_others(x: Node, axes: tuple[int, ...], scale: Node) -> Node:
    """For each element of ``x`` the product of all others over ``axes``, times ``scale`` (of the other axes' shape).

    The half of the factors that stands first is multiplied with the half behind it, until one is left; on the way
    back each half is given what its other half comes to. This is the reverse mode of the product (Speelpenning's
    example, see Griewank and Walther, Evaluating Derivatives, section 3.2): three multiplications a factor, memory
    for as many numbers as there are factors, and a step for each halving.

    A quotient, product / x, would be a single kernel over rows, but is 0/0 at a zero. Counting the zeros mends its
    value but not its derivatives, since none pass through a comparison; and a graph cannot branch on whether there
    are any. Nor is anything lost here where a product underflows or overflows and those of the others do not.
    """
    first = axes[0]
    others = tuple(axis for axis in range(x.rank) if axis not in axes)
    order = (*others[:first], *axes, *others[first:])  # the axes side by side, to be one
    moved = permute(x, order)
    before, after = moved.shape[:first], moved.shape[first + len(axes) :]
    count = size_of([x.shape[axis] for axis in axes])

    levels = []
    level = reshape(moved, (*before, count, *after))
    while level.shape[first] > 1:
        # The factors themselves are only made even: their layout is that of the result.
        level = _filled(level, first, 2 * _VECTOR if 2 * _VECTOR < level.shape[first] < count else 2)
        levels.append(level)
        half = level.shape[first] // 2
        level = mul(_part(level, first, 0, half), _part(level, first, half, 2 * half))
    rest = reshape(scale, (*before, 1, *after))
    for level in reversed(levels):
        half = level.shape[first] // 2
        halves = (*before, 2, half, *after)
        above = reshape(_part(rest, first, 0, half), (*before, 1, half, *after))
        rest = reshape(mul(expand(above, halves), flip(reshape(level, halves), (first,))), level.shape)
    return permute(reshape(_part(rest, first, 0, count), moved.shape), inverse_order(order))


def _part(x: Node, axis: int, start: int, stop: int) -> Node:
    ranges = (Range(start, stop) if a == axis else Range(0, extent) for a, extent in enumerate(x.shape))
    return slice_(x, tuple(ranges))


def _filled(x: Node, axis: int, multiple: int) -> Node:
    """Factors of 1 appended, so that the extent of an axis is a multiple of a number."""
    missing = -x.shape[axis] % multiple
    if not missing:
        return x
    around = tuple(Padding(0, missing if a == axis else 0) for a in range(x.rank))
    return where(pad(constant(True, x.shape, bool_, x.device), around), pad(x, around), 1.0)
