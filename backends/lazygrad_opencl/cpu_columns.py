"""Column mode: lanes along an axis of the body, the stages' own axes are walked one by one.

A task has a panel of columns. Short sweeps run all stages for one vector of columns, then for the next. Long
ones go down the panel in blocks of a few rows, so that memory is read along rows, and keep each vector's
running result in a private array between blocks; that also adds long sums in two steps, which keeps them accurate.
The last vector of a row repeats lanes, unless results are stored where operands of theirs were (``in_place.py``): then
the columns that fill no vector are walked one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir.index import Variable
from lazygrad.ir.value import REDUCED
from lazygrad.kernel.forms import as_reduction
from lazygrad.kernel.in_place import replaces
from lazygrad.kernel.kernel import Reduction, Stage
from lazygrad.kernel.tiling import ColumnTiling
from lazygrad_opencl.accumulate import Accumulate, Running
from lazygrad_opencl.cpu_loops import Span, open_block, open_loop, open_tasks, open_vectors, split_span
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext


def generate(context: BodyContext, tiling: ColumnTiling) -> BodyCode:
    """The task's panels."""
    emitter = OpenCLEmitter(context, tiling.lanes)
    span = open_tasks(emitter, tiling.partition)[tiling.vector]
    if tiling.vector.extent % tiling.lanes and replaces(context.body, context.kernel.buffers):
        vectors, rest = split_span(emitter, tiling.vector, span)
        for part, wide in ((vectors, True), (rest, False)):
            emitter.open()
            _Panel(emitter, tiling, part, wide, exactly=True).sweep(context.body.stages)
            emitter.close()
    else:
        _Panel(emitter, tiling, span).sweep(context.body.stages)
    emitter.close()
    return BodyCode(emitter.finish(), tiling.partition.tasks)


