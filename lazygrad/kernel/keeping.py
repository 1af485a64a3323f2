"""What several sweeps over one row compute again, and had better keep: the exponentials of a softmax row.

In: the stages of a body that all have lanes along one and the same axis. Out: the costly values that a sweep
shares with an earlier one. A skeleton keeps them in a private array of the row's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lazygrad.ir.dtype import bool_
from lazygrad.ir.index import Variable
from lazygrad.ir.value import INDEX, LOAD, Value
from lazygrad.kernel.axes import depends, stride
from lazygrad.kernel.kernel import Stage
from lazygrad.kernel.tiling import SweepTiling
from lazygrad.kernel.walk import ordered_values, stage_values

# Fewer operations than this are as fast again as a store and a load.
COSTLY = 8
# Longer rows would push the row itself out of the caches.
ROW_BYTES = 64 * 1024


class Kept(NamedTuple):
    """A value that the stage ``producer`` computes for the whole row and later stages read."""

    value: Value
    producer: int


def kept_values(stages: Sequence[Stage], sweeps: Sequence[SweepTiling]) -> list[Kept]:
    """The values to keep, in the order in which they are found; empty where rows are too long."""
    known: dict[Value, int] = {}  # value -> the first stage that computes it
    kept: dict[Value, Kept] = {}
    for number, (stage, sweep) in enumerate(zip(stages, sweeps, strict=True)):
        if sweep.vector is None or sweep.loops:
            continue
        for value in _frontier(stage, known):
            if sweeps[known[value]].vector == sweep.vector and _cost(value, sweep.vector) >= COSTLY:
                kept.setdefault(value, Kept(value, known[value]))
        for value in stage.values:
            known.setdefault(value, number)
    rows = sum(each.value.dtype.itemsize * _extent(sweeps[each.producer]) for each in kept.values())
    return list(kept.values()) if rows <= ROW_BYTES else []


def _extent(sweep: SweepTiling) -> int:
    return sweep.vector.extent if sweep.vector is not None else 1


def _frontier(stage: Stage, known: dict[Value, int]) -> list[Value]:
    """The topmost values of the stage that an earlier one computes."""
    found: dict[Value, None] = {}
    pending = list(stage_values(stage))
    seen: set[Value] = set()
    while pending:
        value = pending.pop(0)
        if value in seen:
            continue
        seen.add(value)
        if value in known and value.inputs and value.op != LOAD and value.dtype is not bool_:
            found[value] = None
        else:
            pending.extend(value.inputs)
    return list(found)


def _cost(value: Value, axis: Variable) -> int:
    """How many operations below the value change along the axis."""
    varying: set[Value] = set()
    count = 0
    for below in ordered_values([value]):
        if below.op == LOAD:
            if depends(below.payload, axis) or any(i in varying for i in below.inputs):
                varying.add(below)
        elif below.op == INDEX:
            if stride(below.payload, axis) != 0:
                varying.add(below)
        elif any(i in varying for i in below.inputs):
            varying.add(below)
            count += 1
    return count
