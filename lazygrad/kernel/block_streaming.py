"""How a stream is cut into tiles for block programs: a body whose first stage has products.

In: the body and the machine. Out: a ``BlockStreaming``. One program computes a tile of rows: it holds what these rows
need of the products, and runs through the stage in blocks of steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from lazygrad.ir.dtype import DType, bfloat16, float16, float32, float64
from lazygrad.ir.index import Variable
from lazygrad.ir.value import LOAD, Value
from lazygrad.kernel.block_size import BlockSize, around, nearest
from lazygrad.kernel.block_tiling import power_of_two
from lazygrad.kernel.forms import axes_read
from lazygrad.kernel.kernel import Average, Body, Contraction, Product, Stage
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.walk import ordered_values
from lazygrad.settings import Precision

# The smallest blocks that every matrix unit takes.
SMALLEST_BLOCK = 16
LARGEST_BLOCK = 128
# What a tuner tries besides: more warps and pipeline stages than these have never made anything faster.
MOST_WARPS = 8
MOST_STAGES = 4
# Numbers of 32 bits that a thread can hold of sums and products, beside all else that it needs.
MOST_HELD = 192
REGISTER_BYTES = 4

# (rows, steps, warps, stages), best first: the first that gives every core a tile and fits into shared memory is taken,
# else the last.
Sizes = tuple[tuple[int, int, int, int], ...]
# By the columns of the widest block, and for none, one or two sums of weighted rows beside averages. Chosen so that
# neither Ampere nor Hopper spills registers up to 128 columns.
Table = dict[int, tuple[Sizes, Sizes, Sizes]]
HALF_FOR_WARP_GROUPS: Table = {
    64: (((128, 64, 4, 3), (64, 64, 4, 3)), ((64, 64, 4, 2), (64, 32, 4, 2)), ((64, 64, 4, 2), (64, 32, 4, 2))),
    128: (((128, 128, 8, 2), (64, 64, 4, 3)), ((64, 64, 4, 2), (64, 32, 4, 2)), ((128, 64, 8, 2), (64, 64, 8, 2))),
    256: (((128, 64, 8, 2), (64, 32, 4, 2)), ((64, 32, 8, 2), (32, 32, 8, 2)), ((64, 32, 8, 2), (32, 32, 8, 2))),
}
HALF_FOR_WARPS: Table = {
    64: (((128, 32, 4, 3), (64, 64, 4, 3)), ((64, 64, 4, 2), (64, 32, 4, 2)), ((64, 32, 4, 2),)),
    128: (((128, 64, 8, 3), (64, 64, 4, 3)), ((64, 64, 4, 2), (64, 32, 4, 2)), ((64, 64, 8, 2), (64, 32, 4, 2))),
    256: (((64, 64, 8, 2), (64, 32, 4, 2)), ((64, 32, 8, 2), (32, 32, 8, 2)), ((64, 32, 8, 2), (32, 32, 8, 2))),
}
TF32: Table = {
    64: (((128, 64, 8, 2), (64, 64, 4, 2)), ((64, 32, 4, 2),), ((64, 32, 4, 2),)),
    128: (((64, 64, 8, 2), (64, 32, 4, 2)), ((64, 32, 8, 2), (32, 32, 4, 2)), ((32, 32, 4, 2),)),
    256: (((32, 16, 8, 1), (16, 16, 4, 1)),) * 3,
}
# Without matrix units the factors pass through registers.
EXACT: Table = {
    64: (((64, 32, 8, 2), (32, 32, 4, 2)), ((64, 16, 8, 2), (32, 16, 4, 2)), ((64, 16, 8, 2), (32, 16, 4, 2))),
    128: (((32, 16, 4, 2),), ((64, 16, 8, 2), (32, 16, 4, 2)), ((64, 16, 8, 2), (32, 16, 4, 2))),
    256: (((32, 16, 8, 1), (16, 16, 4, 1)),) * 3,
}
DOUBLE: Table = {
    64: (((32, 32, 4, 2),),) * 3,
    128: (((32, 32, 8, 1), (32, 16, 8, 1)), ((32, 32, 8, 1), (32, 16, 8, 1)), ((32, 16, 8, 1), (16, 16, 4, 1))),
}


@dataclass(frozen=True)
class BlockStreaming:
    """Axes flattened, slowest first: those of the body that the streamed operands read too, rows, and steps. The tile
    is ``size``: its columns are steps.
    """

    batch_axes: tuple[Variable, ...]
    row_axes: tuple[Variable, ...]
    step_axes: tuple[Variable, ...]
    size: BlockSize

    @property
    def rows(self) -> int:
        return self.size.rows

    @property
    def steps(self) -> int:
        return self.size.columns

    @property
    def batches(self) -> int:
        return _extent(self.batch_axes)

    @property
    def row_count(self) -> int:
        return _extent(self.row_axes)

    @property
    def step_count(self) -> int:
        return _extent(self.step_axes)

    @property
    def row_tiles(self) -> int:
        return -(-self.row_count // self.rows)

    @property
    def programs(self) -> int:
        return self.batches * self.row_tiles


def block_streaming(body: Body, machine: Machine, size: BlockSize | None = None) -> BlockStreaming:
    """The tile for the body, with the numbers that a tuner found."""
    stage = body.stages[0]
    streamed = {axis for part in _multiplied(stage) for axis in axes_read(part.operands[1])}
    batch = tuple(axis for axis in body.axes if axis in streamed)
    rows = tuple(axis for axis in body.axes if axis not in streamed)
    form = BlockStreaming(batch, rows, stage.axes, size or BlockSize(1))
    if size is None:
        form = replace(form, size=_heuristic(stage, form, machine))
    columns = _fitted(form.steps, form.step_count)
    return replace(form, size=form.size._replace(rows=_fitted(form.rows, form.row_count), columns=columns, depth=1))


def _multiplied(stage: Stage) -> list[Product | Contraction | Average]:
    """What is a product of matrices: the second operand is a row for each step."""
    weighted = [a for a in stage.accumulators if isinstance(a, (Average, Contraction))]
    return [*stage.products, *weighted]


def _fitted(block: int, extent: int) -> int:
    return max(SMALLEST_BLOCK, min(block, power_of_two(extent)))


def _heuristic(stage: Stage, form: BlockStreaming, machine: Machine) -> BlockSize:
    """The first tile that fits into shared memory and of which there are enough; else the last, with fewer stages."""
    table = _table(stage, machine)
    widest = max(padded(part.axes) for part in _multiplied(stage))
    columns = min((key for key in table if key >= widest), default=max(table))
    sums = sum(isinstance(accumulator, Contraction) for accumulator in stage.accumulators)
    for rows, steps, warps, stages in table[columns][min(sums, 2)]:
        size = BlockSize(rows, steps, 1, warps, stages)
        enough = replace(form, size=size).programs >= machine.cores
        if enough and _shared_bytes(stage, form, size) <= machine.local_memory:
            return size
    while size.stages > 1 and _shared_bytes(stage, form, size) > machine.local_memory:
        size = size._replace(stages=size.stages - 1)
    return size


def _table(stage: Stage, machine: Machine) -> Table:
    """The tiles for what is multiplied."""
    product = stage.products[0]
    factors = factor_type(product.operands, product.precision)
    if factors is float64:
        return DOUBLE
    if factors is float32:
        return TF32 if product.precision == "high" else EXACT
    return HALF_FOR_WARP_GROUPS if machine.matrix_units == "warp group" else HALF_FOR_WARPS


def _shared_bytes(stage: Stage, form: BlockStreaming, size: BlockSize) -> int:
    """Shared memory of a tile: the rows' factors, and what each block loads, as often as there are pipeline stages."""
    product = stage.products[0]
    itemsize = factor_type(product.operands, product.precision).itemsize
    held = {product.a: padded(product.axes) for product in stage.products}
    streamed = {part.operands[1]: padded(part.axes) for part in _multiplied(stage)}
    scores = 0  # loads that differ for each pair of a row and a step
    for value in ordered_values(accumulator.operands[0] for accumulator in stage.accumulators):
        read = axes_read(value) if value.op == LOAD else set()
        if read & set(form.step_axes) and read & set(form.row_axes):
            scores += value.dtype.itemsize
    block = size.columns * (sum(streamed.values()) * itemsize + size.rows * scores)
    # Without a pipeline, what two products read lies there in two layouts.
    return size.rows * sum(held.values()) * itemsize + max(size.stages, 2) * block


