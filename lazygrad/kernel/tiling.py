"""Tilings: how a body without contractions is cut, as data; and the heuristics that choose one.

In: a body in canonical axes and the machine. Out: a frozen record that says in what order axes are walked,
along which one the lanes lie, and how points are shared among tasks. It is all that a skeleton of the "cpu"
flavour needs to know besides the body. Sizes are chosen for caches; results are right for any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd, prod
from typing import TypeAlias

from lazygrad.ir.dtype import DType
from lazygrad.ir.index import Variable
from lazygrad.kernel.axes import point_count
from lazygrad.kernel.fetching import fetches
from lazygrad.kernel.in_place import replaces
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Stage
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.traffic import Touch, elements, full_lanes, lane_cost, lanes_for, operations, touches

# Work that makes waking another core worthwhile, in lane operations (about five microseconds).
TASK_COST = 2**17
# More tasks than cores even out what other processes take away.
TASKS_PER_CORE = 6
# How much longer elements take that are gathered, or turned in squares, than those of whole vectors.
GATHERED_WEIGHT = 4
# Positions walked inside one vector of a gathering loop: as far as prefetching and the cache like it.
GATHER_BLOCK = 128
# Running results that hide the latency of an addition; of wide vectors so many that a step takes two cache lines of
# floats: four took 2 to 7 % longer from memory.
ROW_UNROLL = 4
UNROLLED_LANES = 32
# Lanes that a task's work is counted in: wider ones do not make memory faster.
TASK_LANES = 8
# An expression with this many operations hides latencies by itself, and repeating its code costs compile time.
LONG_EXPRESSION = 12
# Additions that one running sum takes in before it is added to the total, which keeps float32 sums accurate.
SUM_BLOCK = 256
# Rows that a panel of columns walks before it moves on to the next column: streams that prefetching can follow.
ROW_BLOCK = 16
# The smallest panel, in bytes of a row (two cache lines), and the largest, whose running results stay in the cache.
SMALLEST_PANEL = 128
LARGEST_PANEL = 4096
# Sweeps through more bytes than this read from memory, not from caches, and memory wants runs of so many bytes: panels
# are made as wide if there are enough for all cores.
UNCACHED_SWEEP = 1 << 23
MEMORY_RUN = 512


@dataclass(frozen=True)
class Split:
    """An axis in blocks; with ``block`` 1 every position is one."""

    axis: Variable
    block: int

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-self.axis.extent // self.block)


@dataclass(frozen=True)
class Partition:
    """What tasks share: blocks of some axes, numbered row by row, in runs of ``chunk`` for each task."""

    splits: tuple[Split, ...]
    tasks: int

    @property
    def count(self) -> int:
        """How many combinations of blocks there are."""
        return prod(split.count for split in self.splits)

    @property
    def chunk(self) -> int:
        """How many of them one task takes at most."""
        return -(-self.count // self.tasks)


@dataclass(frozen=True)
class PointwiseTiling:
    """``loops`` are walked outermost first inside the partition, then ``vector`` in steps of ``lanes``, then ``inner``.

    ``inner`` is the axis whose neighbours share the cache lines of gathered lanes; the partition has it in blocks, no
    shorter than a vector, so that squares of lanes x lanes fit into them.
    """

    partition: Partition
    loops: tuple[Variable, ...]
    vector: Variable | None
    lanes: int
    inner: Variable | None = None


@dataclass(frozen=True)
class SweepTiling:
    """One stage in row mode: ``loops`` outermost first, then ``vector`` with ``unroll`` running results.

    ``fetches``: what is asked for at each vector, because the next row needs it (see ``fetching``).
    """

    loops: tuple[Variable, ...]
    vector: Variable | None
    unroll: int = 1
    fetches: tuple[Access, ...] = ()


@dataclass(frozen=True)
class RowTiling:
    """Lanes along the stages' own axes: every point of the body is one row."""

    partition: Partition
    loops: tuple[Variable, ...]
    lanes: int
    sweeps: tuple[SweepTiling, ...]


@dataclass(frozen=True)
class ColumnTiling:
    """Lanes along an axis of the body: a panel of ``panel`` columns is swept, ``row_block`` rows at a time.

    ``row_block`` None: each vector of columns runs through all stages before the next, results stay in
    registers. ``sweeps`` gives the order of each stage's axes, outermost first.
    """

    partition: Partition
    vector: Variable
    lanes: int
    panel: int
    row_block: int | None
    sweeps: tuple[tuple[Variable, ...], ...]


ReductionTiling: TypeAlias = RowTiling | ColumnTiling


