"""Long reductions in two stages: where few results take in many elements, cores would stand idle."""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad import ops
from lazygrad.ir.node import Node
from lazygrad.ir.shape import size_of
from lazygrad.kernel.block_tiling import SIDE_BY_SIDE
from lazygrad.kernel.machine import Machine
from lazygrad.ops.reduce import MAX, MIN, PROD, SUM
from lazygrad.passes.rewrite import rewrite
from lazygrad.passes.views import compose_views
from lazygrad.schedule.cost import ROW_VECTORS_PER_CORE, SPLIT_ELEMENTS

_REDUCE = {SUM: ops.sum_, PROD: ops.prod, MAX: ops.max_, MIN: ops.min_}


def split_long_reductions(roots: Sequence[Node], machine: Machine) -> list[Node]:
    """Reductions over much with few results become partial results and a reduction of those."""

    def rule(current: Node, original: Node) -> Node | None:
        if current.op not in _REDUCE:
            return None
        (x,) = current.inputs
        enough = machine.cores * ROW_VECTORS_PER_CORE * _neighbours(x, current.attributes.axes, machine)
        results = size_of(current.shape)
        if results * 2 > enough or size_of(x.shape) < SPLIT_ELEMENTS:
            return None
        pieces = _pieces(x, current.attributes.axes, enough, results)
        if pieces is None:
            return None
        axis, count = pieces
        shape = (*x.shape[:axis], count, x.shape[axis] // count, *x.shape[axis + 1 :])
        axes = tuple(a + 1 if a >= axis else a for a in current.attributes.axes)
        reduce = _REDUCE[current.op]
        cut = ops.reshape(x, shape)
        partial = reduce(compose_views(cut) or cut, axes)
        kept_before = sum(1 for a in range(axis) if a not in current.attributes.axes)
        return reduce(partial, (kept_before,))

    return rewrite(roots, rule)


def _neighbours(x: Node, axes: tuple[int, ...], machine: Machine) -> int:
    """How many results a core computes at once: a vector of them, and of columns as many as memory gives together."""
    lanes = machine.vector_bytes // 4
    kept = [axis for axis, extent in enumerate(x.shape) if extent > 1 and axis not in axes]
    has_columns = any(axis < kept[-1] for axis in axes if x.shape[axis] > 1) if kept else False
    return max(lanes, SIDE_BY_SIDE) if has_columns and machine.flavour == "block" else lanes


def _pieces(x: Node, axes: tuple[int, ...], enough: int, results: int) -> tuple[int, int] | None:
    """An axis and into how many parts to cut it: the smallest number that gives enough parallel rows."""
    for axis in axes:
        extent = x.shape[axis]
        for count in range(2, extent + 1):
            if extent % count == 0 and count * results >= enough:
                return axis, count
    best = max(axes, key=lambda axis: x.shape[axis])
    return (best, x.shape[best]) if x.shape[best] > 1 and len(axes) > 1 else None
