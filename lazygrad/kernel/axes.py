"""Axes made few and long: the canonical form of a body's iteration space, and how accesses move along an
axis.

``canonical_axes`` comes first in code generation. In: a body as the scheduler wrote it, with axes of the
tensors it came from. Out: the same body with

- an axis split where addresses divide by a part of it (``v // d`` and ``v % d`` become two axes), so that
what is
  contiguous can be seen;
- two axes merged where everything that mentions them walks through both as through one, so that loops are
long;
- stages that walk over axes of the same extents walking over the same axes, so that what they share is one
value.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from lazygrad.ir.index import Atom, Index, Quotient, Variable, substitute
from lazygrad.kernel.kernel import Access, Body, Reduction, Stage
from lazygrad.kernel.substitution import map_axes, stage_indices, substitute_stages

# Splitting an axis pays when both parts fill vectors or at least loops.
SMALLEST_SPLIT = 8
# Loop counters are 32-bit.
LARGEST_AXIS = 2**31 - 1


def canonical_axes(body: Body) -> Body:
    """The body over few long axes (see above)."""
    return _share(_merge(_split(body)))


def stride(index: Index, axis: Variable) -> int | None:
    """How far one step along the axis moves the index; None where that differs from place to place."""
    for atom, _ in index.terms:
        if isinstance(atom, Quotient) and _reads(atom.index, axis):
            return None
    return index.coefficient(axis)


def depends(access: Access, axis: Variable) -> bool:
    """Whether address or mask change along the axis."""
    return _reads(access.address, axis) or any(_reads(bound.index, axis) for bound in access.mask)


def _reads(index: Index, axis: Variable) -> bool:
    pending = [index]
    while pending:
        for atom, _ in pending.pop().terms:
            if isinstance(atom, Variable):
                if atom == axis:
                    return True
            else:
                pending.append(atom.index)
    return False


def _quotients(indices: Sequence[Index]) -> list[Quotient]:
    """Every division inside the indices, once."""
    found: dict[Atom, None] = {}
    pending = list(indices)
    while pending:
        for atom, _ in pending.pop().terms:
            if isinstance(atom, Quotient) and atom not in found:
                found[atom] = None
                pending.append(atom.index)
    return [atom for atom in found if isinstance(atom, Quotient)]


# ---- splitting


def _split(body: Body) -> Body:
    while True:
        quotients = _quotients([index for stage in body.stages for index in stage_indices(stage)])
        axes = dict.fromkeys((*body.axes, *(axis for stage in body.stages for axis in stage.axes)))
        choice = next((found for axis in axes if (found := _divisor(axis, quotients)) is not None), None)
        if choice is None:
            return body
        body = _split_axis(body, *choice)


def _divisor(axis: Variable, quotients: Sequence[Quotient]) -> tuple[Variable, int] | None:
    """The smallest divisor of the axis alone that cuts it into two worthwhile parts."""
    whole = Index(0, ((axis, 1),))
    divisors = {q.divisor for q in quotients if q.index == whole and axis.extent % q.divisor == 0}
    good = [d for d in divisors if d >= SMALLEST_SPLIT and axis.extent // d > 1]
    return (axis, min(good)) if good else None


def _split_axis(body: Body, axis: Variable, divisor: int) -> Body:
    outer, inner = Variable(f"{axis.name}o", axis.extent // divisor), Variable(f"{axis.name}i", divisor)
    value = Index(0, ((outer, 1),)) * divisor + Index(0, ((inner, 1),))

    def renamed(axes: tuple[Variable, ...]) -> tuple[Variable, ...]:
        return tuple(new for old in axes for new in ((outer, inner) if old == axis else (old,)))

    return map_axes(body, renamed, substitute_stages(body.stages, {axis: value}))


# ---- merging


def _merge(body: Body) -> Body:
    merged: Body | None = body
    while merged is not None:
        body = merged
        merged = _merge_once(body)
    return body


def _merge_once(body: Body) -> Body | None:
    for outer, inner in _pairs(body):
        found = _merge_pair(body, outer, inner)
        if found is not None:
            return found
    return None


def _pairs(body: Body) -> list[tuple[Variable, Variable]]:
    """Axes that may become one, outer first. Where the order of visits matters, neighbours only."""
    pairs = [(a, b) for a in body.axes for b in body.axes if a != b]
    lists = dict.fromkeys(stage.axes for stage in body.stages)
    for axes in lists:
        users = [stage for stage in body.stages if set(stage.axes) & set(axes)]
        if any(stage.axes != axes for stage in users):
            continue
        if any(_ordered(stage) for stage in users):
            pairs.extend(pairwise(axes))
        else:
            pairs.extend((a, b) for a in axes for b in axes if a != b)
    return pairs


def _ordered(stage: Stage) -> bool:
    return stage.sequential or any(isinstance(a, Reduction) and a.position is not None for a in stage.accumulators)


def _merge_pair(body: Body, outer: Variable, inner: Variable) -> Body | None:
    if outer.extent * inner.extent > LARGEST_AXIS:
        return None
    indices = [index for stage in body.stages for index in stage_indices(stage)]
    if any(index.coefficient(outer) != index.coefficient(inner) * inner.extent for index in indices):
        return None
    whole = Variable(f"{outer.name}{inner.name}", outer.extent * inner.extent)
    flat = Index(0, ((whole, 1),))
    values = {outer: flat // inner.extent, inner: flat % inner.extent}
    for index in indices:
        if not _reads(index, outer) and not _reads(index, inner):
            continue
        if len(_quotients([substitute(index, values)])) > len(_quotients([index])):
            return None

    def renamed(axes: tuple[Variable, ...]) -> tuple[Variable, ...]:
        if outer not in axes:
            return axes
        return tuple(whole if axis == inner else axis for axis in axes if axis != outer)

    return map_axes(body, renamed, substitute_stages(body.stages, values))


# ---- sharing


def _share(body: Body) -> Body:
    """Stages take the axes of the first stage with the same extents."""
    first: dict[tuple[int, ...], tuple[Variable, ...]] = {}
    stages = []
    for stage in body.stages:
        axes = first.setdefault(tuple(axis.extent for axis in stage.axes), stage.axes)
        if axes != stage.axes:
            renamed = {old: Index(0, ((new, 1),)) for old, new in zip(stage.axes, axes, strict=True)}
            (stage,) = substitute_stages((stage,), renamed)
            stage = Stage(axes, stage.accumulators, stage.stores, stage.sequential)
        stages.append(stage)
    return Body(body.axes, tuple(stages))