def wanted_tasks(body: Body, lanes: int, machine: Machine, weight: int = 1) -> int:
    """How many tasks the body's work is worth; ``weight``: how much longer each element takes than what is counted."""
    points = point_count(body.axes)
    cost = (
        weight * points * sum(elements(stage) * (operations(stage) + 2 * len(touches(stage))) for stage in body.stages)
    )
    return max(1, min(int(cost / min(lanes, TASK_LANES) * TASK_LANES / TASK_COST), machine.cores * TASKS_PER_CORE))


def memory_order(axes: Sequence[Variable], touched: Sequence[Touch]) -> list[Variable]:
    """Axes with the longest steps in memory first, stores deciding before loads."""

    def step(axis: Variable, stores: bool) -> int:
        steps = [touch.step(axis) for touch in touched if touch.stores is stores]
        return max((abs(step) for step in steps if step is not None), default=0)

    return sorted(axes, key=lambda axis: (-step(axis, stores=True), -step(axis, stores=False)))


def partition(loops: Sequence[Variable], tasks: int, last: Split | None = None) -> tuple[Partition, list[Variable]]:
    """Cuts as many of the outermost loops as give every task its share; what is left stays a loop.

    ``last`` may be cut too, in its blocks, where the loops do not suffice.
    """
    splits: list[Split] = []
    rest = list(loops)
    count = 1
    while rest and count < 4 * tasks and not (count >= tasks and count % tasks == 0) and tasks > 1:
        splits.append(Split(rest.pop(0), 1))
        count *= splits[-1].count
    if last is not None and not rest and count < tasks and last.count > 1:
        splits.append(last)
        count *= last.count
    return _evened(splits, tasks), rest


# ---- pointwise


