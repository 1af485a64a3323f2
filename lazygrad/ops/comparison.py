"""Comparison, and what chooses by it: equality and order give bool; where, maximum, minimum and relu choose a value."""

from __future__ import annotations

from typing import Any

import numpy

from lazygrad.ir import value as scalar
from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Op
from lazygrad.ops.arithmetic import mul
from lazygrad.ops.elementwise import Operand, elementwise, is_any, lifted, make, same_shape

EQ = elementwise(
    "eq", numpy.equal, lambda x, y: x.equals(y), None, None, dtypes=is_any, compares=True, commutative=True, symbol="=="
)
NE = elementwise(
    "ne", numpy.not_equal, lambda x, y: x.differs(y), None, None,
    dtypes=is_any, compares=True, commutative=True, symbol="!=",
)  # fmt: skip
LT = elementwise("lt", numpy.less, lambda x, y: x < y, None, None, dtypes=is_any, compares=True, symbol="<")
LE = elementwise("le", numpy.less_equal, lambda x, y: x <= y, None, None, dtypes=is_any, compares=True, symbol="<=")


def _where_dtype(inputs: tuple[Node, ...], attributes: Any) -> DType:
    condition, yes, no = inputs
    if condition.dtype is not bool_ or yes.dtype is not no.dtype:
        raise RuntimeError(
            f"where: needs a bool condition and two branches of one dtype, got {condition.dtype.name}, "
            f"{yes.dtype.name}, {no.dtype.name}"
        )
    return yes.dtype


WHERE = Op(
    name="where",
    family=Family.ELEMENTWISE,
    shape=same_shape,
    dtype=_where_dtype,
    numpy=lambda of, c, x, y: numpy.where(c, x, y),
    scalar=lambda c, x, y: scalar.where(c, x, y),
    vjp=(
        None,
        lambda out, g: where(out.inputs[0], g, 0.0),
        lambda out, g: where(out.inputs[0], 0.0, g),
    ),
)


def _halved_where_equal(out: Node, g: Node, wins: Node) -> Node:
    """Torch's convention for maximum and minimum: a tie gives half the cotangent to each side."""
    return where(wins, g, where(eq(*out.inputs), mul(g, 0.5), 0.0))


MAXIMUM = elementwise(
    "maximum", numpy.maximum, lambda x, y: scalar.where((x > y) | x.differs(x), x, y),
    lambda out, g: _halved_where_equal(out, g, lt(out.inputs[1], out.inputs[0])),
    lambda out, g: _halved_where_equal(out, g, lt(out.inputs[0], out.inputs[1])),
    dtypes=is_any, commutative=True, cost=2,
)  # fmt: skip
MINIMUM = elementwise(
    "minimum", numpy.minimum, lambda x, y: scalar.where((x < y) | x.differs(x), x, y),
    lambda out, g: _halved_where_equal(out, g, lt(out.inputs[0], out.inputs[1])),
    lambda out, g: _halved_where_equal(out, g, lt(out.inputs[1], out.inputs[0])),
    dtypes=is_any, commutative=True, cost=2,
)  # fmt: skip
# A primitive, so that its derivative needs the output only and the input need not be kept.
RELU = elementwise(
    "relu", lambda x: numpy.where(x <= 0, numpy.zeros((), x.dtype), x), lambda x: scalar.where(x <= 0, 0, x),
    lambda out, g: where(lt(0.0, out), g, 0.0), cost=2,
)  # fmt: skip


def eq(x: Operand, y: Operand) -> Node:
    return make(EQ, x, y)


def ne(x: Operand, y: Operand) -> Node:
    return make(NE, x, y)


def lt(x: Operand, y: Operand) -> Node:
    return make(LT, x, y)


def le(x: Operand, y: Operand) -> Node:
    return make(LE, x, y)


def where(condition: Node, x: Operand, y: Operand) -> Node:
    """``x`` where the condition holds, else ``y``; at least one of the two is a node."""
    like = x if isinstance(x, Node) else y
    if not isinstance(like, Node):
        raise TypeError("where: at least one branch must be a node")
    return node(WHERE, (condition, lifted(x, like), lifted(y, like)))


def maximum(x: Operand, y: Operand) -> Node:
    """The larger; NaN where one is NaN."""
    return make(MAXIMUM, x, y)


def minimum(x: Operand, y: Operand) -> Node:
    """The smaller; NaN where one is NaN."""
    return make(MINIMUM, x, y)


def relu(x: Node) -> Node:
    """``max(x, 0)``."""
    return node(RELU, (x,))
