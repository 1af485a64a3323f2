"""Reductions, fused rows (softmax, layer norm) and scatters on a processor: lanes along rows or columns."""

from __future__ import annotations

from dataclasses import replace

from lazygrad.kernel.axes import canonical_axes
from lazygrad.kernel.tiling import RowTiling, reduction_tiling
from lazygrad_opencl import cpu_columns, cpu_rows
from lazygrad_opencl.skeleton import BodyCode, BodyContext


def generate_body(context: BodyContext) -> BodyCode:
    """Sweeps over rows or over panels of columns, whichever the tiling says."""
    context = replace(context, body=canonical_axes(context.body))
    tiling = reduction_tiling(context.body, context.kernel.buffers, context.machine)
    if isinstance(tiling, RowTiling):
        return cpu_rows.generate(context, tiling)
    return cpu_columns.generate(context, tiling)
