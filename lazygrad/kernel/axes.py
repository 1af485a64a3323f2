"""Axes made few and long: the canonical form of a body's iteration space, and how accesses move along an axis.

``canonical_axes`` comes first in code generation. In: a body as the scheduler wrote it, with axes of the tensors it
came from. Out: the same body with

- an axis split where addresses divide by a part of it (``v // d`` and ``v % d`` become two axes), so that what is
  contiguous can be seen;
- two axes merged where everything that mentions them walks through both as through one, so that loops are long;
- stages that walk over axes of the same extents walking over the same axes, so that what they share is one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod

from lazygrad.ir.index import Index, Quotient, Substitution, Variable, combination
from lazygrad.kernel.kernel import Access, Body, Reduction, Stage
from lazygrad.kernel.substitution import map_indices, stage_indices, substitute_stages

# Splitting an axis pays when both parts fill vectors or at least loops.
SMALLEST_SPLIT = 8
# Loop counters are 32-bit.
LARGEST_AXIS = 2**31 - 1


def canonical_axes(body: Body) -> Body:
    """The body over few long axes (see above).

    Where products or accumulators have axes of their own, all axes are sides of matrices, and stay as they are.
    """
    if any(part.axes for stage in body.stages for part in (*stage.products, *stage.accumulators)):
        return body
    space = _Space(body)
    while space.split_one():
        pass
    while space.merge_one():
        pass
    return _share(space.body())


def point_count(axes: Iterable[Variable]) -> int:
    """How many points loops over the axes visit."""
    return prod(axis.extent for axis in axes)


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
            if atom is axis:
                return True
            if isinstance(atom, Quotient):
                pending.append(atom.index)
    return False


def _quotients(indices: Sequence[Index]) -> list[Quotient]:
    """Every division inside the indices, once."""
    found: dict[Quotient, None] = {}
    pending = list(indices)
    while pending:
        for atom, _ in pending.pop().terms:
            if isinstance(atom, Quotient) and atom not in found:
                found[atom] = None
                pending.append(atom.index)
    return list(found)


class _Space:
    """A body's axes and indices while they change; the body itself is rewritten once, in the end."""

    def __init__(self, body: Body) -> None:
        self.given = body
        self.axes = body.axes
        self.stage_axes = [stage.axes for stage in body.stages]
        # From each index as it was written to what it is over the present axes.
        self.indices = {index: index for stage in body.stages for index in stage_indices(stage)}

    def body(self) -> Body:
        """The given body over the present axes."""
        if self.axes == self.given.axes and self.stage_axes == [stage.axes for stage in self.given.stages]:
            return self.given
        stages = map_indices(self.given.stages, self.indices.__getitem__)
        renamed = zip(stages, self.stage_axes, strict=True)
        return Body(self.axes, tuple(replace(stage, axes=axes) for stage, axes in renamed))

    def _replace(
        self, indices: dict[Index, Index], renamed: Callable[[tuple[Variable, ...]], tuple[Variable, ...]]
    ) -> None:
        self.indices = indices
        self.axes = renamed(self.axes)
        self.stage_axes = [renamed(axes) for axes in self.stage_axes]

    # ---- splitting

    def split_one(self) -> bool:
        """Splits the first axis for which that pays; False when there is none."""
        quotients = _quotients(list(self.indices.values()))
        if not quotients:
            return False
        axes = dict.fromkeys((*self.axes, *(axis for axes in self.stage_axes for axis in axes)))
        for axis in axes:
            divisor = _divisor(axis, quotients)
            if divisor is not None:
                self._split(axis, divisor)
                return True
        return False

    def _split(self, axis: Variable, divisor: int) -> None:
        outer, inner = Variable(f"{axis.name}o", axis.extent // divisor), Variable(f"{axis.name}i", divisor)
        put = Substitution({axis: combination(0, ((Index(0, ((outer, 1),)), divisor), (Index(0, ((inner, 1),)), 1)))})

        def renamed(axes: tuple[Variable, ...]) -> tuple[Variable, ...]:
            return tuple(new for old in axes for new in ((outer, inner) if old is axis else (old,)))

        self._replace({written: put(index) for written, index in self.indices.items()}, renamed)

    # ---- merging

    def merge_one(self) -> bool:
        """Merges the first two axes for which that is possible; False when there are none."""
        pairs = self._pairs()
        steps = {
            axis: [index.coefficient(axis) for index in self.indices.values()]
            for axis in dict.fromkeys(axis for pair in pairs for axis in pair)
        }
        for outer, inner in pairs:
            if steps[outer] == [step * inner.extent for step in steps[inner]] and self._merge(outer, inner):
                return True
        return False

    def _pairs(self) -> list[tuple[Variable, Variable]]:
        """Axes that may become one, outer first. Where the order of visits matters, neighbours only."""
        pairs = [(a, b) for a in self.axes for b in self.axes if a is not b]
        for axes in dict.fromkeys(self.stage_axes):
            shared = set(axes)
            users = [number for number, others in enumerate(self.stage_axes) if not shared.isdisjoint(others)]
            if any(self.stage_axes[number] != axes for number in users):
                continue
            if any(_ordered(self.given.stages[number]) for number in users):
                pairs.extend(pairwise(axes))
            else:
                pairs.extend((a, b) for a in axes for b in axes if a is not b)
        return pairs

    def _merge(self, outer: Variable, inner: Variable) -> bool:
        """Puts one axis in the place of two; False when some index would have more divisions then."""
        if outer.extent * inner.extent > LARGEST_AXIS:
            return False
        whole = Variable(f"{outer.name}{inner.name}", outer.extent * inner.extent)
        flat = Index(0, ((whole, 1),))
        put = Substitution({outer: flat // inner.extent, inner: flat % inner.extent})
        merged = {written: put(index) for written, index in self.indices.items()}
        for written, index in self.indices.items():
            if merged[written] is not index and len(_quotients([merged[written]])) > len(_quotients([index])):
                return False

        def renamed(axes: tuple[Variable, ...]) -> tuple[Variable, ...]:
            if outer not in axes:
                return axes
            return tuple(whole if axis is inner else axis for axis in axes if axis is not outer)

        self._replace(merged, renamed)
        return True


def _divisor(axis: Variable, quotients: Sequence[Quotient]) -> int | None:
    """The smallest divisor of the axis alone that cuts it into two worthwhile parts."""
    whole = Index(0, ((axis, 1),))
    divisors = {q.divisor for q in quotients if q.index == whole and axis.extent % q.divisor == 0}
    return min((d for d in divisors if d >= SMALLEST_SPLIT and axis.extent // d > 1), default=None)


def _ordered(stage: Stage) -> bool:
    return stage.sequential or any(isinstance(a, Reduction) and a.position is not None for a in stage.accumulators)


def _share(body: Body) -> Body:
    """Stages take the axes of the first stage with the same extents."""
    first: dict[tuple[int, ...], tuple[Variable, ...]] = {}
    stages = []
    for stage in body.stages:
        axes = first.setdefault(tuple(axis.extent for axis in stage.axes), stage.axes)
        if axes != stage.axes:
            renamed = {old: Index(0, ((new, 1),)) for old, new in zip(stage.axes, axes, strict=True)}
            (stage,) = substitute_stages((stage,), renamed)
            stage = replace(stage, axes=axes)
        stages.append(stage)
    return Body(body.axes, tuple(stages))
