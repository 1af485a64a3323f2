"""Transcendental functions of floats: exponentials, logarithms, roots, powers, angles, and the sigmoids of networks.

Powers are defined for integers too. How code generators compute each of them is in ``lazygrad.kernel.expansions``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Op, VjpRule
from lazygrad.ops.arithmetic import add, div, mul, neg, sub
from lazygrad.ops.bitwise import bitwise_and
from lazygrad.ops.comparison import eq, le, where
from lazygrad.ops.elementwise import Operand, elementwise, is_float, make, named
from lazygrad.ops.source import constant_value


def _square(x: Node) -> Node:
    return mul(x, x)


def _erf_numpy(x: Any) -> Any:
    return numpy.vectorize(math.erf, otypes=[numpy.float64])(x.astype(numpy.float64)).astype(x.dtype)


def _sigmoid_numpy(x: Any) -> Any:
    small = numpy.exp(-numpy.abs(x))
    return (numpy.where(x >= 0, 1, small) / (1 + small)).astype(x.dtype)


def _pow_numpy(x: Any, y: Any) -> Any:
    if x.dtype.kind in "iu":
        return numpy.where(y < 0, numpy.where(abs(x) == 1, x ** abs(y % 2), 0), x ** numpy.maximum(y, 0))
    return numpy.power(x, y)


def _pow_base_vjp(out: Node, g: Node) -> Node:
    base, exponent = out.inputs
    number = constant_value(exponent)
    if number is not None:
        return mul(g, mul(number, pow_(base, number - 1))) if number != 0 else mul(g, 0.0)
    slope = mul(exponent, pow_(base, sub(exponent, 1.0)))
    return where(eq(exponent, 0.0), 0.0, mul(g, slope))


def _pow_exponent_vjp(out: Node, g: Node) -> Node:
    base, exponent = out.inputs
    flat = bitwise_and(eq(base, 0.0), le(0.0, exponent))
    return where(flat, 0.0, mul(g, mul(out, log(base))))


def _of_float(name: str, meaning: Callable[..., Any], vjp: VjpRule, cost: float) -> Op:
    return elementwise(name, meaning, named(name), vjp, dtypes=is_float, cost=cost)


EXP = _of_float("exp", numpy.exp, lambda out, g: mul(g, out), 12)
EXPM1 = _of_float("expm1", numpy.expm1, lambda out, g: mul(g, add(out, 1.0)), 16)
LOG = _of_float("log", numpy.log, lambda out, g: div(g, out.inputs[0]), 14)
LOG1P = _of_float("log1p", numpy.log1p, lambda out, g: div(g, add(out.inputs[0], 1.0)), 18)
SQRT = _of_float("sqrt", numpy.sqrt, lambda out, g: div(mul(g, 0.5), out), 6)
RSQRT = _of_float(
    "rsqrt", lambda x: 1 / numpy.sqrt(x), lambda out, g: mul(g, mul(-0.5, mul(out, mul(out, out)))), 10
)  # fmt: skip
POW = elementwise("pow", _pow_numpy, named("pow"), _pow_base_vjp, _pow_exponent_vjp, symbol="**", cost=30)
SIN = _of_float("sin", numpy.sin, lambda out, g: mul(g, cos(out.inputs[0])), 16)
COS = _of_float("cos", numpy.cos, lambda out, g: neg(mul(g, sin(out.inputs[0]))), 16)
ASIN = _of_float("asin", numpy.arcsin, lambda out, g: mul(g, rsqrt(sub(1.0, _square(out.inputs[0])))), 20)
ACOS = _of_float("acos", numpy.arccos, lambda out, g: neg(mul(g, rsqrt(sub(1.0, _square(out.inputs[0]))))), 20)
ATAN = _of_float("atan", numpy.arctan, lambda out, g: div(g, add(1.0, _square(out.inputs[0]))), 20)
ATAN2 = elementwise(
    "atan2", numpy.arctan2, named("atan2"),
    lambda out, g: mul(g, div(out.inputs[1], add(_square(out.inputs[0]), _square(out.inputs[1])))),
    lambda out, g: neg(mul(g, div(out.inputs[0], add(_square(out.inputs[0]), _square(out.inputs[1]))))),
    dtypes=is_float, cost=24,
)  # fmt: skip
TANH = _of_float("tanh", numpy.tanh, lambda out, g: mul(g, sub(1.0, _square(out))), 16)
SIGMOID = _of_float("sigmoid", _sigmoid_numpy, lambda out, g: mul(g, mul(out, sub(1.0, out))), 16)
ERF = _of_float(
    "erf", _erf_numpy, lambda out, g: mul(g, mul(2 / math.sqrt(math.pi), exp(neg(_square(out.inputs[0]))))), 20
)


def exp(x: Node) -> Node:
    return node(EXP, (x,))


def expm1(x: Node) -> Node:
    """``exp(x) - 1``, exact also near zero."""
    return node(EXPM1, (x,))


def log(x: Node) -> Node:
    """The natural logarithm."""
    return node(LOG, (x,))


def log1p(x: Node) -> Node:
    """``log(1 + x)``, exact also near zero."""
    return node(LOG1P, (x,))


def sqrt(x: Node) -> Node:
    return node(SQRT, (x,))


def rsqrt(x: Node) -> Node:
    """``1 / sqrt(x)``."""
    return node(RSQRT, (x,))


def pow_(x: Operand, y: Operand) -> Node:
    return make(POW, x, y)


def sin(x: Node) -> Node:
    return node(SIN, (x,))


def cos(x: Node) -> Node:
    return node(COS, (x,))


def asin(x: Node) -> Node:
    return node(ASIN, (x,))


def acos(x: Node) -> Node:
    return node(ACOS, (x,))


def atan(x: Node) -> Node:
    return node(ATAN, (x,))


def atan2(y: Operand, x: Operand) -> Node:
    """The angle of the point (x, y), from -pi to pi."""
    return make(ATAN2, y, x)


def tanh(x: Node) -> Node:
    return node(TANH, (x,))


def sigmoid(x: Node) -> Node:
    """``1 / (1 + exp(-x))``."""
    return node(SIGMOID, (x,))


def erf(x: Node) -> Node:
    """The error function."""
    return node(ERF, (x,))
