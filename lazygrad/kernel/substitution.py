"""Indices inside bodies: listing them, and replacing axes in all of them at once.

In: a body and, for some of its axes, expressions in new variables. Out: the body over the new variables, with
every address, mask, position and integer value canonical again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lazygrad.ir.index import Bound, Index, Mask, Substitution, Variable
from lazygrad.ir.value import INDEX, LOAD, VALID, Value, leaf
from lazygrad.kernel.kernel import Access, Accumulator, Body, Contraction, Reduction, Stage, Store
from lazygrad.kernel.walk import ordered_values, stage_values


def stage_indices(stage: Stage) -> list[Index]:
    """Every index expression of a stage, once: addresses, masks, positions, integer values."""
    found: dict[Index, None] = {}

    def add_access(access: Access) -> None:
        found.setdefault(access.address)
        found.update(dict.fromkeys(bound.index for bound in access.mask))

    for value in ordered_values(stage_values(stage)):
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
    return list(found)


class _Replacement:
    """One substitution applied to values, accesses and masks, each once."""

    def __init__(self, values: Mapping[Variable, Index]) -> None:
        self.index = Substitution(values)
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
    replacement = _Replacement(values)
    return tuple(_stage(stage, replacement) for stage in stages)


def _stage(stage: Stage, replacement: _Replacement) -> Stage:
    stores = tuple(
        Store(
            replacement.access(store.access),
            replacement.value(store.value),
            store.mode,
            tuple(replacement.value(v) for v in store.dynamic_values),
        )
        for store in stage.stores
    )
    return Stage(stage.axes, tuple(_accumulator(a, replacement) for a in stage.accumulators), stores, stage.sequential)


def _accumulator(accumulator: Accumulator, replacement: _Replacement) -> Accumulator:
    if isinstance(accumulator, Contraction):
        return Contraction(replacement.value(accumulator.a), replacement.value(accumulator.b), accumulator.dtype)
    position = None if accumulator.position is None else replacement.index(accumulator.position)
    return Reduction(accumulator.op, replacement.value(accumulator.value), accumulator.dtype, position)


def map_axes(body: Body, axes: Callable[[tuple[Variable, ...]], tuple[Variable, ...]], stages: Sequence[Stage]) -> Body:
    """``stages`` in a body whose axis lists are rewritten by ``axes``."""
    return Body(axes(body.axes), tuple(Stage(axes(s.axes), s.accumulators, s.stores, s.sequential) for s in stages))
