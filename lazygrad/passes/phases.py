"""Strided gradients by phase.

The gradient of a convolution of stride s by its input reads the cotangent only where ``(p - k*dilation) % s == 0``:
most products of the contraction are with zeros. Positions p of one remainder r use a fixed subset of the taps k, so
for each r there is a small contraction without that mask, and the results interleave.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad import ops
from lazygrad.ir.index import Bound, Index, Quotient, Variable, substitute, variables
from lazygrad.ir.node import Node
from lazygrad.ops.contract import CONTRACT, ContractAttributes
from lazygrad.ops.movement import VIEW, Padding, Range
from lazygrad.ops.source import constant_value
from lazygrad.passes.views import compose_views


def split_phases(current: Node) -> Node | None:
    """A contraction over strided positions as an interleaving of dense ones."""
    if current.op is not CONTRACT:
        return None
    found = _strided_axis(current)
    if found is None:
        return None
    label, stride = found
    at: ContractAttributes = current.attributes
    axis = at.out.index(label)
    extent = current.shape[axis]
    total: Node | None = None
    for phase in range(min(stride, extent)):
        count = -(-(extent - phase) // stride)
        part = _phase(current, label, Range(phase, extent, stride))
        if part is None:
            continue
        part = split_phases(part) or part
        paddings = [Padding(0, 0)] * current.rank
        paddings[axis] = Padding(phase, extent - phase - ((count - 1) * stride + 1), stride - 1)
        spread = ops.pad(part, tuple(paddings))
        total = spread if total is None else ops.add(total, spread)
    if total is None:
        return ops.constant(0, current.shape, current.dtype, current.device)
    return total


def _strided_axis(current: Node) -> tuple[int, int] | None:
    """A label of the result whose position decides, by its remainder, which products are not masked; the stride."""
    at: ContractAttributes = current.attributes
    for operand, labels in zip(current.inputs, (at.a, at.b), strict=True):
        if operand.op is not VIEW:
            continue
        for bound in operand.attributes.map.mask:
            terms = bound.index.terms
            if len(terms) != 1 or not isinstance(terms[0][0], Quotient) or not terms[0][0].remainder:
                continue
            inner = terms[0][0].index
            for variable in sorted(variables(inner), key=lambda v: v.name):
                label = labels[int(variable.name[1:])]
                if label in at.out and abs(inner.coefficient(variable)) == 1:
                    return label, terms[0][0].divisor
    return None


def _phase(current: Node, label: int, positions: Range) -> Node | None:
    """The contraction at some positions of one axis of the result, over the taps that matter there."""
    at: ContractAttributes = current.attributes
    operands = [
        _sliced(operand, labels, label, positions) for operand, labels in zip(current.inputs, (at.a, at.b), strict=True)
    ]
    return _over_used_taps(operands, at._replace(lower=None))


def leave_unused_taps(current: Node) -> Node | None:
    """A contraction without the summed places that masks leave out: taps that see nothing but the zeros around."""
    if current.op is not CONTRACT:
        return None
    narrowed = _over_used_taps(current.inputs, current.attributes)
    if narrowed is None:
        return ops.constant(0, current.shape, current.dtype, current.device)
    return None if narrowed is current else narrowed


def _over_used_taps(operands: Sequence[Node], at: ContractAttributes) -> Node | None:
    """The contraction of operands over the taps that matter; None if there are none."""
    for operand, labels in zip(operands, (at.a, at.b), strict=True):
        if constant_value(operand) == 0:
            return None
        found = _used_taps(operand, labels, at)
        if found is not None:
            other, taps = found
            if not taps.length:
                return None
            narrowed = [_sliced(o, own, other, taps) for o, own in zip(operands, (at.a, at.b), strict=True)]
            return _over_used_taps(narrowed, at._replace(lower=None))
    return ops.contract(operands[0], at.a, operands[1], at.b, at.out, at.precision, at.lower)


def _sliced(operand: Node, labels: tuple[int, ...], label: int, positions: Range) -> Node:
    if label not in labels:
        return operand
    ranges = [Range(0, extent) for extent in operand.shape]
    ranges[labels.index(label)] = positions
    sliced = ops.slice_(operand, tuple(ranges))
    return compose_views(sliced) or sliced


def _used_taps(operand: Node, labels: tuple[int, ...], at: ContractAttributes) -> tuple[int, Range] | None:
    """A summed axis that a bound restricts by itself, and the values it leaves (evenly spaced, maybe none)."""
    if operand.op is not VIEW:
        return None
    for bound in operand.attributes.map.mask:
        read = variables(bound.index)
        if len(read) != 1:
            continue
        (variable,) = read
        label = labels[int(variable.name[1:])]
        left = [value for value in range(variable.extent) if _holds(bound, variable, value)]
        step = left[1] - left[0] if len(left) > 1 else 1
        if label in at.out or (left and left != list(range(left[0], left[-1] + 1, step))):
            continue
        return label, Range(left[0], left[-1] + 1, step) if left else Range(0, 0)
    return None


def _holds(bound: Bound, variable: Variable, value: int) -> bool:
    index = substitute(bound.index, {variable: Index(value)})
    return bound.low <= index.constant < bound.high
