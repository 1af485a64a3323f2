"""Streams: products, what their values become, and what is summed up by that, block by block and never stored.

A program has a tile of rows. What its rows need of the products is loaded once; then it runs through the stage:

    for start in range(...):
        the other factors of the products                                     [steps, ...]
        products = tl.dot(factors of the rows, factors of the steps)          [rows, steps]
        weights, from products and whatever else depends on rows and steps    [rows, steps]
        sums = tl.dot(weights, what is weighted, sums)                        [rows, ...]

Weights of averages are exponentials of scores. Sums are kept below the largest score so far, and scaled down where a
larger one is met (Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867). Exponentials are in base two. Steps
that no row of the tile sees are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import NamedTuple

from lazygrad.ir.dtype import DType, int32
from lazygrad.ir.index import Variable
from lazygrad.ir.value import LOAD, Value
from lazygrad.kernel.base_two import LN_2, LOG2_E, in_base_two, scaled
from lazygrad.kernel.block_size import BlockSize
from lazygrad.kernel.block_streaming import BlockStreaming, block_streaming, factor_type, padded, stream_sizes
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.expand import map_values
from lazygrad.kernel.kernel import Accumulator, Contraction, Reduction, Stage
from lazygrad_triton.emitter import BOTH, COLUMNS, ROWS, TritonEmitter
from lazygrad_triton.literals import typed
from lazygrad_triton.operations import dot
from lazygrad_triton.program import BodyContext, Phase
from lazygrad_triton.runs import Run, later_rows_see_more, runs
from lazygrad_triton.types import block_type

Axes = tuple[Variable, ...]


def generate_body(context: BodyContext) -> list[Phase]:
    """One phase of tiles of rows."""
    context = replace(context, body=map_values(context.body, in_base_two))
    return [_Rows(context, block_streaming(context.body, context.machine, context.size)).generate()]


def sizes(context: BodyContext) -> list[BlockSize]:
    """Other tiles."""
    return stream_sizes(context.body, context.machine)


class _Scores(NamedTuple):
    """Names of what runs along with scores: the largest of each row, and the sum of exponentials below it."""

    largest: str
    total: str


class _Rows:
    """One tile of rows."""

    def __init__(self, context: BodyContext, form: BlockStreaming) -> None:
        self.stage, *self.storing = context.body.stages
        self.form = form
        self.emitter: TritonEmitter = context.emitter()
        self.held: list[str] = []  # the rows' factor of each product
        self.scores: list[_Scores | None] = []  # of each accumulator; one for those that have one score
        self.sums: list[str] = []  # of each accumulator; "" of those that scores are enough for

    def generate(self) -> Phase:
        emitter, form = self.emitter, self.form
        emitter.note(
            f"{form.batches} x {form.row_count} rows, {form.step_count} steps; tiles of {form.rows} x {form.steps}"
        )
        self._place()
        for product in self.stage.products:
            with self._level():
                self._columns(product.axes)
                dtype = factor_type(product.operands, product.precision)
                self.held.append(self._matrix(product.a, dtype, form.rows, product.axes))
        self._start()
        for run in runs(emitter, self.stage, form):
            start = emitter.fresh("start")
            emitter.open(f"for {start} in range({run.low}, {run.high}, {form.steps}):")
            self._block(start, run)
            emitter.close()
        for number, accumulator in enumerate(self.stage.accumulators):
            emitter.reduced[number] = self._of_one_row(self._result(number, accumulator))
        for stage in self.storing:
            with self._level():
                if stage.axes:
                    self._columns(stage.axes)
                emitter.stores(stage.stores)
        return Phase(emitter.finish(), form.programs, form.size.warps, form.size.stages)

    # ---- tiles

    def _place(self) -> None:
        """Which rows this program computes. Rows beyond the last compute it again, and store nothing."""
        emitter, form = self.emitter, self.form
        tile, batch = ("0", "program") if form.row_tiles == 1 else ("program", "0")
        if form.batches > 1 and form.row_tiles > 1:
            tile = emitter.declare(Operand(f"program % {form.row_tiles}", int32), "tile").text
            batch = emitter.declare(Operand(f"program // {form.row_tiles}", int32), "batch").text
        emitter.bind_digits(form.batch_axes, Operand(batch, int32))
        if form.row_tiles > 1 and later_rows_see_more(self.stage, form):
            # Long programs first; short ones fill the gaps in the end.
            tile = emitter.declare(Operand(f"{form.row_tiles - 1} - {tile}", int32), "tile").text
        numbers = emitter.range("0" if tile == "0" else f"{tile} * {form.rows}", form.rows, ROWS)
        if form.row_count % form.rows:
            emitter.guard(ROWS, numbers, form.row_count, loads=False)
            numbers = emitter.declare(
                Operand(f"tl.minimum({numbers.text}, {form.row_count - 1})", int32, ROWS, emitter.depth), "i"
            )
        emitter.bind_digits(form.row_axes, numbers)

    @contextmanager
    def _level(self) -> Iterator[None]:
        """Bindings and guards that end with it."""
        emitter = self.emitter
        guards, load_guards = dict(emitter.guards), dict(emitter.load_guards)
        emitter.open(None)
        yield
        emitter.close()
        emitter.guards, emitter.load_guards = guards, load_guards

    def _columns(self, axes: Axes) -> None:
        """Binds axes to the columns of a block that holds all of them."""
        numbers = self.emitter.bind_range(axes, "0", padded(axes), COLUMNS)
        extent = prod(axis.extent for axis in axes)
        if extent < padded(axes):
            self.emitter.guard(COLUMNS, numbers, extent)

    def _steps(self, start: str, dimension: int, whole: bool) -> None:
        """Binds the stage's axes to the steps of one block."""
        form = self.form
        numbers = self.emitter.bind_range(form.step_axes, start, form.steps, dimension)
        if not whole:
            self.emitter.guard(dimension, numbers, form.step_count)

    def _matrix(self, value: Value, dtype: DType, rows: int, axes: Axes) -> str:
        """A block of values as a factor of ``tl.dot``: 0 beyond the ends of what is bound."""
        emitter = self.emitter
        factor = value.inputs[0] if value.op == "cast" and value.inputs[0].dtype is dtype else value.cast(dtype)
        operand = emitter.value(factor)
        text = emitter.filled(operand, f"({rows}, {padded(axes)})").text
        source = factor.inputs[0] if factor.op == "cast" else factor
        for dimension, guard in emitter.load_guards.items():
            if source.op != LOAD or not operand.wide & dimension:  # else the load has seen to it
                text = f"tl.where({guard.text}, {text}, {typed(0, dtype)})"
        return text if text.isidentifier() else emitter.declare(Operand(text, dtype, BOTH, emitter.depth), "f").text

    # ---- running sums

    def _start(self) -> None:
        """What the accumulators begin with."""
        emitter, rows = self.emitter, self.form.rows
        known: dict[Value, _Scores] = {}
        for accumulator in self.stage.accumulators:
            kind = block_type(accumulator.dtype)
            score = None if isinstance(accumulator, Contraction) else accumulator.operands[0]
            if score is not None and score not in known:
                known[score] = _Scores(emitter.fresh("largest"), emitter.fresh("total"))
                emitter.line(f'{known[score].largest} = tl.full(({rows}, 1), float("-inf"), {kind})')
                emitter.line(f"{known[score].total} = tl.full(({rows}, 1), 0, {kind})")
            self.scores.append(None if score is None else known[score])
            self.sums.append("" if isinstance(accumulator, Reduction) else emitter.fresh("sums"))
            if self.sums[-1]:
                emitter.line(f"{self.sums[-1]} = tl.full(({rows}, {padded(accumulator.axes)}), 0, {kind})")

    def _block(self, start: str, run: Run) -> None:
        """One block of steps."""
        emitter, form = self.emitter, self.form
        loaded: dict[tuple[Value, DType], str] = {}

        def factor(value: Value, dtype: DType, axes: Axes) -> str:
            if (value, dtype) not in loaded:
                with self._level():
                    self._steps(start, ROWS, run.whole)
                    self._columns(axes)
                    loaded[value, dtype] = self._matrix(value, dtype, form.steps, axes)
            return loaded[value, dtype]

        factors = [factor(p.b, factor_type(p.operands, p.precision), p.axes) for p in run.stage.products]
        with self._level():
            self._steps(start, COLUMNS, run.whole)
            for number, (product, held, other) in enumerate(zip(run.stage.products, self.held, factors, strict=True)):
                text = dot(held, f"tl.trans({other})", product.dtype, product.precision)
                emitter.products[number] = emitter.declare(Operand(text, product.dtype, BOTH, emitter.depth), "p")
            weights = self._weights(run.stage)
        for accumulator, weight, sums in zip(run.stage.accumulators, weights, self.sums, strict=True):
            if not isinstance(accumulator, Reduction):
                weighted, precision = accumulator.operands[1], accumulator.precision
                rows = factor(weighted, factor_type((weighted,), precision), accumulator.axes)
                emitter.line(f"{sums} = {dot(weight, rows, accumulator.dtype, precision, sums)}")

    def _weights(self, stage: Stage) -> list[str]:
        """What multiplies the rows that each accumulator sums up."""
        emitter = self.emitter
        exponentials: dict[_Scores, str] = {}
        weights = []
        for accumulator, scores in zip(stage.accumulators, self.scores, strict=True):
            operand = accumulator.operands[0]
            if scores is None:
                weight = self._beyond(emitter.value(operand), 0)
            else:
                if scores not in exponentials:
                    exponentials[scores] = self._exponentials(operand, scores)
                weight = exponentials[scores]
            if not isinstance(accumulator, Reduction):
                dtype = factor_type(accumulator.operands[1:], accumulator.precision)
                if dtype is not accumulator.dtype:
                    text = f"{weight}.to({block_type(dtype)})"
                    weight = emitter.declare(Operand(text, dtype, BOTH, emitter.depth)).text
            weights.append(weight)
        return weights

    def _exponentials(self, score: Value, names: _Scores) -> str:
        """The exponentials of a block of scores below the largest so far; what was summed before is brought to it."""
        emitter, dtype = self.emitter, score.dtype
        value = self._beyond(emitter.value(scaled(score, LOG2_E)), float("-inf"))

        def declare(text: str, wide: int = ROWS) -> str:
            return emitter.declare(Operand(text, dtype, wide, emitter.depth)).text

        block = f"tl.reduce({value}, 1, {emitter.use('larger')}, keep_dims=True)"
        largest = declare(f"tl.maximum({names.largest}, {block})")
        # Where all scores so far are -inf, their exponentials are 0, and not those of -inf - -inf.
        base = declare(f'tl.where({largest} == float("-inf"), {typed(0, dtype)}, {largest})')
        exponentials = declare(f"tl.exp2({value} - {base})", BOTH)
        shrink = declare(f"tl.exp2({names.largest} - {base})")
        block = f"tl.reduce({exponentials}, 1, {emitter.use('add')}, keep_dims=True)"
        emitter.line(f"{names.total} = {names.total} * {shrink} + {block}")
        emitter.line(f"{names.largest} = {largest}")
        for scores, sums in zip(self.scores, self.sums, strict=True):
            if scores is names and sums:
                emitter.line(f"{sums} = {sums} * {shrink}")
        return exponentials

    def _beyond(self, operand: Operand, other: float) -> str:
        """A block of all rows and steps, with another value beyond the last step."""
        emitter, form = self.emitter, self.form
        text = emitter.filled(operand, f"({form.rows}, {form.steps})").text
        guard = emitter.guards.get(COLUMNS)
        if guard is None:
            return text
        text = f"tl.where({guard.text}, {text}, {typed(other, operand.dtype)})"
        return emitter.declare(Operand(text, operand.dtype, BOTH, emitter.depth)).text

    def _result(self, number: int, accumulator: Accumulator) -> Operand:
        """What an accumulator comes to."""
        emitter, dtype = self.emitter, accumulator.dtype
        scores, sums = self.scores[number], self.sums[number]

        def declare(text: str, wide: int) -> Operand:
            return emitter.declare(Operand(text, dtype, wide, emitter.depth))

        if scores is not None and not sums:
            return declare(f"({scores.largest} + tl.log2({scores.total})) * {typed(LN_2, dtype)}", ROWS)
        if scores is not None:
            sums = declare(f"{sums} / tl.where({scores.total} == 0, {typed(1, dtype)}, {scores.total})", BOTH).text
        if not accumulator.axes:  # of which one column is not 0
            return declare(f"tl.reduce({sums}, 1, {emitter.use('add')}, keep_dims=True)", ROWS)
        return Operand(sums, dtype, BOTH, emitter.depth)

    def _of_one_row(self, result: Operand) -> Operand:
        """The result without its rows where there is only one: all have computed the same."""
        if self.form.row_axes:
            return result
        text = f"tl.reduce({result.text}, 0, {self.emitter.use('larger')}, keep_dims=True)"
        return self.emitter.declare(result._replace(text=text, wide=result.wide & ~ROWS))
