"""Reductions, fused rows and scatters on a graphics processor.

The items of a group that share a point each take every ``slices``-th element of a sweep, and join their
results in local memory by halves. Afterwards all of them know the results, for the next sweep. Barriers are
met by all items: those beyond the last point work on the last one once more and do not store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lazygrad.ir.index import Variable
from lazygrad.kernel.axes import canonical_axes, point_count
from lazygrad.kernel.forms import as_reduction
from lazygrad.kernel.group_tiling import GroupTiling, group_tiling
from lazygrad.kernel.kernel import Stage
from lazygrad_opencl.accumulate import Accumulate, Running
from lazygrad_opencl.digits import bind_digits
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext


def generate_body(context: BodyContext) -> BodyCode:
    """Sweeps shared among the items of a group."""
    context = replace(context, body=canonical_axes(context.body))
    tiling = group_tiling(context.body, context.machine, context.work_group_size)
    return _Group(context, tiling).generate()


class _Group:
    """One body's text."""

    def __init__(self, context: BodyContext, tiling: GroupTiling) -> None:
        self.context = context
        self.tiling = tiling
        self.emitter = OpenCLEmitter(context, lanes=1)
        self.accumulate = Accumulate(self.emitter, self.emitter.operations)
        self.declarations: list[str] = []

    def generate(self) -> BodyCode:
        emitter, tiling = self.emitter, self.tiling
        used = tiling.points * tiling.slices
        count = tiling.point_count
        if tiling.slices_adjacent:
            place, slice = f"item / {tiling.slices}", f"item % {tiling.slices}"
        else:
            place, slice = f"item % {tiling.points}", f"item / {tiling.points}"
        kind = "int" if count + used < 2**31 else "long"
        emitter.line(f"const int slice = {slice if tiling.slices > 1 else 0};")
        emitter.line(f"const {kind} wanted = ({kind})group * {tiling.points} + {place};")
        emitter.line(f"const {kind} point = wanted < {count} ? wanted : {count - 1};")
        emitter.line(f"const int live = wanted < {count};")
        bind_digits(emitter, tiling.axes, "point")
        number = 0
        for stage, axes in zip(self.context.body.stages, tiling.sweeps, strict=True):
            self._stage(stage, axes, number)
            number += len(stage.accumulators)
        return BodyCode(emitter.finish(), tiling.work_groups, tuple(self.declarations))

    def _stage(self, stage: Stage, axes: Sequence[Variable], number: int) -> None:
        emitter, slices = self.emitter, self.tiling.slices
        reductions = [as_reduction(accumulator) for accumulator in stage.accumulators]
        running = [self.accumulate.start(r, f"result{number + i}", wide=False) for i, r in enumerate(reductions)]
        steps = point_count(axes)
        if axes:
            name = emitter.fresh("e")
            emitter.open(f"for (int {name} = slice; {name} < {steps}; {name} += {slices}) {{")
            bind_digits(emitter, axes, name)
        else:
            emitter.open("if (slice == 0) {" if slices > 1 else "{")
        for each in running:
            self.accumulate.take(each, emitter.value(each.reduction.value), each.reduction.position)
        if stage.stores:
            emitter.open("if (live) {")
            emitter.stores(stage.stores)
            emitter.close()
        emitter.close()
        if running and slices > 1:
            running = self._join(running)
        for position, each in enumerate(running):
            emitter.reduced[number + position] = self.accumulate.result(each, emitter.depth)

    def _join(self, running: Sequence[Running]) -> list[Running]:
        """The slices' results joined into one, known to all items."""
        emitter, tiling = self.emitter, self.tiling
        step = 1 if tiling.slices_adjacent else tiling.points
        joined = []
        for each in running:
            tree = self._tree(each)
            own = _at(tree, "item")
            self._copy(own, each, declare=False)
            joined.append(tree)
        emitter.line("barrier(CLK_LOCAL_MEM_FENCE);")
        emitter.open(f"for (int apart = {tiling.slices // 2}; apart > 0; apart /= 2) {{")
        emitter.open("if (slice < apart) {")
        for tree in joined:
            self.accumulate.merge(
                _at(tree, "item"), _at(tree, f"item + apart * {step}" if step > 1 else "item + apart")
            )
        emitter.close()
        emitter.line("barrier(CLK_LOCAL_MEM_FENCE);")
        emitter.close()
        first = f"item - slice * {step}" if step > 1 else "item - slice"
        results = []
        for tree, each in zip(joined, running, strict=True):
            result = self.accumulate.variables(each.reduction, f"all_{each.value}", wide=False)
            self._copy(result, _at(tree, first), declare=True)
            results.append(result)
        return results

    def _tree(self, running: Running) -> Running:
        """Declares the local arrays of one reduction."""
        size = self.context.work_group_size
        tree = self.accumulate.variables(running.reduction, f"{running.value}_tree{self.context.suffix}", wide=False)
        value_type, position_type = self.accumulate.types(tree)
        self.declarations.append(f"__local {value_type} {tree.value}[{size}];")
        if tree.position:
            self.declarations.append(f"__local {position_type} {tree.position}[{size}];")
        return tree

    def _copy(self, to: Running, source: Running, declare: bool) -> None:
        value_type, position_type = self.accumulate.types(to)
        kinds = (f"const {value_type} ", f"const {position_type} ") if declare else ("", "")
        self.emitter.line(f"{kinds[0]}{to.value} = {source.value};")
        if to.position:
            self.emitter.line(f"{kinds[1]}{to.position} = {source.position};")


def _at(tree: Running, place: str) -> Running:
    """The running result at one place of local arrays."""
    position = f"{tree.position}[{place}]" if tree.position else ""
    return tree._replace(value=f"{tree.value}[{place}]", position=position)
