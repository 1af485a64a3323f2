"""Reductions, fused rows and scatters: a tile of points and of their sweeps' elements for each block program.

A sweep that fits into one tile is loaded once and held: what later sweeps need of it is still there. A longer one is
a loop over blocks of columns, with a running result for each element of the tile, joined across columns at the end.
Scatters run through their positions in order, all points of the block side by side; where additions may come in any
order they are atomic, and every position has a block program of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from lazygrad.ir.dtype import DType, bool_, float16, float32, float64, int32, int64
from lazygrad.ir.index import Variable
from lazygrad.kernel.axes import canonical_axes
from lazygrad.kernel.block_size import BlockSize
from lazygrad.kernel.block_tiling import BlockTiling, sweep_blocks, sweep_sizes
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.forms import as_reduction, identity_of
from lazygrad.kernel.kernel import Body, Reduction, Stage
from lazygrad_triton import pointwise
from lazygrad_triton.emitter import BOTH, COLUMNS, ROWS
from lazygrad_triton.literals import typed
from lazygrad_triton.pointwise import bind_rows
from lazygrad_triton.program import BodyContext, Phase
from lazygrad_triton.types import block_type

_COMBINE = {"sum": "add", "prod": "multiply", "max": "larger", "min": "smaller"}
_COMBINE_BOOL = {"sum": "either", "prod": "both", "max": "either", "min": "both"}
_COMBINE_POSITION = {"argmax": "first_largest", "argmin": "first_smallest"}
# What hardware adds atomically.
ATOMIC = frozenset({float16, float32, float64, int32, int64})


def generate_body(context: BodyContext) -> list[Phase]:
    """One phase, or several where a scatter's additions are shared among programs."""
    parts = _parallel_scatter(context)
    if parts is not None:
        return [phase for part in parts for phase in pointwise.generate_body(replace(context, body=part))]
    context = replace(context, body=canonical_axes(context.body))
    return [_Sweeps(context).generate()]


def sizes(context: BodyContext) -> list[BlockSize]:
    """Other tiles of points and sweeps; none for scatters, which wait for their atomic additions."""
    if _parallel_scatter(context) is not None:
        return []
    return sweep_sizes(canonical_axes(context.body), context.machine)


def _parallel_scatter(context: BodyContext) -> list[Body] | None:
    """Each stage as a body of its own, where all of them only store and additions are atomic."""
    stages = context.body.stages
    added = [store for stage in stages for store in stage.stores if store.mode == "add"]
    if not added or any(stage.accumulators or stage.sequential for stage in stages):
        return None
    if any(context.buffers[store.access.buffer].dtype not in ATOMIC for store in added):
        return None
    return [Body((*context.body.axes, *stage.axes), (replace(stage, axes=()),)) for stage in stages]


class _Running(NamedTuple):
    """The names of a running result; ``position`` is there for argmax and argmin."""

    reduction: Reduction
    value: str
    position: str
    dtype: DType
    position_dtype: DType


