"""What one element of a stage costs when lanes lie along a given axis: the measure by which tilings choose.

The unit is one instruction on one lane. A heuristic; constants were chosen by timing generated code with AVX2.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.index import Variable
from lazygrad.ir.value import ARGUMENT, CONSTANT, INDEX, LOAD, REDUCED, VALID
from lazygrad.kernel.axes import stride
from lazygrad.kernel.kernel import Access, Stage
from lazygrad.kernel.substitution import all_values, stage_loads, stage_roots

# A load, extract and insert for a lane that has no neighbour in memory.
GATHER_COST = 3.0
# A compare and a branch for a masked lane.
MASKED_COST = 4.0
# Operations that take several times longer than an addition, by the factor.
SLOW_OPERATIONS = {"div": 4.0, "sqrt": 6.0}
_LEAVES = frozenset({ARGUMENT, CONSTANT, INDEX, LOAD, REDUCED, VALID})


def operations(stage: Stage) -> float:
    """Arithmetic of one point of the stage, in additions."""
    return len(stage.accumulators) + sum(
        SLOW_OPERATIONS.get(value.op, 1.0) for value in all_values(stage_roots(stage)) if value.op not in _LEAVES
    )


def accesses(stage: Stage) -> list[Access]:
    """Loads once each, and stores."""
    return [*stage_loads(stage), *(store.access for store in stage.stores)]


def elements(stage: Stage) -> int:
    """How often the stage's loops run at one point of the body."""
    return prod(axis.extent for axis in stage.axes)


def full_lanes(extent: int, lanes: int) -> int:
    """The most lanes, up to ``lanes``, that an axis fills at least once."""
    while lanes > extent:
        lanes //= 2
    return lanes


def lane_cost(stage: Stage, axis: Variable | None, lanes: int) -> float:
    """The cost of one point of the stage with lanes along the axis; without an axis, of scalar code."""
    touched = accesses(stage)
    work = operations(stage)
    if axis is None:
        return work + len(touched)
    lanes = full_lanes(axis.extent, lanes)
    vectors = -(-axis.extent // lanes) * lanes / axis.extent  # more than 1 where the last vector repeats lanes
    cost = work * vectors / lanes
    for access in touched:
        step = stride(access.address, axis)
        if step == 1:
            cost += vectors / lanes
        elif step != 0 or lanes == 1:
            cost += GATHER_COST
        if any(stride(bound.index, axis) != 0 for bound in access.mask):
            cost += MASKED_COST
    return cost


def lanes_for(stages: Sequence[Stage], dtypes: Sequence[DType], vector_bytes: int, largest: int = 16) -> int:
    """Lanes of one vector register for the widest type that the stages compute in.

    int64 counts only where no 32-bit number is computed: positions and random bits beside floats use two registers.
    """
    used = {value.dtype for stage in stages for value in all_values(stage_roots(stage)) if value.op != CONSTANT}
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
