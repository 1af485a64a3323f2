"""What a stage need not look at: conditions outside of which its accumulators take in nothing.

A score that is ``where(valid(mask), score, -inf)`` has no weight where the mask does not hold, whatever is weighted.
Where it does hold for a whole tile, ``where`` is not needed.
"""

from __future__ import annotations

import math

from lazygrad.ir.index import Mask
from lazygrad.ir.value import CONSTANT, VALID, Value, leaf
from lazygrad.kernel.kernel import Contraction, Stage
from lazygrad.kernel.mapping import map_stage
from lazygrad.kernel.walk import ordered_values


def visible(stage: Stage) -> Mask:
    """Bounds that hold wherever any accumulator of the stage takes in anything."""
    masks = []
    for accumulator in stage.accumulators:
        weight = accumulator.operands[0]
        masks.append(_outside_zero(weight) if isinstance(accumulator, Contraction) else _outside_hidden(weight))
    return tuple(bound for bound in masks[0] if all(bound in mask for mask in masks[1:])) if masks else ()


def assuming(stage: Stage, mask: Mask) -> Stage:
    """The stage where all bounds of the mask are known to hold."""
    done: dict[Value, Value] = {}

    def rewritten(value: Value) -> Value:
        for current in ordered_values([value]):
            if current not in done:
                done[current] = _assuming(current, tuple(done[i] for i in current.inputs), mask)
        return done[value]

    return map_stage(stage, rewritten)


def _assuming(value: Value, inputs: tuple[Value, ...], mask: Mask) -> Value:
    if value.op == "where" and inputs[0].op == VALID and all(bound in mask for bound in inputs[0].payload):
        return inputs[1]
    return value if inputs == value.inputs else leaf(value.op, value.dtype, value.payload, inputs)


def _outside_zero(value: Value) -> Mask:
    """Bounds outside of which the value is 0."""
    match value.op, value.inputs:
        case "mul", (x, y):
            return (*_outside_zero(x), *_outside_zero(y))
        case (("exp" | "exp2"), (x,)):
            return _outside_hidden(x)
        case (("cast" | "neg"), (x,)):
            return _outside_zero(x)
    return ()


def _outside_hidden(value: Value) -> Mask:
    """Bounds outside of which the value is -inf."""
    match value.op, value.inputs:
        case "where", (condition, yes, no) if condition.op == VALID and _is_hidden(no):
            return (*condition.payload, *_outside_hidden(yes))
        case "add", (x, y):
            return (*_outside_hidden(x), *_outside_hidden(y))
        case "sub", (x, _):
            return _outside_hidden(x)
        case "mul", (x, y) if y.op == CONSTANT and y.payload.number > 0:
            return _outside_hidden(x)
    return ()


def _is_hidden(value: Value) -> bool:
    return value.op == CONSTANT and value.payload.number == -math.inf
