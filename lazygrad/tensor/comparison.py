"""Comparisons, logic and bits: results that are True or False, or patterns of bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy

from lazygrad import ops
from lazygrad.ir.dtype import bool_, float64
from lazygrad.ir.node import Node
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.inplace import in_place
from lazygrad.tensor.operands import Operand, cast, pair, result_type, several
from lazygrad.tensor.realization import to_host

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

Comparison: TypeAlias = "Callable[[Operand, Operand], Tensor]"


def _binary(name: str, build: Callable[[Node, Node], Node], meaning: str) -> Comparison:
    def function(input: Operand, other: Operand) -> Tensor:
        return wrap(build(*pair(name, input, other)), input, other)

    return _described(function, name, meaning)


def _logical(name: str, build: Callable[[Node, Node], Node], meaning: str) -> Comparison:
    def function(input: Operand, other: Operand) -> Tensor:
        x, y = several(name, truth(input), truth(other))
        return wrap(build(x, y), input, other)

    return _described(function, name, meaning)


def _described(function: Comparison, name: str, meaning: str) -> Comparison:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = meaning
    return function


def truth(value: Operand) -> Operand:
    """Whether each element is not zero, as bool."""
    return wrap(cast(value._enter(), bool_), value) if isinstance(value, Handle) else bool(value)


eq = _binary("eq", ops.eq, "Whether the elements are equal.")
ne = _binary("ne", ops.ne, "Whether the elements differ.")
lt = _binary("lt", ops.lt, "``input < other``.")
le = _binary("le", ops.le, "``input <= other``.")
gt = _binary("gt", lambda x, y: ops.lt(y, x), "``input > other``.")
ge = _binary("ge", lambda x, y: ops.le(y, x), "``input >= other``.")
bitwise_and = _binary("bitwise_and", ops.bitwise_and, "The bits that are set in both; for bool, both.")
bitwise_or = _binary("bitwise_or", ops.bitwise_or, "The bits that are set in one or both; for bool, either.")
bitwise_xor = _binary("bitwise_xor", ops.bitwise_xor, "The bits that differ; for bool, exactly one.")
bitwise_left_shift = _binary("bitwise_left_shift", ops.shift_left, "The bits moved up by ``other`` places.")
bitwise_right_shift = _binary("bitwise_right_shift", ops.shift_right, "The bits moved down, the sign moving in.")
logical_and = _logical("logical_and", ops.bitwise_and, "Whether both are not zero.")
logical_or = _logical("logical_or", ops.bitwise_or, "Whether one or both are not zero.")
logical_xor = _logical("logical_xor", ops.bitwise_xor, "Whether exactly one is not zero.")
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def logical_not(input: Tensor) -> Tensor:
    """Whether each element is zero."""
    return wrap(ops.bitwise_not(cast(input._enter(), bool_)), input)


def bitwise_not(input: Tensor) -> Tensor:
    """All bits inverted; logical not for bool."""
    return wrap(ops.bitwise_not(input._enter()), input)


def isnan(input: Tensor) -> Tensor:
    """Whether each element is not a number."""
    x = input._enter()
    return wrap(ops.ne(x, x) if x.dtype.is_float else _constant(x, False), input)


def isinf(input: Tensor) -> Tensor:
    """Whether each element is infinite."""
    x = input._enter()
    return wrap(ops.eq(ops.abs_(x), float("inf")) if x.dtype.is_float else _constant(x, False), input)


def isfinite(input: Tensor) -> Tensor:
    """Whether each element is neither infinite nor NaN."""
    x = input._enter()
    return wrap(ops.lt(ops.abs_(x), float("inf")) if x.dtype.is_float else _constant(x, True), input)


def _constant(like: Node, value: bool) -> Node:
    return ops.constant(value, like.shape, bool_, like.device)


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether ``|input - other| <= atol + rtol * |other|``, or both are the same infinity.

    >>> import lazygrad as lg
    >>> lg.isclose(lg.tensor([1.0, 1.1]), lg.tensor([1.0 + 1e-7, 1.0]))
    tensor([ True, False])
    """
    dtype = result_type(input, other)
    x, y = pair("isclose", input, other)
    same = ops.eq(x, y)
    if dtype is bool_:
        return wrap(same, input, other)
    if not dtype.is_float:
        x, y = ops.cast(x, float64), ops.cast(y, float64)
    allowed = ops.add(ops.mul(ops.abs_(y), rtol), atol)
    near = ops.bitwise_and(ops.le(ops.abs_(ops.sub(x, y)), allowed), ops.lt(ops.abs_(y), float("inf")))
    near = ops.bitwise_or(same, near)
    if equal_nan:
        near = ops.bitwise_or(near, ops.bitwise_and(ops.ne(x, x), ops.ne(y, y)))
    return wrap(near, input, other)


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close (see ``isclose``). Runs what is pending for it.

    >>> import lazygrad as lg
    >>> lg.allclose(lg.tensor([1.0]), lg.tensor([1.0 + 1e-7]))
    True
    """
    return bool(to_host(isclose(input, other, rtol, atol, equal_nan)).all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements are equal. Runs what is pending for it.

    >>> import lazygrad as lg
    >>> lg.equal(lg.tensor([1, 2]), lg.tensor([1, 2]))
    True
    """
    if input._cell.node.shape != other._cell.node.shape:
        return False
    return bool(numpy.all(to_host(eq(input, other))))


logical_and_, logical_or_, logical_xor_ = map(in_place, (logical_and, logical_or, logical_xor))
bitwise_and_, bitwise_or_, bitwise_xor_ = map(in_place, (bitwise_and, bitwise_or, bitwise_xor))
logical_not_, bitwise_not_ = in_place(logical_not), in_place(bitwise_not)
eq_, ne_, lt_, le_, gt_, ge_ = map(in_place, (eq, ne, lt, le, gt, ge))
