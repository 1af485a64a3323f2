"""Contractions: a tile of the result for each block program, summed by ``tl.dot``, and the epilogue on it.

Rows come from one operand, columns from the other; each may be any expression of loads under any masks. Along the sum
blocks of ``depth`` steps are loaded. Where the innermost summed axis is cut evenly by them, all other summed axes are
scalars of the step, so an address is a block that does not change plus a number: ``row(m) + offset(k)``. Rows and
columns that overhang the result read an element inside instead of nothing, unless neighbours along them lie side by
side in memory.

The epilogue counts rows and columns anew, with masks, so that what it stores is known to lie side by side. Where it
holds more for each result than registers do, it takes a part of the tile's columns at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lazygrad.ir.dtype import bfloat16, float32, float64, int32
from lazygrad.ir.index import Variable
from lazygrad.ir.value import LOAD, Value
from lazygrad.kernel.axes import canonical_axes, stride
from lazygrad.kernel.block_contraction import BlockContraction, block_contraction, contraction_sizes
from lazygrad.kernel.block_size import BlockSize
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.kernel import Body, Contraction
from lazygrad.kernel.walk import ordered_values
from lazygrad_triton import reduction
from lazygrad_triton.emitter import BOTH, COLUMNS, ROWS, TritonEmitter
from lazygrad_triton.operations import dot
from lazygrad_triton.program import BodyContext, Phase
from lazygrad_triton.types import HALVES, block_type

# What matrix units and their fallbacks take.
DOT_TYPES = (*HALVES, float32, float64)
# Neighbouring programs share this many tiles of rows, so that their operands meet in the second-level cache.
GROUPED_TILES = 8


def generate_body(context: BodyContext) -> list[Phase]:
    """One phase of tiles; sums of products where a matrix unit would mostly idle, or cannot compute them."""
    body = canonical_axes(context.body)
    form = block_contraction(body, context.machine, context.size) if _has_tiles(body) else None
    if form is None:
        return reduction.generate_body(context)
    (contraction,) = body.stages[0].accumulators
    assert isinstance(contraction, Contraction)
    return [_Tiles(replace(context, body=body), contraction, form).generate()]


def sizes(context: BodyContext) -> list[BlockSize]:
    """Other tiles."""
    body = canonical_axes(context.body)
    if not _has_tiles(body) or block_contraction(body, context.machine) is None:
        return reduction.sizes(context)
    return contraction_sizes(body, context.machine)


def _has_tiles(body: Body) -> bool:
    """Whether ``tl.dot`` computes the body's sums, and all else happens after them."""
    (contraction,) = body.stages[0].accumulators
    if len(body.stages) != 2 or body.stages[0].stores or body.stages[1].accumulators:
        return False
    return contraction.dtype in DOT_TYPES


