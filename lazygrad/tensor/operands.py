"""Operands: what tensors and Python numbers become before a primitive takes them.

In: tensors of any shapes and dtypes, and numbers. Out: nodes of one shape and one dtype, by torch's rules:
tensors with dimensions decide the dtype before 0-dimensional ones, and those before Python numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy

from lazygrad import ops
from lazygrad.ir.dtype import DType, bool_, float32
from lazygrad.ir.node import Node
from lazygrad.ir.promotion import result_type as promoted
from lazygrad.ir.shape import Shape, broadcast_shapes
from lazygrad.ops.source import constant_value
from lazygrad.tensor.handle import Handle

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

Number: TypeAlias = bool | int | float
Operand: TypeAlias = "Tensor | Number"


# Tensors and numbers.
OPERAND_TYPES = (Handle, bool, int, float, numpy.generic)


def is_operand(value: object) -> bool:
    """Whether ``value`` is a tensor or a number."""
    return isinstance(value, OPERAND_TYPES)


def result_type(*operands: Operand) -> DType:
    """The dtype in which the operands meet.

    >>> import lazygrad as lg
    >>> lg.result_type(lg.ones(2, dtype=lg.int64), 1.5)
    lazygrad.float32
    """
    dimensioned: list[DType] = []
    scalars: list[DType] = []
    numbers: list[Number] = []
    for operand in operands:
        if isinstance(operand, Handle):
            node = operand._cell.node
            (dimensioned if node.shape else scalars).append(node.dtype)
        else:
            numbers.append(number(operand))
    return promoted(dimensioned, scalars, numbers)


def number(value: object) -> Number:
    """A Python number, or a NumPy scalar as one."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, numpy.generic):
        item: Number = value.item()
        return item
    raise TypeError(f"expected a tensor or a number, got {type(value).__name__}; make it one with tensor(...)")


def pair(name: str, a: Operand, b: Operand, dtype: DType | None = None) -> tuple[Node, Node]:
    """Two operands, at least one a tensor, as nodes of one shape and of their common dtype (or ``dtype``)."""
    if isinstance(a, Handle):
        x = a._enter()
        if isinstance(b, Handle):
            y = b._enter()
            if dtype is None and x.dtype is not y.dtype:
                dtype = result_type(a, b)
            if dtype is not None:
                x, y = cast(x, dtype), cast(y, dtype)
            if x.shape != y.shape:
                shape = common_shape(name, x.shape, y.shape)
                x, y = spread(x, shape), spread(y, shape)
            return x, y
        b = number(b)
        x = cast(x, dtype or _weak(x, b))
        return x, constant(b, x.shape, x.dtype, x.device)
    if not isinstance(b, Handle):
        raise TypeError(f"{name}: at least one operand must be a tensor, got {a!r} and {b!r}")
    y = b._enter()
    a = number(a)
    y = cast(y, dtype or _weak(y, a))
    return constant(a, y.shape, y.dtype, y.device), y


def _weak(x: Node, value: Number) -> DType:
    """The dtype of a tensor beside a Python number."""
    dtype = x.dtype
    if dtype.is_float or (dtype is not bool_ and not isinstance(value, float)):
        return dtype
    return promoted((dtype,), (), (value,))


def several(name: str, *operands: Operand, dtype: DType | None = None) -> list[Node]:
    """Any number of operands, at least one a tensor, as nodes of one shape and dtype."""
    nodes = [operand._enter() if isinstance(operand, Handle) else None for operand in operands]
    shape = common_shape(name, *(node.shape for node in nodes if node is not None))
    common = dtype or result_type(*operands)
    device = next(node.device for node in nodes if node is not None)
    return [
        spread(cast(node, common), shape) if node is not None else constant(number(operand), shape, common, device)
        for node, operand in zip(nodes, operands, strict=True)
    ]


def common_shape(name: str, *shapes: Shape) -> Shape:
    """The broadcast shape; RuntimeError that names the operation when there is none."""
    try:
        return broadcast_shapes(*shapes)
    except RuntimeError as error:
        raise RuntimeError(f"{name}: {error}") from None


def cast(x: Node, dtype: DType) -> Node:
    """``x`` as ``dtype``: constants are converted here, and any number but zero becomes True."""
    if x.dtype is dtype:
        return x
    value = constant_value(x)
    if value is not None and value == value and abs(value) != float("inf"):
        return constant(value, x.shape, dtype, x.device)
    return ops.ne(x, 0) if dtype is bool_ else ops.cast(x, dtype)


def constant(value: Number, shape: Shape, dtype: DType, device: str) -> Node:
    """A constant node, after a check that the number fits into the dtype."""
    if dtype.is_integer and not dtype.minimum <= value <= dtype.maximum:
        if value < 0 and not dtype.is_signed and value >= -dtype.maximum:
            value = int(value) + dtype.maximum + 1  # torch wraps negative numbers around
        else:
            raise RuntimeError(f"value {value} cannot be converted to type {dtype.name} without overflow")
    return ops.constant(value, shape, dtype, device)


def spread(x: Node, shape: Shape) -> Node:
    """``x`` broadcast to ``shape``; constants are made in that shape instead."""
    own = x.shape
    if own == shape:
        return x
    value = constant_value(x)
    if value is not None:
        return ops.constant(value, shape, x.dtype, x.device)
    missing = len(shape) - len(own)
    return ops.expand(ops.reshape(x, (1,) * missing + own) if missing else x, shape)


def as_float(x: Node) -> Node:
    """``x``, converted to the default float type when it is not a float: for functions such as exp."""
    return x if x.dtype.is_float else cast(x, float32)


def as_shape(sizes: Sequence[object]) -> Shape:
    """The extents given as ``f(2, 3)``, ``f((2, 3))`` or ``f([2, 3])``."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    return tuple(operator.index(size) for size in sizes)  # type: ignore[arg-type]
