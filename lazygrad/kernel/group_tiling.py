"""Tilings of the "gpu" flavour: how the work-items of a group share points and the elements of their sweeps.

In: a body in canonical axes and the machine. Out: a frozen record. A work-group has ``points * slices``
items; the items that share a point take every ``slices``-th element of its sweeps and join their results in
local memory. Long rows are one point of many slices, columns many points side by side with few slices each.
"""

from __future__ import annotations

from dataclasses import dataclass

from lazygrad.ir.index import Variable
from lazygrad.kernel.axes import point_count
from lazygrad.kernel.kernel import Body
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.tiling import keeps_order, memory_order
from lazygrad.kernel.traffic import elements, lane_cost, touches

# Items that read side by side in one transaction: a warp, or half a wave.
SIDE_BY_SIDE = 32
# Work-items that keep one core (compute unit) busy.
ITEMS_PER_CORE = 1024
# An item that takes in fewer elements than this costs more in joining than it saves.
ELEMENTS_PER_ITEM = 4


@dataclass(frozen=True)
class GroupTiling:
    """``axes``: the body's, slowest first. ``sweeps``: each stage's axes, slowest first.

    ``slices_adjacent``: neighbouring items share a point (rows), else they have neighbouring points (columns).
    """

    axes: tuple[Variable, ...]
    points: int
    slices: int
    slices_adjacent: bool
    sweeps: tuple[tuple[Variable, ...], ...]

    @property
    def point_count(self) -> int:
        """How many points the body has."""
        return point_count(self.axes)

    @property
    def work_groups(self) -> int:
        """How many groups cover the points."""
        return -(-self.point_count // self.points)


def item_order(body: Body) -> tuple[Variable, ...]:
    """The body's axes, slowest first; neighbours along the last one read side by side."""
    if not body.axes:
        return ()
    touched = [touch for stage in body.stages for touch in touches(stage)]
    fastest = min(body.axes, key=lambda axis: _column_cost(body, axis))
    return (*memory_order([axis for axis in body.axes if axis != fastest], touched), fastest)


def group_tiling(body: Body, machine: Machine, work_group_size: int) -> GroupTiling:
    """For groups of a power of two items: slices for rows, and where cores would stand idle without them."""
    axes = item_order(body)
    longest = max(elements(stage) for stage in body.stages)
    most = max(1, longest // ELEMENTS_PER_ITEM)
    column_cost = _column_cost(body, axes[-1]) if axes else float("inf")
    rows = _row_cost(body) < column_cost
    slices = 1
    if not any(stage.sequential or store.mode == "add" for stage in body.stages for store in stage.stores):
        wanted = machine.cores * ITEMS_PER_CORE // max(1, point_count(axes))
        limit = min(most, work_group_size) if rows else min(most, wanted, max(1, work_group_size // SIDE_BY_SIDE))
        while slices * 2 <= limit:
            slices *= 2
    sweeps = tuple(
        stage.axes if keeps_order(stage) else tuple(memory_order(stage.axes, touches(stage))) for stage in body.stages
    )
    return GroupTiling(axes, work_group_size // slices, slices, rows, sweeps)


def _column_cost(body: Body, axis: Variable) -> float:
    return sum(elements(stage) * lane_cost(stage, axis, SIDE_BY_SIDE) for stage in body.stages)


def _row_cost(body: Body) -> float:
    total = 0.0
    for stage in body.stages:
        costs = [lane_cost(stage, axis, SIDE_BY_SIDE) for axis in stage.axes]
        total += elements(stage) * min(costs, default=lane_cost(stage, None, 1))
    return total
