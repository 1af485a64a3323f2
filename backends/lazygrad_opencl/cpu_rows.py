"""Row mode: at each point of the body its stages sweep over their own axes with lanes along them.

A sweep keeps several running results, so that one addition need not wait for another, and adds them into a
total every ``SUM_BLOCK`` steps, so that long sums of float32 stay accurate. The last, incomplete vector of a
row repeats lanes that were taken in already; sums and products replace these by the identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.index import Index, Variable
from lazygrad.ir.value import Value
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.forms import as_reduction
from lazygrad.kernel.keeping import kept_values
from lazygrad.kernel.kernel import Stage
from lazygrad.kernel.tiling import SUM_BLOCK, RowTiling, SweepTiling
from lazygrad.kernel.uncached import uncached_buffers
from lazygrad_opencl.accumulate import Accumulate, Running
from lazygrad_opencl.cpu_loops import open_loop, open_tasks, open_vectors
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext
from lazygrad_opencl.types import MASKS, memory_type


def generate(context: BodyContext, tiling: RowTiling) -> BodyCode:
    """All stages at each of the task's points."""
    emitter = OpenCLEmitter(context, tiling.lanes, uncached_buffers(context.kernel))
    open_tasks(emitter, tiling.partition)
    for axis in tiling.loops:
        open_loop(emitter, axis)
    kept = _declare_kept(emitter, context.body.stages, tiling.sweeps)
    number = 0
    for position, (stage, sweep) in enumerate(zip(context.body.stages, tiling.sweeps, strict=True)):
        produced = {value: name for value, (name, producer) in kept.items() if producer == position}
        reused = {value: name for value, (name, producer) in kept.items() if producer < position}
        _Sweep(emitter, stage, sweep, number, produced, reused).emit()
        number += len(stage.accumulators)
    for _ in range(1 + len(tiling.loops)):
        emitter.close()
    return BodyCode(emitter.finish(), tiling.partition.tasks)


def _declare_kept(
    emitter: OpenCLEmitter, stages: Sequence[Stage], sweeps: Sequence[SweepTiling]
) -> dict[Value, tuple[str, int]]:
    """Declares a private array for each value that several sweeps need: its name, the stage that fills it."""
    kept: dict[Value, tuple[str, int]] = {}
    for value, producer in kept_values(stages, sweeps):
        vector = sweeps[producer].vector
        assert vector is not None
        name = emitter.fresh("kept")
        emitter.line(f"{memory_type(value.dtype)} {name}[{vector.extent}];")
        kept[value] = (name, producer)
    return kept


def _at(name: str, dtype: DType, place: str, lanes: int) -> str:
    """A vector in a private array."""
    return f"*(unaligned_{memory_type(dtype)}{lanes}*)({name} + {place})"


