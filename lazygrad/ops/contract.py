"""Contraction: the sum of products of two tensors over shared axes, einsum-like.

Matrix product, batched matrix product, linear layers, convolutions (over ``windows``), their gradients and
attention are all this one primitive; nothing has to be recognised in multiply-and-sum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

from lazygrad.ir.dtype import DType, accumulator, float32
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Linearity, Op, VjpRule
from lazygrad.ir.shape import Shape
from lazygrad.ops.reduce import sum_
from lazygrad.settings import Precision, get_float32_matmul_precision

Labels = tuple[int, ...]


class ContractAttributes(NamedTuple):
    """One label for each axis. A label in both operands but not in ``out`` is summed over.

    ``precision`` says how exactly float32 must at least be multiplied; other dtypes have the default.

    ``lower`` is a pair of labels, of rows and columns: of every matrix over both only the lower triangle counts, where
    the column is no greater than the row. Above it an operand is promised to be zero, and of a result nobody asks for
    more than some number. So a target may leave those products out, or not: causal attention has six of these.
    """

    a: Labels
    b: Labels
    out: Labels
    precision: Precision = "highest"
    lower: tuple[int, int] | None = None


def _extents(inputs: tuple[Node, ...], at: ContractAttributes) -> dict[int, int]:
    extents: dict[int, int] = {}
    for operand, labels in zip(inputs, (at.a, at.b), strict=True):
        if len(set(labels)) != len(labels) or len(labels) != operand.rank:
            raise RuntimeError(f"contract: {list(labels)} does not label each axis of {list(operand.shape)} once")
        for label, extent in zip(labels, operand.shape, strict=True):
            if extents.setdefault(label, extent) != extent:
                raise RuntimeError(
                    f"contract: shapes {list(inputs[0].shape)} and {list(inputs[1].shape)} disagree: an axis they "
                    f"share has extents {extents[label]} and {extent}"
                )
    return extents


def _shape(inputs: tuple[Node, ...], at: ContractAttributes) -> Shape:
    extents = _extents(inputs, at)
    single = (set(at.a) ^ set(at.b)) - set(at.out)
    if single or not set(at.out) <= set(extents):
        raise RuntimeError(f"contract: labels {sorted(single)} are in one operand only and not in the result")
    return tuple(extents[label] for label in at.out)


def _dtype(inputs: tuple[Node, ...], at: ContractAttributes) -> DType:
    a, b = inputs
    if a.dtype is not b.dtype or a.dtype.kind == "bool":
        raise RuntimeError(f"contract: operands must have one numeric dtype, got {a.dtype.name} and {b.dtype.name}")
    return a.dtype


def _numpy(of: Node, a: Any, b: Any) -> Any:
    at: ContractAttributes = of.attributes
    wide = accumulator(of.dtype).numpy
    result = numpy.einsum(a.astype(wide), list(at.a), b.astype(wide), list(at.b), list(at.out), optimize=True)
    return result.astype(of.dtype.numpy)


def _vjp(operand: int) -> VjpRule:
    """The cotangent of one operand: a contraction of the result's with the other operand, as exact as its own.

    A triangle stays one: where an operand is zero whatever its inputs are, nobody asks for its cotangent.
    """

    def rule(out: Node, g: Node) -> Node:
        at: ContractAttributes = out.attributes
        labels = (at.a, at.b)
        other = 1 - operand
        return contract(g, at.out, out.inputs[other], labels[other], labels[operand], at.precision, at.lower)

    return rule


CONTRACT = Op(
    name="contract",
    family=Family.CONTRACT,
    shape=_shape,
    dtype=_dtype,
    numpy=_numpy,
    vjp=(_vjp(0), _vjp(1)),
    linearity=Linearity.EACH,
)


def contract(
    a: Node,
    a_labels: Labels,
    b: Node,
    b_labels: Labels,
    out_labels: Labels,
    precision: Precision | None = None,
    lower: tuple[int, int] | None = None,
) -> Node:
    """``out[out_labels] = sum(a[a_labels] * b[b_labels])`` over the labels that are not in ``out_labels``.

    A label that only one operand has and the result has not is summed first. Labels are renumbered in order of
    appearance, so that equal contractions are one node. ``precision`` is the user's setting unless given; ``lower`` is
    a promise (see ``ContractAttributes``).
    """
    shared = set(a_labels) & set(b_labels)
    a, a_labels = _sum_lonely(a, a_labels, shared | set(out_labels))
    b, b_labels = _sum_lonely(b, b_labels, shared | set(out_labels))
    number: dict[int, int] = {}
    for label in (*a_labels, *b_labels):
        number.setdefault(label, len(number))
    missing = set(out_labels) - set(number)
    if missing:
        raise RuntimeError(f"contract: result labels {sorted(missing)} are in neither operand")

    def renumber(labels: Labels) -> Labels:
        return tuple(number[label] for label in labels)

    if precision is None or a.dtype is not float32:
        precision = bound_precision(a.dtype)
    triangle = (number[lower[0]], number[lower[1]]) if lower and {*lower} <= {*number} else None
    attributes = ContractAttributes(renumber(a_labels), renumber(b_labels), renumber(out_labels), precision, triangle)
    return node(CONTRACT, (a, b), attributes)


def bound_precision(dtype: DType) -> Precision:
    """What a product of ``dtype`` that is called now is bound to: the user's setting is one for float32."""
    return get_float32_matmul_precision() if dtype is float32 else "highest"


def _sum_lonely(x: Node, labels: Labels, kept: set[int]) -> tuple[Node, Labels]:
    lonely = tuple(axis for axis, label in enumerate(labels) if label not in kept)
    return sum_(x, lonely), tuple(label for label in labels if label in kept)