def stream_sizes(body: Body, machine: Machine) -> list[BlockSize]:
    """What else may be tried: tiles that fit into shared memory and registers."""
    form = block_streaming(body, machine)
    stage = body.stages[0]
    sums = sum(padded(part.axes) for part in _multiplied(stage)[len(stage.products) :])
    registers = max(1, stage.products[0].dtype.itemsize // REGISTER_BYTES)
    candidates = (
        size
        for rows in around(form.rows, SMALLEST_BLOCK, LARGEST_BLOCK)
        for steps in around(form.steps, SMALLEST_BLOCK, LARGEST_BLOCK)
        for warps in around(form.size.warps, 1, MOST_WARPS)
        for stages in range(1, MOST_STAGES + 1)
        if rows * (sums + len(stage.products) * steps) * registers <= MOST_HELD * warps * machine.warp_size
        and _shared_bytes(stage, form, size := BlockSize(rows, steps, 1, warps, stages)) <= machine.local_memory
    )
    return nearest(form.size, (block_streaming(body, machine, size).size for size in candidates))


def padded(axes: tuple[Variable, ...]) -> int:
    """How many columns a block has that holds all of the axes."""
    return max(SMALLEST_BLOCK, power_of_two(_extent(axes)))


def factor_type(factors: tuple[Value, ...], precision: Precision) -> DType:
    """The type in which factors are multiplied: half-width floats as they are, others as the precision allows."""
    wide = factors[0].dtype
    stored = {factor.inputs[0].dtype if factor.op == "cast" else wide for factor in factors}
    for half in (float16, bfloat16):
        if stored == {half}:
            return half
    return bfloat16 if precision == "medium" and wide is float32 else wide


def _extent(axes: tuple[Variable, ...]) -> int:
    return prod(axis.extent for axis in axes)
