"""Pointwise bodies on a graphics processor: a work-item for each point, neighbours side by side in memory."""

from __future__ import annotations

from dataclasses import replace

from lazygrad.kernel.axes import point_count
from lazygrad.kernel.forms import pointwise
from lazygrad.kernel.group_tiling import item_order
from lazygrad_opencl.digits import bind_digits
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext


def generate_body(context: BodyContext) -> BodyCode:
    """One point of straight code."""
    body = pointwise(context.body)
    emitter = OpenCLEmitter(replace(context, body=body), lanes=1)
    points = point_count(body.axes)
    size = context.work_group_size
    kind = "int" if points + size < 2**31 else "long"
    emitter.line(f"const {kind} point = ({kind})group * {size} + item;")
    emitter.open(f"if (point < {points}) {{")
    bind_digits(emitter, item_order(body), "point")
    emitter.stores(body.stages[0].stores)
    emitter.close()
    return BodyCode(emitter.finish(), -(-points // size))
