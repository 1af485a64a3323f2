"""Sources: nodes without inputs. Buffers and arguments are unique by identity, constants by their bits."""

from __future__ import annotations

from struct import Struct
from typing import Any, NamedTuple, Protocol

import numpy

from lazygrad.ir.dtype import DType, float32, int64
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Linearity, Op
from lazygrad.ir.shape import Shape
from lazygrad.ir.value import Exact, Number

_FLOAT32 = Struct("=f")
# Below it no float64 rounds to infinity in float32.
LARGE = 3e38


class BufferHandle(Protocol):
    """What a buffer node points to: the runtime's buffer, compared by identity."""

    shape: Shape
    dtype: DType

    @property
    def device(self) -> str: ...


class BufferAttributes(NamedTuple):
    handle: Any


class ConstantAttributes(NamedTuple):
    value: Exact
    shape: Shape
    dtype: DType


class ArgumentAttributes(NamedTuple):
    handle: Any


class ArangeAttributes(NamedTuple):
    extent: int


class PlaceholderAttributes(NamedTuple):
    token: object
    shape: Shape
    dtype: DType


class ArgumentHandle:
    """A host number that is bound when a kernel is launched, never compiled in: learning rates, counters."""

    __slots__ = ("dtype", "value")

    def __init__(self, value: Number, dtype: DType) -> None:
        self.value = value
        self.dtype = dtype


def _unreadable(of: Node, *_: Any) -> Any:
    raise RuntimeError(f"{of.op.name}: its value is given by the evaluator, not computed")


BUFFER = Op(
    name="buffer",
    family=Family.SOURCE,
    shape=lambda inputs, a: tuple(a.handle.shape),
    dtype=lambda inputs, a: a.handle.dtype,
    numpy=_unreadable,
    vjp=(),
)
CONSTANT = Op(
    name="constant",
    family=Family.SOURCE,
    shape=lambda inputs, a: a.shape,
    dtype=lambda inputs, a: a.dtype,
    numpy=lambda of: numpy.full(of.shape, of.attributes.value.number, of.dtype.numpy),
    vjp=(),
    cost=0,
)
ARGUMENT = Op(
    name="argument",
    family=Family.SOURCE,
    shape=lambda inputs, a: (),
    dtype=lambda inputs, a: a.handle.dtype,
    numpy=lambda of: numpy.array(of.attributes.handle.value, of.dtype.numpy),
    vjp=(),
    cost=0,
)
ARANGE = Op(
    name="arange",
    family=Family.SOURCE,
    shape=lambda inputs, a: (a.extent,),
    dtype=lambda inputs, a: int64,
    numpy=lambda of: numpy.arange(of.attributes.extent, dtype=numpy.int64),
    vjp=(),
    cost=0,
)
PLACEHOLDER = Op(
    name="placeholder",
    family=Family.SOURCE,
    shape=lambda inputs, a: a.shape,
    dtype=lambda inputs, a: a.dtype,
    numpy=_unreadable,
    vjp=(),
    linearity=Linearity.JOINT,
)


def buffer(handle: BufferHandle) -> Node:
    """The node of elements that are in memory already."""
    # No line makes it: it is what many kernels left, of which every step makes hundreds.
    made = node(BUFFER, (), BufferAttributes(handle), handle.device, placed=False)
    made.result = handle
    return made


def _rounded(value: float, dtype: DType) -> float:
    if dtype.bits == 64:
        return value
    if dtype is float32 and abs(value) < LARGE:  # NumPy takes ten times as long for one number
        rounded: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
        return rounded
    return float(numpy.asarray(value).astype(dtype.numpy))


def constant(value: Number, shape: Shape, dtype: DType, device: str) -> Node:
    """A tensor of one repeated number; takes no memory.

    The number is rounded to ``dtype`` first, so that equal constants are one node.
    """
    if dtype.is_float:
        value = _rounded(float(value), dtype)
    else:
        value = bool(value) if dtype.kind == "bool" else int(value)
    return node(CONSTANT, (), ConstantAttributes(Exact(value), shape, dtype), device)


def constant_value(of: Node) -> Number | None:
    """The number of a constant node, else None."""
    if of.op is CONSTANT:
        number: Number = of.attributes.value.number
        return number
    return None


def argument(value: Number, dtype: DType, device: str) -> Node:
    """A scalar whose value is passed to kernels at launch."""
    return node(ARGUMENT, (), ArgumentAttributes(ArgumentHandle(value, dtype)), device)


def arange(extent: int, device: str) -> Node:
    """0, 1, ..., extent - 1 as int64 of shape (extent,)."""
    return node(ARANGE, (), ArangeAttributes(extent), device)


def placeholder(shape: Shape, dtype: DType, device: str) -> Node:
    """A value that is put in later; differentiation of differentiation uses it."""
    return node(PLACEHOLDER, (), PlaceholderAttributes(object(), shape, dtype), device)