class _Sweeps:
    def __init__(self, context: BodyContext) -> None:
        self.context = context
        self.body = context.body
        self.tiling: BlockTiling = sweep_blocks(self.body, context.machine, context.size)
        self.emitter = context.emitter()

    def generate(self) -> Phase:
        bind_rows(self.emitter, self.tiling, "program")
        stages = list(zip(self.body.stages, self.tiling.sweeps, strict=True))
        number = 0
        while stages:
            same = 1
            if not self._held(stages[0]):
                number = self._loop(*stages[0], number)
            else:
                while same < len(stages) and self._held(stages[same]) and stages[same][1] == stages[0][1]:
                    same += 1
                number = self._held_stages(stages[:same], number)
            if any(stage.stores for stage, _ in stages[:same]) and any(stage.one_by_one for stage in self.body.stages):
                self.emitter.line("tl.debug_barrier()")
            stages = stages[same:]
        return Phase(self.emitter.finish(), self.tiling.programs, self.tiling.warps)

    # ---- sweeps

    def _held(self, stage: tuple[Stage, tuple[Variable, ...]]) -> bool:
        """Whether one tile holds the whole sweep."""
        return not stage[0].one_by_one and _steps(stage[1]) <= self.tiling.columns

    def _held_stages(self, stages: Sequence[tuple[Stage, tuple[Variable, ...]]], number: int) -> int:
        """Stages over the same elements, which stay in registers between them."""
        emitter, axes = self.emitter, stages[0][1]
        steps = _steps(axes)
        emitter.open(None)
        if steps > 1:
            numbers = emitter.bind_range(axes, "0", self.tiling.columns, COLUMNS)
            if steps < self.tiling.columns:
                emitter.guard(COLUMNS, numbers, steps)
        else:
            for axis in axes:
                emitter.bind(axis, "0")
        results: dict[int, Operand] = {}
        for stage, _ in stages:
            for accumulator in stage.accumulators:
                results[number] = self._whole(as_reduction(accumulator), steps)
                emitter.reduced[number] = results[number]
                number += 1
            emitter.stores(stage.stores)
        emitter.close()
        for position, operand in results.items():
            emitter.reduced[position] = operand._replace(depth=emitter.depth)
        return number

    def _whole(self, reduction: Reduction, steps: int) -> Operand:
        """The result of a reduction whose elements are all in one tile."""
        value = self._taken(reduction, self.emitter.value(reduction.value))
        if steps == 1:
            if reduction.position is not None:
                position = self.emitter.index(reduction.position)
                return position._replace(text=f"tl.cast({position.text}, tl.int64)", dtype=int64)
            return value
        if reduction.position is None:
            return self._joined(reduction, self.emitter.filled(value, self._shape()).text, "")
        position = self._position(reduction)
        return self._joined(
            reduction, self.emitter.filled(value, self._shape()).text, self.emitter.filled(position, self._shape()).text
        )

    def _loop(self, stage: Stage, axes: tuple[Variable, ...], number: int) -> int:
        """A sweep in blocks of columns, or position by position where order matters."""
        emitter = self.emitter
        steps = _steps(axes)
        running = [self._start(as_reduction(accumulator)) for accumulator in stage.accumulators]
        name = emitter.fresh("start")
        in_order = stage.one_by_one
        block = 1 if in_order else self.tiling.columns
        emitter.open(f"for {name} in range(0, {steps}, {block}):")
        if in_order:
            emitter.bind_digits(axes, Operand(name, int32, 0, emitter.depth))
        else:
            numbers = emitter.bind_range(axes, name, block, COLUMNS)
            if steps % block:
                emitter.guard(COLUMNS, numbers, steps)
        for each in running:
            self._take(each)
        if not in_order:
            emitter.stores(stage.stores)
        for store in stage.stores if in_order else ():
            value = emitter.value(store.value)
            access = emitter.resolve(store.access, [emitter.value(v) for v in store.dynamic_values])
            emitter.write_in_order(access, store.mode, value)
        emitter.close()
        for position, each in enumerate(running):
            emitter.reduced[number + position] = self._joined(each.reduction, each.value, each.position)
        return number + len(running)

    # ---- running results

    def _shape(self) -> str:
        rows = self.tiling.rows if self.tiling.points > 1 else 1
        return f"({rows}, {self.tiling.columns})"

    def _start(self, reduction: Reduction) -> _Running:
        name = self.emitter.fresh("result")
        dtype = _value_type(reduction)
        position_dtype = _position_type(reduction)
        position = f"{name}_at" if reduction.position is not None else ""
        running = _Running(reduction, name, position, dtype, position_dtype)
        first = identity_of(reduction)
        text = typed(int(first) if dtype is int32 else first, dtype)
        self.emitter.line(f"{running.value} = {text.replace('()', self._shape(), 1)}")
        if running.position:
            last = typed(position_dtype.maximum, position_dtype)
            self.emitter.line(f"{running.position} = {last.replace('()', self._shape(), 1)}")
        return running

    def _taken(self, reduction: Reduction, value: Operand) -> Operand:
        """A value as the reduction takes it: of its type, and neutral beyond the sweep's end."""
        dtype = _value_type(reduction)
        if value.dtype is not dtype:
            value = self.emitter.declare(value._replace(text=f"{value.text}.to({block_type(dtype)})", dtype=dtype))
        guard = self.emitter.guards.get(COLUMNS)
        if guard is None:
            return value
        first = identity_of(reduction)
        other = typed(int(first) if dtype is int32 else first, dtype)
        return self.emitter.declare(
            Operand(f"tl.where({guard.text}, {value.text}, {other})", dtype, value.wide | COLUMNS, self.emitter.depth)
        )

    def _position(self, reduction: Reduction) -> Operand:
        """The position of each element, beyond the sweep's end later than any."""
        emitter, dtype = self.emitter, _position_type(reduction)
        assert reduction.position is not None
        position = emitter.index(reduction.position)
        if position.dtype is not dtype or not position.wide:
            position = position._replace(text=f"tl.cast({position.text}, {block_type(dtype)})", dtype=dtype)
        guard = emitter.guards.get(COLUMNS)
        if guard is None:
            return position
        text = f"tl.where({guard.text}, {position.text}, {typed(dtype.maximum, dtype)})"
        return emitter.declare(Operand(text, dtype, position.wide | COLUMNS, emitter.depth))

    def _take(self, running: _Running) -> None:
        emitter, reduction = self.emitter, running.reduction
        value = self._taken(reduction, emitter.value(reduction.value)).text
        held = running.value
        if not running.position:
            emitter.line(f"{held} = {_combined(reduction, held, value)}")
            return
        position = self._position(reduction)
        sign = ">" if reduction.op == "argmax" else "<"
        better = f"({value} {sign} {held})"
        if running.dtype.is_float:
            better += f" | (({value} != {value}) & ({held} == {held}))"
        # What equals the running result's start must still be taken once.
        untouched = f"({running.position} == {typed(running.position_dtype.maximum, running.position_dtype)})"
        chosen = emitter.declare(Operand(f"{better} | {untouched}", bool_, BOTH, emitter.depth), "m")
        emitter.line(f"{held} = tl.where({chosen.text}, {value}, {held})")
        emitter.line(f"{running.position} = tl.where({chosen.text}, {position.text}, {running.position})")

    def _joined(self, reduction: Reduction, value: str, position: str) -> Operand:
        """The elements of each row joined into one."""
        emitter = self.emitter
        alone = self.tiling.points == 1  # then rows have no dimension, and the result is a scalar
        wide = 0 if alone else ROWS
        if not position:
            dtype = reduction.dtype
            function = emitter.use((_COMBINE_BOOL if dtype is bool_ else _COMBINE)[reduction.op])
            text = f"tl.reduce({value}, 1, {function}, keep_dims=True)"
            if alone:
                text = f"tl.reduce(tl.reduce({value}, 1, {function}), 0, {function})"
            return emitter.declare(Operand(text, dtype, wide, emitter.depth))
        function = emitter.use(_COMBINE_POSITION[reduction.op])
        extreme, place = emitter.fresh("t"), emitter.fresh("t")
        if alone:
            emitter.line(f"{extreme}, {place} = tl.reduce(({value}, {position}), 1, {function})")
            emitter.line(f"{extreme}, {place} = tl.reduce(({extreme}, {place}), 0, {function})")
        else:
            emitter.line(f"{extreme}, {place} = tl.reduce(({value}, {position}), 1, {function}, keep_dims=True)")
        return emitter.declare(Operand(f"{place}.to(tl.int64)", int64, wide, emitter.depth))


def _steps(axes: Sequence[Variable]) -> int:
    return prod(axis.extent for axis in axes)


def _value_type(reduction: Reduction) -> DType:
    return int32 if reduction.position is not None and reduction.dtype is bool_ else reduction.dtype


def _position_type(reduction: Reduction) -> DType:
    position = reduction.position
    return int32 if position is None or position.high < 2**31 - 1 else int64


def _combined(reduction: Reduction, held: str, value: str) -> str:
    """The running result with one more block of values."""
    op = reduction.op
    if reduction.dtype is bool_:
        return f"{held} {'|' if op in ('sum', 'max') else '&'} {value}"
    if op in ("sum", "prod"):
        return f"{held} {'+' if op == 'sum' else '*'} {value}"
    function = "maximum" if op == "max" else "minimum"
    return f"tl.{function}({held}, {value}, propagate_nan=tl.PropagateNan.ALL)"