class _Panel:
    """One panel of columns: ``wide``, in vectors, which it is made of ``exactly`` or of which the last repeats some."""

    def __init__(
        self, emitter: OpenCLEmitter, tiling: ColumnTiling, span: Span, wide: bool = True, exactly: bool = False
    ) -> None:
        self.emitter = emitter
        self.tiling = tiling
        self.span = span
        self.wide = wide
        self.exactly = exactly
        self.lanes = emitter.lanes if wide else 1
        self.accumulate = Accumulate(emitter, emitter.operations)
        self.totals: list[Running] = []  # in private arrays, one element for each vector of the panel

    def sweep(self, stages: Sequence[Stage]) -> None:
        """All stages for all columns."""
        if self.tiling.row_block is None:
            self._by_vector(stages)
        else:
            self._by_rows(stages, self.tiling.row_block)

    def _open_columns(self) -> str:
        """The loop over the panel's vectors or columns, whose variable it returns."""
        if self.wide:
            return open_vectors(self.emitter, self.tiling.vector, self.span, self.exactly)
        return open_loop(self.emitter, self.tiling.vector, self.span)

    # ---- vector by vector

    def _by_vector(self, stages: Sequence[Stage]) -> None:
        """All stages for one vector of columns after the other; results in registers."""
        emitter = self.emitter
        self._open_columns()
        number = 0
        for stage, loops in zip(stages, self.tiling.sweeps, strict=True):
            running = self._start(stage, number)
            for axis in loops:
                open_loop(emitter, axis)
            self._visit(stage, running)
            for _ in loops:
                emitter.close()
            for position, each in enumerate(running):
                emitter.reduced[number + position] = self.accumulate.result(each, emitter.depth)
            number += len(running)
        emitter.close()

    def _start(self, stage: Stage, number: int) -> list[Running]:
        reductions = [as_reduction(accumulator) for accumulator in stage.accumulators]
        return [self.accumulate.start(r, f"result{number + i}", self.wide) for i, r in enumerate(reductions)]

    def _visit(self, stage: Stage, into: Sequence[Running]) -> None:
        for running in into:
            self.accumulate.take(running, self.emitter.value(running.reduction.value), running.reduction.position)
        self.emitter.stores(stage.stores)

    # ---- blocks of rows

    def _by_rows(self, stages: Sequence[Stage], row_block: int) -> None:
        """Stage by stage over the whole panel, a block of rows at a time."""
        slots = -(-self.tiling.panel // self.lanes) if self.wide else self.emitter.lanes - 1
        for stage, loops in zip(stages, self.tiling.sweeps, strict=True):
            number = len(self.totals)
            totals = [self._array(as_reduction(a), number + i, slots) for i, a in enumerate(stage.accumulators)]
            outer, blocked, inner = _cut(loops, 1 if stage.one_by_one else row_block)
            self._sweep(stage, totals, outer, (blocked, row_block) if blocked else None, inner)
            self.totals.extend(totals)

    def _array(self, reduction: Reduction, number: int, slots: int) -> Running:
        """Declares the private array of a reduction's running results and fills it with the identity."""
        emitter = self.emitter
        name = f"total{number}"
        value_type, position_type = self.accumulate.types(self.accumulate.variables(reduction, name, self.wide))
        slot = emitter.fresh("n")
        at_slot = Running(reduction, f"{name}[{slot}]", "", self.lanes > 1)
        emitter.line(f"{value_type} {name}[{slots}];")
        if reduction.position is not None:
            at_slot = at_slot._replace(position=f"{name}_at[{slot}]")
            emitter.line(f"{position_type} {name}_at[{slots}];")
        emitter.open(f"for (long {slot} = 0; {slot} < {slots}; {slot}++) {{")
        value, position = self.accumulate.initial(at_slot)
        emitter.line(f"{at_slot.value} = {value};")
        if at_slot.position:
            emitter.line(f"{at_slot.position} = {position};")
        emitter.close()
        return self.accumulate.variables(reduction, name, self.wide)

    def _at(self, total: Running, slot: str) -> Running:
        position = f"{total.position}[{slot}]" if total.position else ""
        return total._replace(value=f"{total.value}[{slot}]", position=position)

    def _sweep(
        self,
        stage: Stage,
        totals: Sequence[Running],
        outer: Sequence[Variable],
        blocked: tuple[Variable, int] | None,
        inner: Sequence[Variable],
    ) -> None:
        emitter = self.emitter
        first = len(self.totals)
        for axis in outer:
            open_loop(emitter, axis)
        rows: Span | None = None
        if blocked is not None:
            rows = open_block(emitter, *blocked)
        name = self._open_columns()
        slot = emitter.fresh("n")
        emitter.line(f"const long {slot} = ({name} - {self.span.begin}) >> {self.lanes.bit_length() - 1};")
        for number in sorted(_used_results(stage)):
            result = self.accumulate.result(self._at(self.totals[number], slot), emitter.depth)
            emitter.reduced[number] = emitter.declare(result, "r")
        running = self._start(stage, first)
        if blocked is not None:
            open_loop(emitter, blocked[0], rows)
        for axis in inner:
            open_loop(emitter, axis)
        self._visit(stage, running)
        for _ in range(len(inner) + (blocked is not None)):
            emitter.close()
        for total, part in zip(totals, running, strict=True):
            self.accumulate.merge(self._at(total, slot), part)
        for _ in range(len(outer) + 1 + (blocked is not None)):
            emitter.close()


def _used_results(stage: Stage) -> set[int]:
    """The numbers of earlier reductions that the stage reads."""
    return {value.payload for value in stage.values if value.op == REDUCED}


def _cut(loops: Sequence[Variable], row_block: int) -> tuple[Sequence[Variable], Variable | None, Sequence[Variable]]:
    """The loops outside the columns, the axis that is cut in blocks, the loops inside."""
    rows = 1
    for position in reversed(range(len(loops))):
        rows *= loops[position].extent
        if rows > row_block:
            axis = loops[position]
            inside = rows // axis.extent
            if row_block > inside and row_block > 1:
                return loops[:position], axis, loops[position + 1 :]
            return loops[: position + 1], None, loops[position + 1 :]
    return (), None, loops
