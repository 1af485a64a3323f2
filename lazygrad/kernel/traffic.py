"""What one element of a stage costs when lanes lie along a given axis: the measure by which tilings choose.

The unit is one instruction on one lane. A heuristic; constants were chosen by timing generated code with AVX2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.index import Variable
from lazygrad.ir.value import ARGUMENT, CONSTANT, INDEX, LOAD, PRODUCT, REDUCED, VALID, Value
from lazygrad.kernel.axes import point_count, stride
from lazygrad.kernel.kernel import Access, Stage
from lazygrad.kernel.walk import ordered_values

# A load, extract and insert for a lane that has no neighbour in memory.
GATHER_COST = 3.0
# Every second element, beside a vector's load: two of these, and a shuffle.
SHUFFLED_COST = 3.0
# The same for a store; dearer, so that lanes lie along stores and loads are turned in registers.
SCATTER_COST = 4.0
# A compare and a branch for a masked lane; and of a vector of neighbours that is mostly loaded whole, because its first
# and last lanes are inside, what a lane costs on the average.
MASKED_COST = 4.0
MASKED_VECTOR_COST = 1.0
# Operations that take several times longer than an addition, by the factor.
SLOW_OPERATIONS = {"div": 4.0, "sqrt": 6.0}
# A tiling asks the same of each stage for one axis after the other.
KNOWN_STAGES = 64
_LEAVES = frozenset({ARGUMENT, CONSTANT, INDEX, LOAD, PRODUCT, REDUCED, VALID})


@lru_cache(maxsize=KNOWN_STAGES)
def operations(stage: Stage) -> float:
    """Arithmetic of one point of the stage, in additions."""
    return len(stage.accumulators) + sum(
        SLOW_OPERATIONS.get(value.op, 1.0) for value in stage.values if value.op not in _LEAVES
    )


class Touch(NamedTuple):
    """One load or store, and the values of its data variables."""

    access: Access
    data: tuple[Value, ...]
    stores: bool

    def step(self, axis: Variable) -> int | None:
        """How far one step along the axis moves it; None where that differs from place to place."""
        if any(_varies(value, axis) for value in self.data):
            return None
        return stride(self.access.address, axis)


@lru_cache(maxsize=KNOWN_STAGES)
def touches(stage: Stage) -> tuple[Touch, ...]:
    """Loads, once each, and stores."""
    loads = [Touch(v.payload, v.inputs, False) for v in stage.values if v.op == LOAD]
    return (*loads, *(Touch(store.access, store.dynamic_values, True) for store in stage.stores))


def _varies(value: Value, axis: Variable) -> bool:
    for below in ordered_values([value]):
        if below.op == LOAD:
            indices = [below.payload.address, *(bound.index for bound in below.payload.mask)]
        elif below.op == INDEX:
            indices = [below.payload]
        elif below.op == VALID:
            indices = [bound.index for bound in below.payload]
        else:
            continue
        if any(stride(index, axis) != 0 for index in indices):
            return True
    return False


def elements(stage: Stage) -> int:
    """How often the stage's loops run at one point of the body."""
    return point_count(stage.axes)


def full_lanes(extent: int, lanes: int) -> int:
    """The most lanes, up to ``lanes``, that an axis fills at least once."""
    while lanes > extent:
        lanes //= 2
    return lanes


@lru_cache(maxsize=16 * KNOWN_STAGES)
def lane_cost(stage: Stage, axis: Variable | None, lanes: int) -> float:
    """The cost of one point of the stage with lanes along the axis; without an axis, of scalar code."""
    touched = touches(stage)
    work = operations(stage)
    if axis is None:
        return work + len(touched)
    lanes = full_lanes(axis.extent, lanes)
    vectors = -(-axis.extent // lanes) * lanes / axis.extent  # more than 1 where the last vector repeats lanes
    cost = work * vectors / lanes
    for touch in touched:
        step = touch.step(axis)
        is_masked = any(stride(bound.index, axis) != 0 for bound in touch.access.mask)
        if step == 1 or (step == -1 and not touch.stores):
            cost += vectors / lanes
        elif step == 2 and not touch.stores and not is_masked and lanes > 1:
            cost += SHUFFLED_COST * vectors / lanes
        elif step != 0 or lanes == 1:
            cost += SCATTER_COST if touch.stores else GATHER_COST
        if is_masked:
            cost += MASKED_VECTOR_COST if step == 1 and not touch.stores and lanes > 1 else MASKED_COST
    return cost


def lanes_for(stages: Sequence[Stage], dtypes: Sequence[DType], vector_bytes: int, largest: int = 16) -> int:
    """Lanes of one vector register for the widest type that the stages compute in.

    int64 counts only where no 32-bit number is computed: positions and random bits beside floats use two registers.
    """
    used = {value.dtype for stage in stages for value in stage.values if value.op != CONSTANT}
    used |= set(dtypes)
    bits = {dtype.bits for dtype in used if dtype is not bool_}
    floats = {dtype.bits for dtype in used if dtype.is_float}
    if 64 in floats or (bits == {64}):
        widest = 64
    elif bits & {16, 32, 64}:
        widest = 32
    else:
        widest = 8
    return min(largest, vector_bytes * 8 // widest)
