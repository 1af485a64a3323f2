"""Rounding floats to integers, and division that rounds: floor_divide and what it leaves, remainder."""

from __future__ import annotations

import numpy

from lazygrad.ir.node import Node, node
from lazygrad.ops.arithmetic import div, mul, neg, zero_slope
from lazygrad.ops.elementwise import Operand, elementwise, is_float, make, named

FLOOR = elementwise("floor", numpy.floor, named("floor"), zero_slope, dtypes=is_float, cost=3)
CEIL = elementwise("ceil", numpy.ceil, named("ceil"), zero_slope, dtypes=is_float, cost=3)
TRUNC = elementwise("trunc", numpy.trunc, named("trunc"), zero_slope, dtypes=is_float, cost=3)
ROUND = elementwise("round", numpy.rint, named("round"), zero_slope, dtypes=is_float, cost=3)
# Both round to minus infinity, as Python and torch do: a == b * floor_divide(a, b) + remainder(a, b).
FLOOR_DIVIDE = elementwise("floor_divide", numpy.floor_divide, named("floor_divide"), None, None, symbol="//", cost=10)
REMAINDER = elementwise(
    "remainder", numpy.remainder, named("remainder"),
    lambda out, g: g, lambda out, g: neg(mul(g, floor(div(*out.inputs)))), symbol="%", cost=10,
)  # fmt: skip


def floor(x: Node) -> Node:
    """To minus infinity."""
    return node(FLOOR, (x,))


def ceil(x: Node) -> Node:
    """To plus infinity."""
    return node(CEIL, (x,))


def trunc(x: Node) -> Node:
    """To zero."""
    return node(TRUNC, (x,))


def round_(x: Node) -> Node:
    """To the nearest integer, halves to the even one."""
    return node(ROUND, (x,))


def floor_divide(x: Operand, y: Operand) -> Node:
    return make(FLOOR_DIVIDE, x, y)


def remainder(x: Operand, y: Operand) -> Node:
    """What ``floor_divide`` leaves; it has the sign of ``y``."""
    return make(REMAINDER, x, y)