class _Sweep:
    """One stage at one point: fills the arrays of ``produced`` values, reads those of ``reused`` ones."""

    def __init__(
        self,
        emitter: OpenCLEmitter,
        stage: Stage,
        tiling: SweepTiling,
        number: int,
        produced: Mapping[Value, str],
        reused: Mapping[Value, str],
    ) -> None:
        self.emitter = emitter
        self.produced = produced
        self.reused = reused
        self.stage = stage
        self.tiling = tiling
        self.number = number
        self.accumulate = Accumulate(emitter, emitter.operations)
        self.reductions = [as_reduction(accumulator) for accumulator in stage.accumulators]

    def emit(self) -> None:
        results = self._start("result", wide=self.tiling.vector is not None)
        for axis in self.tiling.loops:
            open_loop(self.emitter, axis)
        if self.tiling.vector is None:
            self._visit(results)
        elif self.reductions:
            self._reduce(self.tiling.vector, results)
        else:
            open_vectors(self.emitter, self.tiling.vector)
            self._visit(())
            self.emitter.close()
        for _ in self.tiling.loops:
            self.emitter.close()
        for position, running in enumerate(results):
            number = self.number + position
            if running.wide:
                running = self.accumulate.across_lanes(running, f"row{number}")
            self.emitter.reduced[number] = self.accumulate.result(running, self.emitter.depth)

    def _start(self, name: str, wide: bool) -> list[Running]:
        return [self.accumulate.start(r, f"{name}{self.number + i}", wide) for i, r in enumerate(self.reductions)]

    def _visit(self, into: Sequence[Running], repeated: int = 0) -> None:
        """One vector (or element): values into running results, stores. ``repeated`` lanes do not count."""
        for access in self.tiling.fetches:
            self.emitter.fetch(access)
        if self.tiling.vector is not None:
            self._exchange(self.tiling.vector)
        for running in into:
            value = self.emitter.value(running.reduction.value)
            if repeated and running.reduction.op in ("sum", "prod") and running.dtype is not bool_:
                value = self._without(value, running, repeated)
            self.accumulate.take(running, value, running.reduction.position)
        self.emitter.stores(self.stage.stores)

    def _exchange(self, vector: Variable) -> None:
        """Reads the kept values that there are, and keeps those that this sweep is to produce."""
        emitter = self.emitter
        place = emitter.address(Index(0, ((vector, 1),))).base
        for value, name in self.reused.items():
            text = _at(name, value.dtype, place.text, emitter.lanes)
            operand = emitter.declare(Operand(text, value.dtype, True, emitter.depth), "x")
            emitter.remember(value, operand, emitter.depth)
        for value, name in self.produced.items():
            operand = emitter.value(value)
            emitter.line(f"{_at(name, value.dtype, place.text, emitter.lanes)} = {operand.text};")

    def _without(self, value: Operand, running: Running, lanes: int) -> Operand:
        """The value with the first lanes replaced by the identity."""
        bits = running.dtype.bits
        flags = ", ".join("0" if lane < lanes else "-1" for lane in range(self.emitter.lanes))
        identity, _ = self.accumulate.initial(running)
        value = self.emitter.broadcast(value)
        text = f"({MASKS[bits]}{self.emitter.lanes})({flags}) ? {value.text} : {identity}"
        return self.emitter.declare(Operand(text, running.dtype, True, self.emitter.depth))

    def _reduce(self, vector: Variable, results: Sequence[Running]) -> None:
        """The innermost loop: running results in registers, joined into the results after each block."""
        emitter, lanes, unroll = self.emitter, self.emitter.lanes, self.tiling.unroll
        step = unroll * lanes
        full = vector.extent // step * step
        block = SUM_BLOCK * step
        blocks = full > block
        if not blocks and unroll == 1 and not self.tiling.loops:
            self._vectors(vector, 0, full, [results])
            self._tail(vector, full, results)
            return
        begin, end = "0", str(full)
        emitter.open()
        if blocks:
            start = emitter.fresh("v")
            emitter.open(f"for (long {start} = 0; {start} < {full}; {start} += {block}) {{")
            begin, end = start, emitter.fresh("v")
            limit = f"{start} + {block}"
            emitter.line(f"const long {end} = {limit} < {full} ? {limit} : {full};")
        parts = [self._start(f"part{copy}_", wide=True) for copy in range(unroll)]
        self._vectors(vector, begin, end, parts)
        if not blocks:
            self._tail(vector, full, parts[0])
        for copy in parts[1:]:
            self._join(parts[0], copy)
        self._join(results, parts[0])
        if blocks:
            emitter.close()
            self._tail(vector, full, results)
        emitter.close()

    def _join(self, into: Sequence[Running], others: Sequence[Running]) -> None:
        for running, other in zip(into, others, strict=True):
            self.accumulate.merge(running, other)

    def _vectors(self, vector: Variable, begin: int | str, end: int | str, parts: Sequence[Sequence[Running]]) -> None:
        """Whole steps of vectors, one for each set of running results."""
        emitter, lanes = self.emitter, self.emitter.lanes
        name = emitter.fresh("v")
        step = lanes * len(parts)
        emitter.open(
            f"for (long {name} = {begin}; {name} < {end}; {name} += {step}) {{ "
            f"// {vector} of {vector.extent}, {lanes} lanes"
        )
        for position, part in enumerate(parts):
            if len(parts) > 1:
                emitter.open()
            emitter.bind(vector, f"({name} + {position * lanes})" if position else name, wide=True)
            self._visit(part)
            if len(parts) > 1:
                emitter.close()
        emitter.close()

    def _tail(self, vector: Variable, begin: int, into: Sequence[Running]) -> None:
        """What whole steps leave: single vectors, and the last one with lanes that were there before."""
        emitter, lanes = self.emitter, self.emitter.lanes
        whole = vector.extent // lanes * lanes
        if begin < whole:
            self._vectors(vector, begin, whole, [into])
        if whole < vector.extent:
            emitter.open()
            emitter.bind(vector, str(vector.extent - lanes), wide=True)
            self._visit(into, repeated=lanes - (vector.extent - whole))
            emitter.close()
