"""Tilings of the "block" flavour: which tile of points and sweep elements one block program works on.

In: a body in canonical axes and the machine. Out: a frozen record. A tile has rows and columns, both powers of two.
Of a pointwise body, rows are points, and columns appear only where loads and stores run along different axes. Of a
body that reduces, rows are points and columns the elements of its sweeps. How a tile is spread over threads is the
block compiler's business; ``warps`` says over how many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from lazygrad.ir.index import Variable
from lazygrad.kernel.block_size import MOST_WARPS, BlockSize, around, nearest
from lazygrad.kernel.group_tiling import item_order
from lazygrad.kernel.kernel import Body
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.tiling import keeps_order, memory_order
from lazygrad.kernel.traffic import elements, lane_cost, touches

# Elements of a tile for each thread: enough loads in flight to hide latency, few enough for registers.
ELEMENTS_PER_WARP = 256
# A pointwise tile is this part of the machine's: pointwise code has little to share among its elements.
POINTWISE_PART = 4
SMALLEST_TILE = 128
# A side of a tile that turns loads along one axis into stores along another: full transactions on both sides.
TURNED_SIDE = 32
# Axes shorter than this are not worth a dimension of their own.
SHORTEST_TURNED = 4
# Columns of points that read side by side.
SIDE_BY_SIDE = 32
# Sweeps up to this many elements are held whole, so that later sweeps read nothing again.
LONGEST_HELD = 8192
# Of tiles that a tuner tries: elements for each thread. Fewer are not worth a thread, more do not fit into registers.
FEWEST_FOR_THREAD = 2
MOST_FOR_THREAD = 64


@dataclass(frozen=True)
class BlockTiling:
    """``row_axes`` and ``column_axes``, slowest first, are flattened and cut into blocks of ``rows`` and ``columns``.

    ``sweeps`` are each stage's axes in the order in which its columns walk them; empty for pointwise bodies.
    """

    row_axes: tuple[Variable, ...]
    rows: int
    column_axes: tuple[Variable, ...]
    columns: int
    sweeps: tuple[tuple[Variable, ...], ...]
    warps: int

    @property
    def size(self) -> BlockSize:
        """The numbers alone."""
        return BlockSize(self.rows, self.columns, warps=self.warps)

    @property
    def points(self) -> int:
        """How many rows there are in all."""
        return prod(axis.extent for axis in self.row_axes)

    @property
    def row_blocks(self) -> int:
        """Blocks along the rows."""
        return -(-self.points // self.rows)

    @property
    def column_blocks(self) -> int:
        """Blocks along the columns of a pointwise body."""
        return -(-prod(axis.extent for axis in self.column_axes) // self.columns) if self.column_axes else 1

    @property
    def programs(self) -> int:
        """Block programs that cover the body."""
        return self.row_blocks * self.column_blocks


def power_of_two(size: int) -> int:
    """The smallest one that is not smaller.

    >>> power_of_two(1), power_of_two(5), power_of_two(64)
    (1, 8, 64)
    """
    return 1 << max(0, size - 1).bit_length()


def warps_for(tile: int) -> int:
    """How many warps share a tile of so many elements."""
    return max(1, min(MOST_WARPS, power_of_two(tile // ELEMENTS_PER_WARP)))


def pointwise_blocks(body: Body, machine: Machine, size: BlockSize | None = None) -> BlockTiling:
    """The tile of a body that :func:`lazygrad.kernel.forms.pointwise` made, with the numbers that a tuner found."""
    tiling = _pointwise_blocks(body, machine)
    return tiling if size is None else _resized(tiling, size)


def pointwise_sizes(body: Body, machine: Machine) -> list[BlockSize]:
    """What else may be tried for a pointwise body."""
    tiling = _pointwise_blocks(body, machine)
    rows = around(tiling.rows, 1, power_of_two(tiling.points))
    columns = [tiling.columns]
    if tiling.column_axes:
        columns = around(tiling.columns, 1, power_of_two(prod(axis.extent for axis in tiling.column_axes)))
    return _neighbours(tiling, rows, columns, machine)


def _resized(tiling: BlockTiling, size: BlockSize) -> BlockTiling:
    return replace(tiling, rows=size.rows, columns=size.columns, warps=size.warps)


def _neighbours(tiling: BlockTiling, rows: list[int], columns: list[int], machine: Machine) -> list[BlockSize]:
    """Tiles of these rows and columns, with as many warps as have enough to do and hold it."""
    return nearest(
        tiling.size,
        (
            BlockSize(down, along, warps=warps)
            for down in rows
            for along in columns
            for warps in around(tiling.warps, 1, MOST_WARPS)
            if FEWEST_FOR_THREAD <= down * along // (warps * machine.warp_size) <= MOST_FOR_THREAD
        ),
    )


def _pointwise_blocks(body: Body, machine: Machine) -> BlockTiling:
    points = prod(axis.extent for axis in body.axes)
    size = min(max(SMALLEST_TILE, machine.block_elements // POINTWISE_PART), power_of_two(points))
    while size > SMALLEST_TILE and points // size < machine.cores:
        size //= 2
    turned = _turned(body)
    if turned is None:
        return BlockTiling(item_order(body), size, (), 1, (), warps_for(size))
    loaded, stored = turned
    columns = min(power_of_two(stored.extent), max(TURNED_SIDE, size // TURNED_SIDE))
    touched = [touch for stage in body.stages for touch in touches(stage)]
    others = memory_order([axis for axis in body.axes if axis not in turned], touched)
    rows = max(1, size // columns)
    return BlockTiling((*others, loaded), rows, (stored,), columns, (), warps_for(rows * columns))


def _turned(body: Body) -> tuple[Variable, Variable] | None:
    """The axes along which loads and stores run side by side, where these differ and both are worthwhile."""
    (stage,) = body.stages
    runs: dict[bool, Variable] = {}
    for touch in touches(stage):
        side = next((a for a in body.axes if a.extent >= SHORTEST_TURNED and touch.step(a) in (1, -1)), None)
        if side is not None:
            runs.setdefault(touch.stores, side)
    if len(runs) < 2 or runs[True] == runs[False]:
        return None
    return runs[False], runs[True]


def sweep_blocks(body: Body, machine: Machine, size: BlockSize | None = None) -> BlockTiling:
    """The tile of a body whose stages sweep over axes of their own, with the numbers that a tuner found."""
    tiling = _sweep_blocks(body, machine)
    return tiling if size is None else _resized(tiling, size)


def sweep_sizes(body: Body, machine: Machine) -> list[BlockSize]:
    """What else may be tried for a body that sweeps."""
    tiling = _sweep_blocks(body, machine)
    longest = power_of_two(max(elements(stage) for stage in body.stages))
    rows = around(tiling.rows, 1, power_of_two(tiling.points))
    return _neighbours(tiling, rows, around(tiling.columns, 1, longest), machine)


def _sweep_blocks(body: Body, machine: Machine) -> BlockTiling:
    axes = item_order(body)
    points = prod(axis.extent for axis in axes)
    longest = max(elements(stage) for stage in body.stages)
    across = _row_cost(body) < _column_cost(body, axes[-1]) if axes else True
    tile = machine.block_elements
    if across:  # the elements of a sweep lie side by side
        columns = power_of_two(longest)
        if columns > max(LONGEST_HELD, tile):
            columns = tile
        rows = max(1, min(power_of_two(points), tile // (2 * columns)))
    else:
        rows = min(power_of_two(points), max(SIDE_BY_SIDE, tile // power_of_two(longest)), tile)
        while rows > SIDE_BY_SIDE and points // rows < 2 * machine.cores:
            rows //= 2
        columns = min(power_of_two(longest), max(1, tile // rows))
    while across and rows > 1 and points // rows < 2 * machine.cores:
        rows //= 2
    sweeps = tuple(
        stage.axes if keeps_order(stage) else tuple(memory_order(stage.axes, touches(stage))) for stage in body.stages
    )
    return BlockTiling(axes, rows, (), columns, sweeps, warps_for(rows * columns))


def _column_cost(body: Body, axis: Variable) -> float:
    return sum(elements(stage) * lane_cost(stage, axis, SIDE_BY_SIDE) for stage in body.stages)


def _row_cost(body: Body) -> float:
    total = 0.0
    for stage in body.stages:
        costs = [lane_cost(stage, axis, SIDE_BY_SIDE) for axis in stage.axes]
        total += elements(stage) * min(costs, default=lane_cost(stage, None, 1))
    return total
