"""Pointwise bodies on a processor: every task runs through its points in vectors."""

from __future__ import annotations

from dataclasses import replace

from lazygrad.ir.index import Variable
from lazygrad.ir.value import Value
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.forms import pointwise
from lazygrad.kernel.in_place import replaces
from lazygrad.kernel.kernel import Stage
from lazygrad.kernel.machine import CACHE_LINE
from lazygrad.kernel.tiling import LONG_EXPRESSION, pointwise_tiling
from lazygrad.kernel.traffic import operations
from lazygrad.kernel.uncached import uncached_buffers
from lazygrad_opencl.cpu_loops import (
    Span,
    open_block,
    open_loop,
    open_steps,
    open_tasks,
    open_vectors,
    split_span,
)
from lazygrad_opencl.cpu_transpose import load_turned, turnable_loads
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext
from lazygrad_opencl.types import register_type


def generate_body(context: BodyContext) -> BodyCode:
    """Loops in steps of vectors over the task's points."""
    body = pointwise(context.body)
    (stage,) = body.stages
    tiling = pointwise_tiling(body, context.kernel.buffers, context.machine)
    emitter = OpenCLEmitter(replace(context, body=body), tiling.lanes, uncached_buffers(context.kernel))
    spans = open_tasks(emitter, tiling.partition, alike=len(context.kernel.bodies) > 1)
    opened = 1
    for axis in tiling.loops:
        open_loop(emitter, axis)
        opened += 1
    vector, inner = tiling.vector, tiling.inner
    if vector is not None and inner is not None:
        _squares(emitter, stage, vector, inner, spans)
    elif vector is not None and vector.extent % tiling.lanes and replaces(body, context.kernel.buffers):
        vectors, rest = split_span(emitter, vector, spans.get(vector))
        open_vectors(emitter, vector, vectors, exactly=True)
        emitter.stores(stage.stores)
        emitter.close()
        open_loop(emitter, vector, rest)
        emitter.stores(stage.stores)
        emitter.close()
    elif vector is not None:
        open_vectors(emitter, vector, spans.get(vector))
        emitter.stores(stage.stores)
        emitter.close()
    else:
        emitter.stores(stage.stores)
    for _ in range(opened):
        emitter.close()
    return BodyCode(emitter.finish(), tiling.partition.tasks)


def _squares(
    emitter: OpenCLEmitter, stage: Stage, vector: Variable, inner: Variable, spans: dict[Variable, Span]
) -> None:
    """Both axes in steps: a cache line along ``vector`` for all of ``inner``, so that no line is touched in parts.

    Loads are turned in squares of lanes x lanes, or gathered one position of ``inner`` after the other.
    """
    lanes = emitter.lanes
    count = min(lanes, inner.extent)
    turnable = turnable_loads(stage, vector, inner) if lanes > 1 else []
    itemsize = min(store.value.dtype.itemsize for store in stage.stores)
    line = open_block(emitter, vector, max(CACHE_LINE // itemsize, lanes), spans.get(vector))
    if turnable:
        place = open_steps(emitter, inner, count, spans[inner])
    else:
        open_loop(emitter, inner, spans[inner])
    open_vectors(emitter, vector, line)
    if turnable:
        squares = {load: load_turned(emitter, load, inner, place, count) for load in turnable}
        _positions(emitter, stage, inner, place, count, squares)
    else:
        emitter.stores(stage.stores)
    for _ in range(3):
        emitter.close()


def _positions(
    emitter: OpenCLEmitter,
    stage: Stage,
    inner: Variable,
    first: str,
    count: int,
    squares: dict[Value, list[Operand]],
) -> None:
    """The stage at each position of ``inner`` in the squares: written out, or a loop where the code is long."""
    if operations(stage) > LONG_EXPRESSION:
        arrays = {load: _array(emitter, square) for load, square in squares.items()}
        name = emitter.fresh("n")
        emitter.open(f"for (long {name} = 0; {name} < {count}; {name}++) {{")
        _position(emitter, stage, inner, f"({first} + {name})", {load: f"{a}[{name}]" for load, a in arrays.items()})
        emitter.close()
        return
    for position in range(count):
        emitter.open()
        texts = {load: square[position].text for load, square in squares.items()}
        _position(emitter, stage, inner, f"({first} + {position})", texts)
        emitter.close()


def _position(emitter: OpenCLEmitter, stage: Stage, inner: Variable, place: str, texts: dict[Value, str]) -> None:
    emitter.bind(inner, place)
    for load, text in texts.items():
        emitter.remember(load, Operand(text, load.dtype, True, emitter.depth), emitter.depth)
    emitter.stores(stage.stores)


def _array(emitter: OpenCLEmitter, square: list[Operand]) -> str:
    """A square in a private array."""
    name = emitter.fresh("square")
    kind = register_type(square[0].dtype, emitter.lanes)
    emitter.line(f"const {kind} {name}[{len(square)}] = {{{', '.join(row.text for row in square)}}};")
    return name
