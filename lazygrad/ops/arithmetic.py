"""Arithmetic: sums, differences, products, quotients, signs. Defined for numbers; quotients for floats only.

Division that rounds is in ``rounding``, powers are in ``transcendental``.
"""

from __future__ import annotations

import numpy

from lazygrad.ir import value as scalar
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Linearity
from lazygrad.ir.value import Value
from lazygrad.ops.elementwise import Operand, elementwise, is_float, make, named


def _cotangent(out: Node, g: Node) -> Node:
    return g


def zero_slope(out: Node, g: Node) -> Node:
    """The derivative of a step; NaN and infinity in the cotangent stay visible."""
    return mul(g, 0.0)


def _sign_scalar(x: Value) -> Value:
    positive = scalar.where(x > 0, 1, scalar.constant(0, x.dtype))
    return scalar.where(x < 0, -1, positive) if x.dtype.is_signed else positive


ADD = elementwise(
    "add", numpy.add, lambda x, y: x + y, _cotangent, _cotangent,
    linearity=Linearity.JOINT, commutative=True, symbol="+",
)  # fmt: skip
SUB = elementwise(
    "sub", numpy.subtract, lambda x, y: x - y, _cotangent, lambda out, g: neg(g), linearity=Linearity.JOINT, symbol="-"
)
MUL = elementwise(
    "mul", numpy.multiply, lambda x, y: x * y,
    lambda out, g: mul(g, out.inputs[1]), lambda out, g: mul(g, out.inputs[0]),
    linearity=Linearity.EACH, commutative=True, symbol="*",
)  # fmt: skip
DIV = elementwise(
    "div", numpy.divide, lambda x, y: x / y,
    lambda out, g: div(g, out.inputs[1]), lambda out, g: neg(mul(g, div(out, out.inputs[1]))),
    dtypes=is_float, symbol="/", cost=4,
)  # fmt: skip
NEG = elementwise("neg", numpy.negative, lambda x: -x, lambda out, g: neg(g), linearity=Linearity.JOINT, symbol="-")
ABS = elementwise("abs", numpy.abs, named("abs"), lambda out, g: mul(g, sign(out.inputs[0])))
SIGN = elementwise(
    "sign", lambda x: numpy.where(x != x, 0, numpy.sign(x)).astype(x.dtype), _sign_scalar, zero_slope, cost=2
)


def add(x: Operand, y: Operand) -> Node:
    return make(ADD, x, y)


def sub(x: Operand, y: Operand) -> Node:
    return make(SUB, x, y)


def mul(x: Operand, y: Operand) -> Node:
    return make(MUL, x, y)


def div(x: Operand, y: Operand) -> Node:
    return make(DIV, x, y)


def neg(x: Node) -> Node:
    return node(NEG, (x,))


def abs_(x: Node) -> Node:
    return node(ABS, (x,))


def sign(x: Node) -> Node:
    """-1, 0 or 1; of NaN, 0."""
    return node(SIGN, (x,))