def pointwise_tiling(body: Body, buffers: Sequence[BufferDeclaration], machine: Machine) -> PointwiseTiling:
    """For a body of storing stages without axes of their own."""
    (stage,) = body.stages
    touched = touches(stage)
    lanes = lanes_for(body.stages, _memory_types(touched, buffers), machine.vector_bytes)
    vector = min(body.axes, key=lambda axis: lane_cost(stage, axis, lanes), default=None)
    if vector is None:
        return PointwiseTiling(Partition((), 1), (), None, 1)
    lanes = full_lanes(vector.extent, lanes)
    order = memory_order([axis for axis in body.axes if axis != vector], touched)
    inner = _sharing_axis(vector, order, touched, lanes)
    tasks = wanted_tasks(body, lanes, machine, 1 if inner is None else GATHERED_WEIGHT)
    if inner is not None and replaces(body, buffers) and (vector.extent % lanes or inner.extent % lanes):
        inner = None  # squares at the edges would repeat points
    if inner is not None:
        splits = [Split(axis, 1) for axis in order if axis != inner] + [Split(inner, max(GATHER_BLOCK, lanes))]
        count = prod(split.count for split in splits)
        if count < tasks:
            splits.append(_share(vector, lanes, -(-tasks // count)))
        return PointwiseTiling(_evened(splits, tasks), (), vector, lanes, inner)
    shared = _share(vector, lanes, -(-tasks // max(1, point_count(order))))
    cut, rest = partition(order, tasks, shared)
    return PointwiseTiling(cut, tuple(rest), vector, lanes)


def _evened(splits: Sequence[Split], tasks: int) -> Partition:
    """About so many tasks, up to twice as many where blocks are few: nine blocks are nine tasks, not five of two."""
    count = prod(split.count for split in splits)
    chunk = max(1, count // max(1, tasks))
    return Partition(tuple(splits), -(-count // chunk))


def _share(axis: Variable, lanes: int, parts: int) -> Split:
    """The axis in about so many equal blocks of whole vectors."""
    vectors = -(-axis.extent // lanes)
    return Split(axis, -(-vectors // max(parts, 1)) * lanes)


def _sharing_axis(
    vector: Variable, others: Sequence[Variable], touched: Sequence[Touch], lanes: int
) -> Variable | None:
    """The axis along which gathered lanes move by one element, if lanes are gathered at all."""
    if lanes == 1:
        return None
    gathered = [touch for touch in touched if touch.step(vector) not in (0, 1)]
    for axis in others:
        if axis.extent > 1 and any(touch.step(axis) == 1 for touch in gathered):
            return axis
    return None


def _memory_types(touched: Sequence[Touch], buffers: Sequence[BufferDeclaration]) -> list[DType]:
    return [buffers[touch.access.buffer].dtype for touch in touched if touch.stores]


# ---- reductions


def reduction_tiling(body: Body, buffers: Sequence[BufferDeclaration], machine: Machine) -> ReductionTiling:
    """For a body of reducing and storing stages with axes of their own: lanes along rows or along columns."""
    touched = [touch for stage in body.stages for touch in touches(stage)]
    lanes = lanes_for(body.stages, _memory_types(touched, buffers), machine.vector_bytes)
    rows = _row_cost(body, lanes)
    column = min(body.axes, key=lambda axis: _column_cost(body, axis, lanes), default=None)
    if column is not None and _column_cost(body, column, lanes) < rows:
        return _column_tiling(body, column, lanes, touched, machine)
    vectors = [vector for stage in body.stages if (vector := _row_vector(stage, lanes)) is not None]
    lanes = full_lanes(max((vector.extent for vector in vectors), default=1), lanes)
    cut, rest = partition(memory_order(body.axes, touched), wanted_tasks(body, lanes, machine))
    sweeps = [_sweep(stage, lanes) for stage in body.stages]
    walked = [*(split.axis for split in cut.splits), *rest]
    row = walked[-1] if walked else None
    fetched = fetches(body, buffers, row, [sweep.vector for sweep in sweeps], machine)
    sweeps = [replace(sweep, fetches=accesses) for sweep, accesses in zip(sweeps, fetched, strict=True)]
    return RowTiling(cut, tuple(rest), lanes, tuple(sweeps))


def _row_vector(stage: Stage, lanes: int) -> Variable | None:
    if stage.one_by_one:
        return None
    return min(stage.axes, key=lambda axis: lane_cost(stage, axis, lanes), default=None)


def _row_cost(body: Body, lanes: int) -> float:
    """The cost of one point of the body with lanes along each stage's own axes."""
    total = 0.0
    for stage in body.stages:
        total += elements(stage) * lane_cost(stage, _row_vector(stage, lanes), lanes)
        if stage.axes:
            total += 2.0 * lanes * len(stage.accumulators)  # joining lanes
    return total


def _column_cost(body: Body, axis: Variable, lanes: int) -> float:
    return sum(elements(stage) * lane_cost(stage, axis, lanes) for stage in body.stages)


def _sweep(stage: Stage, lanes: int) -> SweepTiling:
    vector = _row_vector(stage, lanes)
    if keeps_order(stage):
        # argmax takes the first of equal values as it comes: the order of axes stays, the last one has the lanes.
        vector = stage.axes[-1] if stage.axes and not stage.one_by_one else None
    if vector is None or vector.extent < lanes or lanes == 1:
        return SweepTiling(stage.axes, None)
    loops = [axis for axis in stage.axes if axis != vector]
    if not keeps_order(stage):
        loops = memory_order(loops, touches(stage))
    vectors = vector.extent // lanes
    is_long = operations(stage) >= LONG_EXPRESSION or not stage.accumulators
    unroll = 1 if is_long else min(ROW_UNROLL, UNROLLED_LANES // lanes)
    return SweepTiling(tuple(loops), vector, unroll if vectors >= 2 * unroll else 1)


def keeps_order(stage: Stage) -> bool:
    """Whether the stage's axes must be walked as they are listed."""
    return stage.sequential or any(getattr(a, "position", None) is not None for a in stage.accumulators)


def _column_tiling(
    body: Body, vector: Variable, lanes: int, touched: Sequence[Touch], machine: Machine
) -> ColumnTiling:
    smallest = max(2, lanes * SMALLEST_PANEL // machine.vector_bytes)
    largest = lanes * LARGEST_PANEL // machine.vector_bytes
    lanes = full_lanes(vector.extent, lanes)
    if any(store.mode == "add" for stage in body.stages for store in stage.stores):
        # The last vector may repeat lanes of the one before, but nothing may be added twice.
        lanes = gcd(lanes, vector.extent)
    loops = memory_order([axis for axis in body.axes if axis != vector], touched)
    sweeps = tuple(
        stage.axes if keeps_order(stage) else tuple(memory_order(stage.axes, touches(stage))) for stage in body.stages
    )
    tasks = wanted_tasks(body, lanes, machine)
    points = point_count(loops)
    panel = min(largest, -(-vector.extent * points // tasks))
    longest = max(elements(stage) for stage in body.stages)
    if longest * vector.extent * machine.vector_bytes >= UNCACHED_SWEEP * lanes:
        run = lanes * MEMORY_RUN // machine.vector_bytes
        panel = max(panel, min(run, -(-vector.extent * points // machine.cores)))
    panel = min(-(-panel // smallest) * smallest, -(-vector.extent // lanes) * lanes)
    one_by_one = any(stage.one_by_one for stage in body.stages)
    row_block = None if longest <= 2 * ROW_BLOCK and not one_by_one else ROW_BLOCK
    splits = [*(Split(axis, 1) for axis in loops), Split(vector, panel)]
    return ColumnTiling(_evened(splits, tasks), vector, lanes, panel, row_block, sweeps)
