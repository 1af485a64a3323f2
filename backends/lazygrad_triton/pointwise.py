"""Pointwise bodies: each block program computes a tile of points in straight code."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from lazygrad.kernel.block_size import BlockSize
from lazygrad.kernel.block_tiling import BlockTiling, pointwise_blocks, pointwise_sizes
from lazygrad.kernel.forms import pointwise
from lazygrad_triton.emitter import COLUMNS, ROWS, TritonEmitter
from lazygrad_triton.program import BodyContext, Phase


def generate_body(context: BodyContext) -> list[Phase]:
    """One phase: a flat block of neighbours, or a tile where loads and stores run along different axes."""
    body = pointwise(context.body)
    context = replace(context, body=body)
    tiling = pointwise_blocks(body, context.machine, context.size)
    emitter = context.emitter(flat=not tiling.column_axes)
    bind_tile(emitter, tiling)
    emitter.stores(body.stages[0].stores)
    return [Phase(emitter.finish(), tiling.programs, tiling.warps)]


def sizes(context: BodyContext) -> list[BlockSize]:
    """Other tiles of points."""
    return pointwise_sizes(pointwise(context.body), context.machine)


def bind_tile(emitter: TritonEmitter, tiling: BlockTiling) -> None:
    """Binds the axes of a tile of points to what this program computes of them."""
    row_program, column_program = "program", "program"
    if tiling.column_axes:
        row_program, column_program = f"(program // {tiling.column_blocks})", f"(program % {tiling.column_blocks})"
    bind_rows(emitter, tiling, row_program)
    if tiling.column_axes:
        count = prod(axis.extent for axis in tiling.column_axes)
        start = f"{column_program} * {tiling.columns}"
        numbers = emitter.bind_range(tiling.column_axes, start, tiling.columns, COLUMNS)
        if count % tiling.columns:
            emitter.guard(COLUMNS, numbers, count)


def bind_rows(emitter: TritonEmitter, tiling: BlockTiling, program: str) -> None:
    """Binds the row axes; one row alone needs no block."""
    if tiling.points == 1:
        for axis in tiling.row_axes:
            emitter.bind(axis, "0")
        return
    start = f"{program} * {tiling.rows}"
    if tiling.points + tiling.rows >= 2**31:
        start = f"tl.cast({program}, tl.int64) * {tiling.rows}"
    numbers = emitter.bind_range(tiling.row_axes, start, tiling.rows, ROWS)
    if tiling.points % tiling.rows:
        emitter.guard(ROWS, numbers, tiling.points)
