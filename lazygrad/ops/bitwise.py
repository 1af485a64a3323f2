"""Bits: and, or, exclusive or and not (for bool, the logical operations), and shifts. None is differentiable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from lazygrad.ir.node import Node, node
from lazygrad.ops.elementwise import Operand, elementwise, is_integer, is_integral, make, named

BITWISE_AND = elementwise(
    "bitwise_and", numpy.bitwise_and, lambda x, y: x & y, None, None, dtypes=is_integral, commutative=True, symbol="&"
)
BITWISE_OR = elementwise(
    "bitwise_or", numpy.bitwise_or, lambda x, y: x | y, None, None, dtypes=is_integral, commutative=True, symbol="|"
)
BITWISE_XOR = elementwise(
    "bitwise_xor", numpy.bitwise_xor, lambda x, y: x ^ y, None, None, dtypes=is_integral, commutative=True, symbol="^"
)
BITWISE_NOT = elementwise("bitwise_not", numpy.bitwise_not, lambda x: ~x, None, dtypes=is_integral, symbol="~")


def _in_range(shift: Callable[[Any, Any], Any], overflow: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Shifts by the width or more give what shifting one by one would, on every backend."""

    def meaning(x: Any, y: Any) -> Any:
        bits = x.dtype.itemsize * 8
        inside = (y >= 0) & (y < bits)
        return numpy.where(inside, shift(x, numpy.where(inside, y, 0)), overflow(x)).astype(x.dtype)

    return meaning


SHIFT_LEFT = elementwise(
    "shift_left", _in_range(numpy.left_shift, lambda x: 0 * x), named("shift_left"), None, None,
    dtypes=is_integer, symbol="<<",
)  # fmt: skip
SHIFT_RIGHT = elementwise(
    "shift_right", _in_range(numpy.right_shift, lambda x: numpy.where(x < 0, -1, 0) if x.dtype.kind == "i" else 0 * x),
    named("shift_right"), None, None, dtypes=is_integer, symbol=">>",
)  # fmt: skip


def bitwise_and(x: Operand, y: Operand) -> Node:
    return make(BITWISE_AND, x, y)


def bitwise_or(x: Operand, y: Operand) -> Node:
    return make(BITWISE_OR, x, y)


def bitwise_xor(x: Operand, y: Operand) -> Node:
    return make(BITWISE_XOR, x, y)


def bitwise_not(x: Node) -> Node:
    """Bits inverted; logical not for bool."""
    return node(BITWISE_NOT, (x,))


def shift_left(x: Operand, y: Operand) -> Node:
    return make(SHIFT_LEFT, x, y)


def shift_right(x: Operand, y: Operand) -> Node:
    """Arithmetic for signed integers: the sign moves in."""
    return make(SHIFT_RIGHT, x, y)
