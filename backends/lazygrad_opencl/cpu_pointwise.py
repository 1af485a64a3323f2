"""Pointwise bodies on a processor: every task runs through its points in vectors."""

from __future__ import annotations

from dataclasses import replace

from lazygrad.kernel.axes import canonical_axes
from lazygrad.kernel.kernel import Body, Stage
from lazygrad.kernel.tiling import pointwise_tiling
from lazygrad_opencl.cpu_loops import open_loop, open_tasks, open_vectors
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext


def takes(body: Body) -> bool:
    """Whether the body only stores, in one stage and any order."""
    if len(body.stages) != 1:
        return False
    (stage,) = body.stages
    return not stage.accumulators and not stage.sequential and all(store.mode == "set" for store in stage.stores)


def pointwise(body: Body) -> Body:
    """The stage's axes as the body's own: all points are independent."""
    (stage,) = body.stages
    return canonical_axes(Body((*body.axes, *stage.axes), (Stage((), (), stage.stores),)))


def generate_body(context: BodyContext) -> BodyCode:
    """Loops in steps of vectors over the task's points."""
    body = pointwise(context.body)
    (stage,) = body.stages
    tiling = pointwise_tiling(body, context.kernel.buffers, context.machine)
    emitter = OpenCLEmitter(replace(context, body=body), tiling.lanes)
    spans = open_tasks(emitter, tiling.partition)
    opened = 1
    for axis in tiling.loops:
        open_loop(emitter, axis)
        opened += 1
    if tiling.vector is not None:
        open_vectors(emitter, tiling.vector, spans.get(tiling.vector))
        opened += 1
    if tiling.inner is not None:
        open_loop(emitter, tiling.inner, spans[tiling.inner])
        opened += 1
    for store in stage.stores:
        emitter.store(store)
    for _ in range(opened):
        emitter.close()
    return BodyCode(emitter.finish(), tiling.partition.tasks)
