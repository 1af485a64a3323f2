"""Evaluates scalar expressions on NumPy arrays, as compiled code would compute them, with or without fused
multiply-add. What the tests of expansions compare; it knows only the operations that expansions are built of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from lazygrad.ir.value import CONSTANT, Value, leaf

WIDER = {numpy.dtype("float32"): numpy.float64, numpy.dtype("float64"): numpy.longdouble}

OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": numpy.add,
    "sub": numpy.subtract,
    "mul": numpy.multiply,
    "div": numpy.divide,
    "neg": numpy.negative,
    "bitwise_and": numpy.bitwise_and,
    "bitwise_or": numpy.bitwise_or,
    "bitwise_xor": numpy.bitwise_xor,
    "bitwise_not": numpy.bitwise_not,
    "shift_left": numpy.left_shift,
    "shift_right": numpy.right_shift,
    "lt": numpy.less,
    "le": numpy.less_equal,
    "eq": numpy.equal,
    "ne": numpy.not_equal,
    "where": numpy.where,
    "sqrt": numpy.sqrt,
}


def inputs(*arrays: Any) -> tuple[list[Value], dict[Value, Any]]:
    """One value for each array, and the values' meaning, to be given to :func:`evaluate`."""
    from lazygrad.ir.dtype import from_numpy

    leaves = [leaf("argument", from_numpy(array.dtype), position) for position, array in enumerate(arrays)]
    return leaves, dict(zip(leaves, arrays, strict=True))


def topological(*roots: Value) -> list[Value]:
    order: dict[Value, None] = {}
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        value, ready = stack.pop()
        if value in order:
            continue
        if ready:
            order[value] = None
        else:
            stack.append((value, True))
            stack.extend((i, False) for i in reversed(value.inputs))
    return list(order)


def _fused(value: Value, known: dict[Value, Any]) -> Any:
    """An addition or subtraction of a product, rounded once (in a wider format; float64 not quite)."""
    left, right = value.inputs
    dtype = known[left].dtype
    wide = WIDER[dtype]
    product, other, sign = (left, right, 1) if left.op == "mul" else (right, left, -1)
    a, b = (known[i].astype(wide) for i in product.inputs)
    c = known[other].astype(wide)
    if value.op == "add":
        return (a * b + c).astype(dtype)
    return (sign * (a * b - c)).astype(dtype) if sign == 1 else (c - a * b).astype(dtype)


def evaluate(roots: list[Value], known: dict[Value, Any], fuse: bool = False) -> list[Any]:
    """The arrays of the roots."""
    known = dict(known)
    with numpy.errstate(all="ignore"):
        for value in topological(*roots):
            if value in known:
                continue
            arrays = [known[i] for i in value.inputs]
            if value.op == CONSTANT:
                known[value] = numpy.asarray(value.payload.number, value.dtype.numpy)
            elif value.op == "cast":
                known[value] = numpy.asarray(arrays[0].astype(value.dtype.numpy))
            elif value.op == "bitcast":
                known[value] = arrays[0].view(value.dtype.numpy)
            elif fuse and value.op in ("add", "sub") and value.dtype.is_float and _has_product(value):
                known[value] = numpy.asarray(_fused(value, known))
            else:
                known[value] = numpy.asarray(OPERATIONS[value.op](*arrays))
    return [known[root] for root in roots]


def _has_product(value: Value) -> bool:
    return any(i.op == "mul" for i in value.inputs)
