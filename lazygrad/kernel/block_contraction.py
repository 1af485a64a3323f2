"""How a contraction is cut into tiles for block programs with matrix units.

In: a body whose first stage is a ``Contraction``, in canonical axes, and the machine. Out: a ``BlockContraction``, or
None where sums of products without matrix units are better.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.index import Variable
from lazygrad.ir.value import LOAD, Value
from lazygrad.kernel.block_size import BlockSize, around, nearest
from lazygrad.kernel.block_tiling import power_of_two
from lazygrad.kernel.forms import axes_read
from lazygrad.kernel.kernel import Body, Contraction
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.walk import ordered_values, stage_values
from lazygrad.settings import Precision

# Below this many rows or columns a tile of a matrix unit is mostly padding.
SMALLEST_SIDE = 8
# The smallest blocks that every matrix unit takes.
SMALLEST_BLOCK = 16
# (rows, columns, depth, warps, stages), best first; the first that gives every core a tile is taken, else the last.
HALF_TILES = (
    (128, 256, 64, 8, 3),
    (128, 128, 64, 8, 3),
    (128, 64, 64, 4, 4),
    (64, 64, 64, 4, 4),
    (64, 32, 64, 4, 4),
    (32, 32, 64, 2, 4),
)
TF32_TILES = (
    (128, 128, 32, 8, 3),
    (128, 64, 32, 4, 4),
    (64, 64, 32, 4, 4),
    (64, 32, 32, 4, 4),
    (32, 32, 32, 2, 4),
)
# Without matrix units the operands pass through registers once for each multiply-add.
EXACT_TILES = (
    (128, 128, 16, 8, 3),
    (128, 64, 16, 8, 3),
    (64, 64, 16, 4, 3),
    (64, 32, 16, 4, 3),
    (32, 32, 16, 2, 3),
)
# Values that a thread can hold at the end: results, and what the epilogue has beside each.
WARP_SIZE = 32
REGISTER_BYTES = 4
MOST_HELD = 200
DOUBLE_TILES = ((64, 64, 16, 4, 2), (32, 32, 16, 4, 2))
# What a tuner tries: the largest sides, warps, depth and stages with which matrix units of today get faster, and how
# many results a thread must have to compute.
LARGEST_SIDE = 256
LARGEST_DEPTH = 128
MOST_WARPS = 8
MOST_STAGES = 5
FEWEST_RESULTS = 4


@dataclass(frozen=True)
class BlockContraction:
    """Axes flattened, slowest first, and the tile: ``rows`` x ``columns`` results, ``depth`` steps of the sum at once.

    ``even``: the innermost summed axis is a whole number of blocks of the sum. ``precision``: as the contraction's.
    """

    batch_axes: tuple[Variable, ...]
    row_axes: tuple[Variable, ...]
    column_axes: tuple[Variable, ...]
    sum_axes: tuple[Variable, ...]
    rows: int
    columns: int
    depth: int
    warps: int
    stages: int
    even: bool
    precision: Precision

    @property
    def size(self) -> BlockSize:
        """The numbers alone."""
        return BlockSize(self.rows, self.columns, self.depth, self.warps, self.stages)

    @property
    def batches(self) -> int:
        return _size(self.batch_axes)

    @property
    def row_count(self) -> int:
        return _size(self.row_axes)

    @property
    def column_count(self) -> int:
        return _size(self.column_axes)

    @property
    def sum_length(self) -> int:
        return _size(self.sum_axes)

    @property
    def row_tiles(self) -> int:
        return -(-self.row_count // self.rows)

    @property
    def column_tiles(self) -> int:
        return -(-self.column_count // self.columns)

    @property
    def programs(self) -> int:
        return self.batches * self.row_tiles * self.column_tiles


def block_contraction(body: Body, machine: Machine, size: BlockSize | None = None) -> BlockContraction | None:
    """The tile for a body whose stages are a contraction and an epilogue, with the numbers that a tuner found."""
    stage = body.stages[0]
    (contraction,) = stage.accumulators
    assert isinstance(contraction, Contraction)
    in_a, in_b = axes_read(contraction.a), axes_read(contraction.b)
    batch = tuple(axis for axis in body.axes if axis in in_a and axis in in_b)
    columns = tuple(axis for axis in body.axes if axis in in_b and axis not in in_a)
    rows = tuple(axis for axis in body.axes if axis not in in_b)
    if min(_size(rows), _size(columns), _size(stage.axes)) < SMALLEST_SIDE:
        return None
    if size is None:
        epilogue = _epilogue_values(body, rows, columns)
        size = _heuristic(contraction, _size(batch), _size(rows), _size(columns), epilogue, machine)
    depth, even = _fitted_depth(size.depth, stage.axes)
    block_rows, block_columns = min(size.rows, _largest_side(rows)), min(size.columns, _largest_side(columns))
    return BlockContraction(
        batch, rows, columns, stage.axes, block_rows, block_columns, depth, size.warps, size.stages, even,
        contraction.precision,
    )  # fmt: skip


def _largest_side(axes: tuple[Variable, ...]) -> int:
    """The smallest block that holds all rows or columns."""
    return max(SMALLEST_BLOCK, power_of_two(_size(axes)))


def _fitted_depth(depth: int, sum_axes: tuple[Variable, ...]) -> tuple[int, bool]:
    """A depth no larger than the sum that cuts its innermost axis evenly, and whether there is one."""
    depth = max(SMALLEST_BLOCK, min(depth, power_of_two(_size(sum_axes))))
    inner = sum_axes[-1].extent
    even_depth = depth
    while even_depth > SMALLEST_BLOCK and inner % even_depth:
        even_depth //= 2
    return (even_depth, True) if inner % even_depth == 0 else (depth, False)


def contraction_sizes(body: Body, machine: Machine) -> list[BlockSize]:
    """What else may be tried: tiles that fit into shared memory and registers. Empty where there is no tile at all."""
    form = block_contraction(body, machine)
    if form is None:
        return []
    (contraction,) = body.stages[0].accumulators
    assert isinstance(contraction, Contraction)
    loaded = max(_source(operand).dtype.itemsize for operand in (contraction.a, contraction.b))
    epilogue = _epilogue_values(body, form.row_axes, form.column_axes)
    # Of a double, a register of 32 bits holds half.
    registers = max(1, contraction.dtype.itemsize // REGISTER_BYTES)
    depths = {_fitted_depth(depth, form.sum_axes)[0] for depth in around(form.depth, SMALLEST_BLOCK, LARGEST_DEPTH)}
    candidates = (
        BlockSize(rows, columns, depth, warps, stages)
        for rows in around(form.rows, SMALLEST_BLOCK, min(LARGEST_SIDE, _largest_side(form.row_axes)))
        for columns in around(form.columns, SMALLEST_BLOCK, min(LARGEST_SIDE, _largest_side(form.column_axes)))
        for depth in sorted(depths)
        for warps in around(form.warps, 1, MOST_WARPS)
        for stages in range(1, MOST_STAGES + 1)
        if rows * columns // (warps * machine.warp_size) >= FEWEST_RESULTS
        and _held(rows, columns, warps, epilogue) * registers <= MOST_HELD
        and stages * (rows + columns) * depth * loaded <= machine.local_memory
    )
    return nearest(form.size, candidates)


def _held(rows: int, columns: int, warps: int, epilogue: int) -> int:
    """Values that each thread holds at the end."""
    return rows * columns // (warps * WARP_SIZE) * (1 + epilogue)


def _heuristic(
    contraction: Contraction, batches: int, rows: int, columns: int, epilogue: int, machine: Machine
) -> BlockSize:
    """The largest tile that the result fills, of which there are enough for all cores, and which registers hold.

    ``epilogue``: how many values each result is joined with.
    """
    table = _table(contraction)
    chosen = table[-1]
    for candidate in table:
        tiles = batches * -(-rows // candidate[0]) * -(-columns // candidate[1])
        padded = candidate[0] >= 2 * power_of_two(rows) or candidate[1] >= 2 * power_of_two(columns)
        held = _held(candidate[0], candidate[1], candidate[3], epilogue)
        if tiles >= machine.cores and not padded and held <= MOST_HELD:
            chosen = candidate
            break
    return BlockSize(*chosen)


def _epilogue_values(body: Body, rows: tuple[Variable, ...], columns: tuple[Variable, ...]) -> int:
    """Values that stand beside each result: what is loaded for it alone, and stores after the first."""
    stores = body.stages[1].stores
    count = max(0, len(stores) - 1)
    for value in ordered_values(stage_values(body.stages[1])):
        if value.op == LOAD:
            used = axes_read(value)
            count += bool(used & set(rows)) and bool(used & set(columns))
    return count


def _table(contraction: Contraction) -> tuple[tuple[int, int, int, int, int], ...]:
    """The tiles for what the matrix unit multiplies."""
    if contraction.dtype is float64:
        return DOUBLE_TILES
    if _half(contraction) or contraction.precision == "medium":
        return HALF_TILES
    return TF32_TILES if contraction.precision == "high" else EXACT_TILES


def _half(contraction: Contraction) -> bool:
    return all(_source(x).dtype.bits == 16 for x in (contraction.a, contraction.b))


def _source(value: Value) -> Value:
    return value.inputs[0] if value.op == "cast" and value.dtype is float32 else value


def _size(axes: tuple[Variable, ...]) -> int:
    return prod(axis.extent for axis in axes)
