"""The plain skeleton: loops over single values, for any body on any device.

Slow and obviously right; it serves bodies that no better skeleton takes. Points of the body's axes are
numbered row by row and shared among work-groups (processors) or work-items (graphics processors).
"""

from __future__ import annotations

from lazygrad.kernel.axes import point_count
from lazygrad.kernel.forms import as_reduction
from lazygrad.kernel.kernel import Stage
from lazygrad_opencl.accumulate import Accumulate
from lazygrad_opencl.digits import bind_digits
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext

# Points that are not worth a task of their own on a processor.
POINTS_PER_TASK = 64
TASKS_PER_CORE = 4


def generate_body(context: BodyContext) -> BodyCode:
    """The body in scalar loops."""
    emitter = OpenCLEmitter(context, lanes=1)
    axes = context.body.axes
    points = point_count(axes)
    if context.machine.flavour == "cpu":
        tasks = min(-(-points // POINTS_PER_TASK), context.machine.cores * TASKS_PER_CORE)
        chunk = -(-points // tasks)
        tasks = -(-points // chunk)
        emitter.line(f"const long begin = (long)group * {chunk};")
        emitter.line(f"const long end = begin + {chunk} < {points} ? begin + {chunk} : {points};")
        emitter.open("for (long point = begin; point < end; point++) {")
    else:
        tasks = -(-points // context.work_group_size)
        emitter.line(f"const long point = (long)group * {context.work_group_size} + item;")
        emitter.open(f"if (point < {points}) {{")
    bind_digits(emitter, axes, "point")
    number = 0
    for stage in context.body.stages:
        number = _stage(emitter, stage, number)
    emitter.close()
    return BodyCode(emitter.finish(), tasks)


def _stage(emitter: OpenCLEmitter, stage: Stage, number: int) -> int:
    accumulate = Accumulate(emitter, emitter.operations)
    reductions = [as_reduction(accumulator) for accumulator in stage.accumulators]
    running = [accumulate.start(reduction, f"result{number + i}", wide=False) for i, reduction in enumerate(reductions)]
    for axis in stage.axes:
        name = emitter.fresh("r")
        emitter.open(f"for (long {name} = 0; {name} < {axis.extent}; {name}++) {{ // {axis}")
        emitter.bind(axis, name)
    for each in running:
        accumulate.take(each, emitter.value(each.reduction.value), each.reduction.position)
    emitter.stores(stage.stores)
    for _ in stage.axes:
        emitter.close()
    for i, each in enumerate(running):
        emitter.reduced[number + i] = accumulate.result(each, emitter.depth)
    return number + len(running)
