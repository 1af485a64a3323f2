"""What elementwise primitives share: how one is declared, and how its node is built.

An elementwise primitive computes one value from one value of each input, all of one shape. ``elementwise`` makes its
record; ``arithmetic``, ``comparison``, ``bitwise``, ``rounding``, ``transcendental`` and ``identity`` declare them.
Each declaration says all there is to know: dtypes, NumPy meaning, scalar expression, derivatives. A derivative
``lambda out, g: ...`` gives the cotangent of one input from the node ``out`` and its cotangent ``g``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

from lazygrad.ir import value as scalar
from lazygrad.ir.dtype import DTYPES, DType, bool_
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Op, ScalarRule, VjpRule
from lazygrad.ir.shape import Shape
from lazygrad.ir.value import Number
from lazygrad.ops.source import constant

Operand: TypeAlias = Node | Number
DTypeTest: TypeAlias = Callable[[DType], bool]


def is_any(dtype: DType) -> bool:
    return True


def is_number(dtype: DType) -> bool:
    return dtype.kind != "bool"


def is_float(dtype: DType) -> bool:
    return dtype.is_float


def is_integral(dtype: DType) -> bool:
    """Integers and bool: what has bits to combine."""
    return not dtype.is_float


def is_integer(dtype: DType) -> bool:
    return dtype.is_integer


def elementwise(
    name: str,
    meaning: Callable[..., Any],
    scalar_rule: ScalarRule,
    *vjp: VjpRule | None,
    dtypes: DTypeTest = is_number,
    compares: bool = False,
    **fields: Any,
) -> Op:
    """The record of a primitive whose inputs have one of ``dtypes``; so has its value, unless it ``compares``."""
    same = _same_dtype(name, frozenset(dtype for dtype in DTYPES if dtypes(dtype)))
    return Op(
        name=name,
        family=Family.ELEMENTWISE,
        shape=same_shape,
        dtype=(lambda inputs, a: same(inputs, a) and bool_) if compares else same,
        numpy=lambda of, *arrays: meaning(*arrays),
        scalar=scalar_rule,
        vjp=vjp,
        dtypes=dtypes,
        **fields,
    )


def same_shape(inputs: tuple[Node, ...], attributes: Any) -> Shape:
    """The shape rule of every elementwise primitive."""
    shape = inputs[0].shape
    for other in inputs:
        if other.shape != shape:
            shapes = ", ".join(str(list(i.shape)) for i in inputs)
            raise RuntimeError(f"an elementwise primitive needs inputs of one shape, got {shapes}")
    return shape


def _same_dtype(name: str, allowed: Collection[DType]) -> Callable[[tuple[Node, ...], Any], DType]:
    def rule(inputs: tuple[Node, ...], attributes: Any) -> DType:
        dtype = inputs[0].dtype
        for other in inputs:
            if other.dtype is not dtype:
                names = ", ".join(i.dtype.name for i in inputs)
                raise RuntimeError(f"{name}: inputs must have one dtype, got {names}")
        if dtype not in allowed:
            raise RuntimeError(f"{name} is not defined for dtype {dtype.name}")
        return dtype

    return rule


def named(name: str) -> ScalarRule:
    """The scalar expression of an operation that every code generator knows by name."""
    return lambda *inputs: scalar.apply(name, *inputs)


def make(op: Op, *operands: Operand) -> Node:
    """The node of ``op``; numbers become constants like the first operand that is a node."""
    for operand in operands:
        if type(operand) is not Node:
            like = next(other for other in operands if isinstance(other, Node))
            return node(op, tuple([lifted(each, like) for each in operands]))
    return node(op, operands)  # type: ignore[arg-type]


def lifted(operand: Operand, like: Node) -> Node:
    """A node as it is; a number as a constant of the shape, dtype and device of ``like``."""
    return operand if isinstance(operand, Node) else constant(operand, like.shape, like.dtype, like.device)
