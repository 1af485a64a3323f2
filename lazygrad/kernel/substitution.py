"""Indices inside bodies: listing them, and replacing axes in all of them at once.

In: a body and, for some of its axes, expressions in new variables. Out: the body over the new variables, with
every address, mask, position and integer value canonical again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lazygrad.ir.index import Bound, Index, Mask, Substitution, Variable
from lazygrad.ir.value import INDEX, LOAD, VALID, Value, leaf
from lazygrad.kernel.kernel import Access, Contraction, Reduction, Stage
from lazygrad.kernel.mapping import map_stage
from lazygrad.kernel.walk import ordered_values


def stage_indices(stage: Stage) -> list[Index]:
    """Every index expression of a stage, once: addresses, masks, positions, integer values."""
    found: dict[Index, None] = {}

    def add_access(access: Access) -> None:
        found.setdefault(access.address)
        found.update(dict.fromkeys(bound.index for bound in access.mask))

    for value in stage.values:
        if value.op == LOAD:
            add_access(value.payload)
        elif value.op == INDEX:
            found.setdefault(value.payload)
        elif value.op == VALID:
            found.update(dict.fromkeys(bound.index for bound in value.payload))
    for store in stage.stores:
        add_access(store.access)
    for accumulator in stage.accumulators:
        if isinstance(accumulator, Reduction) and accumulator.position is not None:
            found.setdefault(accumulator.position)
        if isinstance(accumulator, Contraction) and accumulator.lower is not None:
            found.setdefault(accumulator.lower)
    return list(found)


class _Replacement:
    """A function of indices applied to values, accesses and masks, each once."""

    def __init__(self, index: Callable[[Index], Index]) -> None:
        self.index = index
        self._done: dict[Value, Value] = {}

    def mask(self, mask: Mask) -> Mask:
        return tuple(Bound(self.index(bound.index), bound.low, bound.high) for bound in mask)

    def access(self, access: Access) -> Access:
        return Access(access.buffer, self.index(access.address), self.mask(access.mask), access.dynamic)

    def value(self, value: Value) -> Value:
        for current in ordered_values([value]):
            if current not in self._done:
                self._done[current] = self._rebuilt(current)
        return self._done[value]

    def _rebuilt(self, value: Value) -> Value:
        inputs = tuple(self._done[i] for i in value.inputs)
        payload = value.payload
        if value.op == LOAD:
            payload = self.access(payload)
        elif value.op == INDEX:
            payload = self.index(payload)
        elif value.op == VALID:
            payload = self.mask(payload)
        elif inputs == value.inputs:
            return value
        return leaf(value.op, value.dtype, payload, inputs)


def substitute_stages(stages: Sequence[Stage], values: Mapping[Variable, Index]) -> tuple[Stage, ...]:
    """The stages with the variables replaced in everything they compute; their axes are left as they are."""
    return map_indices(stages, Substitution(values))


def map_indices(stages: Sequence[Stage], function: Callable[[Index], Index]) -> tuple[Stage, ...]:
    """The stages with ``function`` applied to each of their :func:`stage_indices`; their axes are left as they are."""
    put = _Replacement(function)
    return tuple(map_stage(stage, put.value, put.access, put.index) for stage in stages)
