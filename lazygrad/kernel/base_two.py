"""Exponentials in base two, as hardware computes them.

In: values with ``exp``. Out: the same with ``exp2`` of what is log2(e) times as much. The factor goes into constants
that multiply already, where there are any: the scale of a score, say.
"""

from __future__ import annotations

import math

from lazygrad.ir.value import CONSTANT, Value, apply, constant, leaf, where
from lazygrad.kernel.walk import ordered_values

LOG2_E = math.log2(math.e)
LN_2 = math.log(2)


def in_base_two(value: Value) -> Value:
    """The value without ``exp``."""
    done: dict[Value, Value] = {}
    for current in ordered_values([value]):
        inputs = tuple(done[i] for i in current.inputs)
        if current.op == "exp" and current.dtype.is_float:
            done[current] = apply("exp2", scaled(inputs[0], LOG2_E))
        elif inputs != current.inputs:
            done[current] = leaf(current.op, current.dtype, current.payload, inputs)
        else:
            done[current] = current
    return done[value]


def scaled(value: Value, factor: float) -> Value:
    """``value * factor`` for a factor above 0, multiplied as far down as sums and choices reach."""
    match value.op, value.inputs:
        case "constant", _:
            return constant(value.payload.number * factor, value.dtype)
        case "where", (condition, yes, no):
            return where(condition, scaled(yes, factor), scaled(no, factor))
        case ("add" | "sub") as op, (x, y):
            return apply(op, scaled(x, factor), scaled(y, factor))
        case "mul", (x, y) if y.op == CONSTANT:
            return x * scaled(y, factor)
        case "mul", (x, y) if x.op == CONSTANT:
            return scaled(x, factor) * y
    return value * factor
