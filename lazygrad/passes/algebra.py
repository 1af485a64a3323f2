"""Algebra on elementwise operations: folds constants, drops neutral elements, turns powers into products.

Only rules that keep NaN and infinity: ``0 * x`` stays, since x may be either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from lazygrad import ops
from lazygrad.ir.dtype import bool_
from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.ops.arithmetic import MUL, NEG
from lazygrad.ops.identity import CAST
from lazygrad.ops.source import constant, constant_value

# Whole exponents up to this become products: exact to an ulp each, and cheaper than a general power.
LARGEST_UNROLLED_POWER = 4


def simplify_algebra(current: Node) -> Node | None:
    if current.op.family is not Family.ELEMENTWISE:
        return None
    numbers = [constant_value(i) for i in current.inputs]
    if all(number is not None for number in numbers):
        return _fold(current)
    rule = _RULES.get(current.op.name)
    return rule(current, numbers) if rule is not None else None


def _fold(current: Node) -> Node | None:
    arrays = [numpy.full((), constant_value(i), i.dtype.numpy) for i in current.inputs]
    with numpy.errstate(all="ignore"):
        value = current.op.numpy(current, *arrays)
    return constant(numpy.asarray(value).item(), current.shape, current.dtype, current.device)


def _add(current: Node, numbers: list[Any]) -> Node | None:
    x, y = current.inputs
    if numbers[0] == 0:
        return y
    if numbers[1] == 0:
        return x
    if y.op is NEG:
        return ops.sub(x, y.inputs[0])
    if x.op is NEG:
        return ops.sub(y, x.inputs[0])
    return None


def _sub(current: Node, numbers: list[Any]) -> Node | None:
    x, y = current.inputs
    if numbers[1] == 0:
        return x
    if y.op is NEG:
        return ops.add(x, y.inputs[0])
    return ops.neg(y) if numbers[0] == 0 and not x.dtype.is_float else None


def _mul(current: Node, numbers: list[Any]) -> Node | None:
    x, y = current.inputs
    for number, other in ((numbers[0], y), (numbers[1], x)):
        if number == 1:
            return other
        if number == -1:
            return _neg_of(other)
        if number is not None and other.op is MUL:  # c1 * (c2 * z) == (c1 * c2) * z
            for i, inner in enumerate(other.inputs):
                factor = constant_value(inner)
                if factor is not None:
                    return ops.mul(other.inputs[1 - i], number * factor)
        if number is not None and other.op is NEG:
            return ops.mul(other.inputs[0], -number)
    if x.op is NEG and y.op is NEG:
        return ops.mul(x.inputs[0], y.inputs[0])
    return None


def _div(current: Node, numbers: list[Any]) -> Node | None:
    x, _ = current.inputs
    if numbers[1] == 1:
        return x
    if numbers[1] is not None and numpy.frexp(numbers[1])[0] == 0.5 and numbers[1] != 0:
        return ops.mul(x, 1 / numbers[1])  # exact: the divisor is a power of two
    return None


def _neg_of(x: Node) -> Node:
    return x.inputs[0] if x.op is NEG else ops.neg(x)


def _neg(current: Node, numbers: list[Any]) -> Node | None:
    (x,) = current.inputs
    return x.inputs[0] if x.op is NEG else None


def _pow(current: Node, numbers: list[Any]) -> Node | None:
    base, _ = current.inputs
    exponent = numbers[1]
    if exponent is None:
        return None
    if exponent == 1:
        return base
    if not base.dtype.is_float:
        return None
    if exponent == 0:
        return constant(1, base.shape, base.dtype, base.device)
    if exponent == 0.5:
        return ops.sqrt(base)
    if exponent == -0.5:
        return ops.rsqrt(base)
    if exponent == int(exponent) and 0 < abs(exponent) <= LARGEST_UNROLLED_POWER:
        product = base
        for _ in range(int(abs(exponent)) - 1):
            product = ops.mul(product, base)
        return product if exponent > 0 else ops.div(1.0, product)
    return None


def _cast(current: Node, numbers: list[Any]) -> Node | None:
    (x,) = current.inputs
    if x.dtype is current.dtype:
        return x
    if x.op is CAST and x.inputs[0].dtype is bool_ and x.dtype.kind != "bool":
        return ops.cast(x.inputs[0], current.dtype)
    return None


def _where(current: Node, numbers: list[Any]) -> Node | None:
    _, yes, no = current.inputs
    if numbers[0] is not None:
        return yes if numbers[0] else no
    return yes if yes is no else None


def _logic(neutral: bool) -> Callable[[Node, list[Any]], Node | None]:
    def rule(current: Node, numbers: list[Any]) -> Node | None:
        x, y = current.inputs
        if x is y:
            return x
        if current.dtype is bool_:
            for number, own, other in ((numbers[0], x, y), (numbers[1], y, x)):
                if number is not None:
                    return other if number == neutral else own
        return None

    return rule


_RULES: dict[str, Callable[[Node, list[Any]], Node | None]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "pow": _pow,
    "cast": _cast,
    "where": _where,
    "bitwise_and": _logic(True),
    "bitwise_or": _logic(False),
}
