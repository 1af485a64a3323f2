"""How a contraction is cut into tiles for block programs with matrix units.

In: a body whose first stage is a ``Contraction``, in canonical axes, and the machine. Out: a ``BlockContraction``, or
None where sums of products without matrix units are better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from lazygrad.ir.dtype import DType, float32, float64
from lazygrad.ir.index import Variable
from lazygrad.ir.value import LOAD, Value
from lazygrad.kernel.axes import stride
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
Tile: TypeAlias = tuple[int, int, int, int, int]
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
    (128, 256, 32, 8, 3),
    (128, 128, 32, 8, 3),
    (128, 64, 32, 4, 4),
    (64, 64, 32, 4, 4),
    (64, 32, 32, 4, 4),
    (32, 32, 32, 2, 4),
)
# Units of warp groups read float32 along the sum only; other operands would be turned element by element on their way
# to them. Groups of two warps are given units of single warps, which read either way.
TURNED_TF32_TILES = (
    (128, 64, 32, 2, 3),
    (64, 64, 32, 2, 4),
    (32, 64, 32, 2, 4),
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
# Values that a thread can hold at the end: results, and what the epilogue has beside each in a part of the columns.
WARP_SIZE = 32
REGISTER_BYTES = 4
MOST_HELD = 200
# Into how many parts the columns may be cut for the epilogue, and how narrow these may become: full transactions.
MOST_PARTS = 4
NARROWEST_PART = 32
DOUBLE_TILES = ((64, 64, 16, 4, 2), (32, 32, 16, 4, 2))
# With fewer stages nothing is loaded while products are computed.
FEWEST_STAGES = 2
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
    The epilogue takes the tile's columns in ``parts``, one after the other.
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
    parts: int

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
    epilogue = _epilogue_values(body, rows, columns)
    if size is None:
        turned = reads_along_sums(_half(contraction), contraction.precision, machine) and not all(
            _along(operand, stage.axes) for operand in (contraction.a, contraction.b)
        )
        size = _heuristic(contraction, _size(batch), _size(rows), _size(columns), epilogue, turned, machine)
    depth, even = _fitted_depth(size.depth, stage.axes)
    block_rows, block_columns = min(size.rows, _largest_side(rows)), min(size.columns, _largest_side(columns))
    return BlockContraction(
        batch, rows, columns, stage.axes, block_rows, block_columns, depth, size.warps, size.stages, even,
        contraction.precision, _parts(block_rows, block_columns, size.warps, epilogue),
    )  # fmt: skip


def expected_tile(
    half: bool, dtype: DType, precision: Precision, batches: int, rows: int, columns: int, machine: Machine
) -> tuple[int, int]:
    """The rows and columns of the tile that a contraction of this size will get, known before there is a kernel.

    Without a tile each result reads its operands by itself: then the sides are 1.
    """
    if min(rows, columns) < SMALLEST_SIDE:
        return 1, 1
    tile = _first_tile(_table(half, dtype, precision), batches, rows, columns, 0, machine)
    return tile[0], tile[1]


def reads_along_sums(half: bool, precision: Precision, machine: Machine) -> bool:
    """Whether matrix units are fast only for operands whose elements along the sum lie side by side."""
    return machine.matrix_units == "warp group" and precision == "high" and not half


def _along(operand: Value, sum_axes: tuple[Variable, ...]) -> bool:
    """Whether all that is loaded for an operand runs along the innermost summed axis."""
    loads = [value for value in ordered_values([operand]) if value.op == LOAD]
    return all(stride(load.payload.address, sum_axes[-1]) in (0, 1) for load in loads)


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
    loaded = max(_loaded_bytes(operand) for operand in (contraction.a, contraction.b))
    direct = _is_loaded(contraction.a) and _is_loaded(contraction.b)
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
        and (direct or stages <= _fitting_stages((rows, columns, depth, warps, stages), contraction, machine))
    )
    return nearest(form.size, candidates)


def _parts(rows: int, columns: int, warps: int, epilogue: int) -> int:
    """Into how many parts of the columns the epilogue is cut: no more than registers ask for."""
    parts = 1
    while (
        epilogue
        and parts < MOST_PARTS
        and columns // (2 * parts) >= NARROWEST_PART
        and _held_in_parts(rows, columns, warps, epilogue, parts) > MOST_HELD
    ):
        parts *= 2
    return parts


def _held(rows: int, columns: int, warps: int, epilogue: int) -> int:
    """Values that each thread holds at the end."""
    return _held_in_parts(rows, columns, warps, epilogue, _parts(rows, columns, warps, epilogue))


def _held_in_parts(rows: int, columns: int, warps: int, epilogue: int, parts: int) -> int:
    """All results and, of one part, what stands beside them and what is computed from both."""
    results = rows * columns // (warps * WARP_SIZE)
    return results + results // parts * (epilogue + 1 if epilogue else 0)


def _heuristic(
    contraction: Contraction, batches: int, rows: int, columns: int, epilogue: int, turned: bool, machine: Machine
) -> BlockSize:
    """The largest tile that the result fills, of which there are enough for all cores, and which registers hold.

    ``epilogue``: how many values each result is joined with. ``turned``: matrix units do not read operands as they lie.
    """
    table: Sequence[Tile] = _table(_half(contraction), contraction.dtype, contraction.precision)
    if turned:
        table = TURNED_TF32_TILES
    if not (_is_loaded(contraction.a) and _is_loaded(contraction.b)):
        staged = [(*tile[:4], min(tile[4], _fitting_stages(tile, contraction, machine))) for tile in table]
        ahead = [tile for tile in staged if tile[4] >= FEWEST_STAGES]
        table = ahead or [(*table[-1][:4], 1)]
    return BlockSize(*_first_tile(table, batches, rows, columns, epilogue, machine))


def _fitting_stages(tile: Tile, contraction: Contraction, machine: Machine) -> int:
    """For how many blocks of operands, of which some are computed, shared memory has room.

    A block lies there as it is loaded, and the one that is multiplied also as it is computed.
    """
    rows, columns, depth = tile[:3]
    loaded = rows * _loaded_bytes(contraction.a) + columns * _loaded_bytes(contraction.b)
    computed = rows * _source(contraction.a).dtype.itemsize + columns * _source(contraction.b).dtype.itemsize
    return (machine.local_memory - depth * computed) // (depth * loaded)


def _first_tile(table: Sequence[Tile], batches: int, rows: int, columns: int, epilogue: int, machine: Machine) -> Tile:
    """The best tile of the table that the result fills, of which there are enough, and which registers hold."""
    chosen = table[-1]
    for candidate in table:
        tiles = batches * -(-rows // candidate[0]) * -(-columns // candidate[1])
        padded = candidate[0] >= 2 * power_of_two(rows) or candidate[1] >= 2 * power_of_two(columns)
        held = _held(candidate[0], candidate[1], candidate[3], epilogue)
        if tiles >= machine.cores and not padded and held <= MOST_HELD:
            chosen = candidate
            break
    return chosen


def _is_loaded(operand: Value) -> bool:
    """Whether an operand goes from memory to matrix units as it is."""
    return _source(operand).op == LOAD


def _loaded_bytes(operand: Value) -> int:
    """The bytes that one element of an operand takes in shared memory: those of all that is loaded for it."""
    return sum(value.dtype.itemsize for value in ordered_values([operand]) if value.op == LOAD) or 1


def _epilogue_values(body: Body, rows: tuple[Variable, ...], columns: tuple[Variable, ...]) -> int:
    """Values that stand beside each result: what is loaded for it alone, and stores after the first."""
    stores = body.stages[1].stores
    count = max(0, len(stores) - 1)
    for value in ordered_values(stage_values(body.stages[1])):
        if value.op == LOAD:
            used = axes_read(value)
            count += bool(used & set(rows)) and bool(used & set(columns))
    return count


def _table(half: bool, dtype: DType, precision: Precision) -> tuple[Tile, ...]:
    """The tiles for what the matrix unit multiplies."""
    if dtype is float64:
        return DOUBLE_TILES
    if half or precision == "medium":
        return HALF_TILES
    return TF32_TILES if precision == "high" else EXACT_TILES


def _half(contraction: Contraction) -> bool:
    types = [_source(x).dtype for x in (contraction.a, contraction.b)]
    return all(dtype.is_float and dtype.bits == 16 for dtype in types)


def _source(value: Value) -> Value:
    return value.inputs[0] if value.op == "cast" and value.dtype is float32 else value


def _size(axes: tuple[Variable, ...]) -> int:
    return prod(axis.extent for axis in axes)
