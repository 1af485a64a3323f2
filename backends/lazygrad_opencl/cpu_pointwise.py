"""Pointwise bodies on a processor: every task runs through its points in vectors."""

from __future__ import annotations

from dataclasses import replace

from lazygrad.kernel.tiling import pointwise_tiling
from lazygrad_opencl.cpu_loops import open_loop, open_tasks, open_vectors
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.pointwise import pointwise
from lazygrad_opencl.skeleton import BodyCode, BodyContext


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