class _Tiles:
    def __init__(self, context: BodyContext, contraction: Contraction, form: BlockContraction) -> None:
        self.context = context
        self.contraction = contraction
        self.form = form
        self.emitter: TritonEmitter = context.emitter()
        self.step = ""
        self.guards: dict[int, Operand] = {}  # for loads along the rows and columns

    def generate(self) -> Phase:
        emitter, form = self.emitter, self.form
        emitter.note(
            f"{form.batches} x {form.row_count} x {form.column_count}, sums of {form.sum_length}; tiles of "
            f"{form.rows} x {form.columns} x {form.depth}"
        )
        row, column = self._place()
        emitter.open(None)
        sums = self._sums(row, column)
        emitter.close()
        emitter.open(None)
        self._count(form.row_axes, _product_of(row, form.rows), form.rows, form.rows, form.row_count, ROWS)
        width = form.columns // form.parts
        for number, part in enumerate(self._parts(sums)):
            emitter.open(None)
            start = _sum_of(_product_of(column, form.columns), number * width)
            self._count(form.column_axes, start, width, form.columns, form.column_count, COLUMNS)
            emitter.reduced[0] = Operand(part, self.contraction.dtype, BOTH, emitter.depth)
            emitter.stores(self.context.body.stages[1].stores)
            emitter.close()
        emitter.close()
        return Phase(emitter.finish(), form.programs, form.warps, form.stages)

    def _sums(self, row: str, column: str) -> str:
        """The loop along the sum; returns the name of the tile."""
        emitter, form = self.emitter, self.form
        self._side(form.row_axes, row, form.rows, form.row_count, ROWS, self.contraction.a)
        self._side(form.column_axes, column, form.columns, form.column_count, COLUMNS, self.contraction.b)
        self.guards = dict(emitter.load_guards)
        emitter.guards.clear()
        sums, self.step = emitter.fresh("sums"), emitter.fresh("step")
        emitter.line(f"{sums} = tl.full(({form.rows}, {form.columns}), 0, {block_type(self.contraction.dtype)})")
        a, b = _narrow(self.contraction)
        blocks = -(-form.sum_length // form.depth)
        emitter.open(f"for {self.step} in range(0, {blocks}):")
        left = self._operand(a, ROWS, (form.rows, form.depth))
        right = self._operand(b, COLUMNS, (form.depth, form.columns))
        emitter.line(f"{sums} = {dot(left, right, self.contraction.dtype, form.precision, sums)}")
        emitter.close()
        return sums

    def _parts(self, sums: str) -> list[str]:
        """The tile's columns in parts, from left to right."""
        parts = [sums]
        while len(parts) < self.form.parts:
            halves: list[str] = []
            for whole in parts:
                left, right = self.emitter.fresh("left"), self.emitter.fresh("right")
                self.emitter.line(f"{left}, {right} = {self.emitter.use('halves')}({whole})")
                halves += [left, right]
            parts = halves
        return parts

    # ---- the tile

    def _place(self) -> tuple[str, str]:
        """Which tile this program computes, as its row and column; batch axes are bound to scalars."""
        emitter, form = self.emitter, self.form
        tile = Operand("program", int32)
        for axis in form.batch_axes if form.batches == 1 else ():
            emitter.bind(axis, "0")
        if form.batches > 1:
            tiles = form.row_tiles * form.column_tiles
            tile = emitter.declare(Operand(f"program % {tiles}", int32), "tile")
            emitter.bind_digits(form.batch_axes, emitter.declare(Operand(f"program // {tiles}", int32), "batch"))
        return self._grouped(tile)

    def _grouped(self, tile: Operand) -> tuple[str, str]:
        """The tile's row and column, numbered so that neighbours share operands."""
        emitter, form = self.emitter, self.form
        if form.column_tiles == 1:
            return tile.text, "0"
        if form.row_tiles == 1:
            return "0", tile.text

        def name(text: str, prefix: str) -> str:
            return emitter.declare(Operand(text, int32), prefix).text

        if form.row_tiles <= GROUPED_TILES:
            return name(f"{tile.text} % {form.row_tiles}", "row"), name(f"{tile.text} // {form.row_tiles}", "column")
        group = GROUPED_TILES * form.column_tiles
        first = name(f"{tile.text} // {group} * {GROUPED_TILES}", "first")
        size = str(GROUPED_TILES)
        if form.row_tiles % GROUPED_TILES:
            size = name(f"tl.minimum({form.row_tiles} - {first}, {GROUPED_TILES})", "size")
        inside = name(f"{tile.text} % {group}", "tile")
        return name(f"{first} + {inside} % {size}", "row"), name(f"{inside} // {size}", "column")

    def _side(
        self, axes: Sequence[Variable], tile: str, block: int, count: int, dimension: int, operand: Value
    ) -> None:
        """Binds the rows or columns for the sum; a guard is set where neighbours along them lie side by side."""
        start = _product_of(tile, block)
        if count == 1 or count % block == 0 or (axes and _side_by_side(operand, axes[-1])):
            self._count(axes, start, block, block, count, dimension)
            return
        emitter = self.emitter
        numbers = emitter.range(start, block, dimension)
        inside = Operand(f"tl.minimum({numbers.text}, {count - 1})", numbers.dtype, dimension, emitter.depth)
        emitter.bind_digits(axes, emitter.declare(inside, "i"))

    def _count(self, axes: Sequence[Variable], start: str, size: int, block: int, count: int, dimension: int) -> None:
        """Binds axes to ``size`` numbers from ``start`` on; a guard is set where blocks overhang the ``count``."""
        emitter = self.emitter
        numbers = emitter.range(start, size, dimension)
        if count == 1:
            for axis in axes:
                emitter.bind(axis, "0")
        else:
            emitter.bind_digits(axes, numbers)
        if count % block:
            emitter.guard(dimension, numbers, count)

    # ---- the sum

    def _operand(self, value: Value, dimension: int, shape: tuple[int, int]) -> str:
        """One operand's block of this step, in the shape that the product wants."""
        emitter, form = self.emitter, self.form
        along = BOTH ^ dimension
        emitter.open(None)
        emitter.load_guards.clear()  # the other side's dimension is the sum's here
        if dimension in self.guards:
            emitter.load_guards[dimension] = self.guards[dimension]
        if form.even:
            inner = form.sum_axes[-1]
            blocks = inner.extent // form.depth
            outer = form.sum_axes[:-1]
            start = self.step
            if outer:
                digits = emitter.declare(
                    Operand(f"{self.step} // {blocks}" if blocks > 1 else self.step, int32, 0, emitter.depth)
                )
                emitter.bind_digits(outer, digits)
                start = f"{self.step} % {blocks}" if blocks > 1 else "0"
            numbers = emitter.range("0" if start == "0" else f"({start}) * {form.depth}", form.depth, along)
            emitter.bind_block(inner, numbers)
        else:
            numbers = emitter.range(f"{self.step} * {form.depth}", form.depth, along)
            if form.sum_length % form.depth:
                emitter.guard(along, numbers, form.sum_length)
            emitter.bind_digits(form.sum_axes, numbers)
        operand = emitter.value(value)
        text = emitter.filled(operand, f"({shape[0]}, {shape[1]})").text
        guard = emitter.load_guards.get(along)
        if guard is not None and value.op != LOAD:  # what is not loaded is not zero beyond the sum's end by itself
            text = f"tl.where({guard.text}, {text}, tl.full((), 0, {block_type(operand.dtype)}))"
        name = emitter.fresh("a" if dimension == ROWS else "b")
        emitter.line(f"{name} = {text}")
        emitter.close()
        return name


def _narrow(contraction: Contraction) -> tuple[Value, Value]:
    """The operands in the type in which they are multiplied: half-width floats before they were widened."""
    a, b = (
        x.inputs[0] if x.op == "cast" and x.inputs[0].dtype in HALVES else x for x in (contraction.a, contraction.b)
    )
    if a.dtype is b.dtype and a.dtype in HALVES:
        return a, b
    dtype = bfloat16 if contraction.precision == "medium" and contraction.dtype is float32 else contraction.dtype
    return contraction.a.cast(dtype), contraction.b.cast(dtype)


def _side_by_side(value: Value, axis: Variable) -> bool:
    """Whether neighbours along the axis are neighbours in memory."""
    return any(v.op == LOAD and stride(v.payload.address, axis) in (1, -1) for v in ordered_values([value]))


def _product_of(text: str, factor: int) -> str:
    """As one would write it."""
    return text if text == "0" or factor == 1 else f"{text} * {factor}"


def _sum_of(text: str, number: int) -> str:
    """As one would write it."""
    if text == "0":
        return str(number)
    return f"{text} + {number}" if number else text
