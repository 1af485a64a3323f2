"""Functions of one operand, element by element.

In: a tensor of shape (*). Out: a lazy tensor of shape (*). Functions with values between the integers convert
integer and bool tensors to float32 first.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from lazygrad import ops
from lazygrad.ir.dtype import bool_
from lazygrad.ir.node import Node
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.inplace import in_place
from lazygrad.tensor.operands import as_float

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

Unary: TypeAlias = "Callable[[Tensor], Tensor]"


def _of_floats(name: str, build: Callable[[Node], Node], meaning: str) -> Unary:
    def function(input: Tensor) -> Tensor:
        return wrap(build(as_float(input._enter())), input, name=name.capitalize())

    return _described(function, name, meaning)


def _of_numbers(name: str, build: Callable[[Node], Node], meaning: str) -> Unary:
    def function(input: Tensor) -> Tensor:
        x = input._enter()
        if x.dtype is bool_:
            raise RuntimeError(f"{name} is not defined for bool tensors; convert with .int() or use logical_not")
        return wrap(build(x), input, name=name.capitalize())

    return _described(function, name, meaning)


def _rounding(name: str, build: Callable[[Node], Node], meaning: str) -> Unary:
    def function(input: Tensor) -> Tensor:
        x = input._enter()
        return wrap(build(x) if x.dtype.is_float else x, input, name=name.capitalize())

    return _described(function, name, meaning)


def _described(function: Unary, name: str, meaning: str) -> Unary:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = meaning
    return function


def _sinh(x: Node) -> Node:
    """(expm1(x) - expm1(-x)) / 2: exact near zero, where exp(x) - exp(-x) cancels."""
    return ops.mul(ops.sub(ops.expm1(x), ops.expm1(ops.neg(x))), 0.5)


def _cosh(x: Node) -> Node:
    return ops.mul(ops.add(ops.exp(x), ops.exp(ops.neg(x))), 0.5)


def _asinh(x: Node) -> Node:
    size = ops.abs_(x)
    square = ops.mul(size, size)
    # log1p of |x| + x**2 / (1 + sqrt(1 + x**2)) is exact near zero.
    part = ops.div(square, ops.add(ops.sqrt(ops.add(square, 1.0)), 1.0))
    return ops.mul(ops.sign(x), ops.log1p(ops.add(size, part)))


def _acosh(x: Node) -> Node:
    return ops.log(ops.add(x, ops.sqrt(ops.mul(ops.sub(x, 1.0), ops.add(x, 1.0)))))


def _atanh(x: Node) -> Node:
    return ops.mul(ops.sub(ops.log1p(x), ops.log1p(ops.neg(x))), 0.5)


def _erfc(x: Node) -> Node:
    return ops.sub(1.0, ops.erf(x))


exp = _of_floats("exp", ops.exp, "e to the power of each element.")
exp2 = _of_floats("exp2", lambda x: ops.exp(ops.mul(x, math.log(2))), "2 to the power of each element.")
expm1 = _of_floats("expm1", ops.expm1, "``exp(x) - 1``, exact also near zero.")
log = _of_floats("log", ops.log, "The natural logarithm.")
log2 = _of_floats("log2", lambda x: ops.div(ops.log(x), math.log(2)), "The logarithm to base 2.")
log10 = _of_floats("log10", lambda x: ops.div(ops.log(x), math.log(10)), "The logarithm to base 10.")
log1p = _of_floats("log1p", ops.log1p, "``log(1 + x)``, exact also near zero.")
sqrt = _of_floats("sqrt", ops.sqrt, "The square root.")
rsqrt = _of_floats("rsqrt", ops.rsqrt, "One over the square root.")
reciprocal = _of_floats("reciprocal", lambda x: ops.div(1.0, x), "One over each element.")
sin = _of_floats("sin", ops.sin, "The sine of an angle in radians.")
cos = _of_floats("cos", ops.cos, "The cosine of an angle in radians.")
tan = _of_floats("tan", lambda x: ops.div(ops.sin(x), ops.cos(x)), "The tangent of an angle in radians.")
asin = _of_floats("asin", ops.asin, "The angle whose sine is x, from -pi/2 to pi/2.")
acos = _of_floats("acos", ops.acos, "The angle whose cosine is x, from 0 to pi.")
atan = _of_floats("atan", ops.atan, "The angle whose tangent is x, from -pi/2 to pi/2.")
sinh = _of_floats("sinh", _sinh, "The hyperbolic sine.")
cosh = _of_floats("cosh", _cosh, "The hyperbolic cosine.")
tanh = _of_floats("tanh", ops.tanh, "The hyperbolic tangent.")
asinh = _of_floats("asinh", _asinh, "The inverse of the hyperbolic sine.")
acosh = _of_floats("acosh", _acosh, "The inverse of the hyperbolic cosine.")
atanh = _of_floats("atanh", _atanh, "The inverse of the hyperbolic tangent.")
erf = _of_floats("erf", ops.erf, "The error function.")
erfc = _of_floats("erfc", _erfc, "One minus the error function.")
sigmoid = _of_floats("sigmoid", ops.sigmoid, "``1 / (1 + exp(-x))``.")
relu = _of_numbers("relu", ops.relu, "``max(x, 0)``.")
neg = _of_numbers("neg", ops.neg, "``-x``.")
abs = _of_numbers("abs", ops.abs_, "The absolute value.")
sign = _of_numbers("sign", ops.sign, "-1, 0 or 1.")
square = _of_numbers("square", lambda x: ops.mul(x, x), "``x * x``.")
floor = _rounding("floor", ops.floor, "Rounded to minus infinity.")
ceil = _rounding("ceil", ops.ceil, "Rounded to plus infinity.")
trunc = _rounding("trunc", ops.trunc, "Rounded to zero.")
frac = _rounding("frac", lambda x: ops.sub(x, ops.trunc(x)), "What ``trunc`` takes away.")


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounded to ``decimals`` places, halves to the even neighbour.

    >>> import lazygrad as lg
    >>> lg.tensor([0.5, 1.5, 2.26]).round(decimals=1), lg.tensor([0.5, 1.5]).round()
    (tensor([0.5000, 1.5000, 2.3000]), tensor([0., 2.]))
    """
    x = input._enter()
    if not x.dtype.is_float:
        return wrap(x, input)
    if not decimals:
        return wrap(ops.round_(x), input)
    scale = 10.0 ** builtins.abs(decimals)
    if decimals > 0:
        return wrap(ops.div(ops.round_(ops.mul(x, scale)), scale), input, name="Round")
    return wrap(ops.mul(ops.round_(ops.div(x, scale)), scale), input, name="Round")


def positive(input: Tensor) -> Tensor:
    """``+x``: the same tensor."""
    if input._cell.node.dtype is bool_:
        raise RuntimeError("positive is not defined for bool tensors")
    return input


negative, absolute, fix = neg, abs, trunc
arcsin, arccos, arctan = asin, acos, atan

exp_, expm1_, log_, log1p_, sqrt_, rsqrt_ = map(in_place, (exp, expm1, log, log1p, sqrt, rsqrt))
log2_, log10_, exp2_, reciprocal_, square_ = map(in_place, (log2, log10, exp2, reciprocal, square))
sin_, cos_, tan_, asin_, acos_, atan_ = map(in_place, (sin, cos, tan, asin, acos, atan))
sinh_, cosh_, tanh_, erf_, erfc_, sigmoid_ = map(in_place, (sinh, cosh, tanh, erf, erfc, sigmoid))
relu_, neg_, abs_, sign_ = map(in_place, (relu, neg, abs, sign))
floor_, ceil_, trunc_, frac_, round_ = (
    in_place(floor),
    in_place(ceil),
    in_place(trunc),
    in_place(frac),
    in_place(round),
)
