"""Gather and scatter along one axis: positions that are data."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy

from lazygrad.ir.dtype import DType, int64
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Op
from lazygrad.ir.shape import Shape
from lazygrad.ops.source import constant
from lazygrad.settings import are_deterministic_algorithms_enabled

Mode = Literal["add", "set"]


class GatherAttributes(NamedTuple):
    axis: int


class ScatterAttributes(NamedTuple):
    """``ordered``: sources for one position are taken in order. False for sums whose order is free."""

    axis: int
    mode: Mode
    ordered: bool = True


def _check(name: str, x: Node, index: Node, axis: int) -> None:
    if index.dtype is not int64:
        raise RuntimeError(f"{name}: index must be int64, got {index.dtype.name}")
    fits = x.rank == index.rank and all(
        a == axis or x.shape[a] == index.shape[a] for a in range(min(x.rank, index.rank))
    )
    if not fits:
        raise RuntimeError(
            f"{name}: index of shape {list(index.shape)} does not fit {list(x.shape)}: "
            f"all extents but that of axis {axis} must be equal"
        )


def _gather_shape(inputs: tuple[Node, ...], a: GatherAttributes) -> Shape:
    x, index = inputs
    _check("gather", x, index, a.axis)
    return index.shape


def _gather_numpy(of: Node, x: Any, index: Any) -> Any:
    axis = of.attributes.axis
    valid = (index >= 0) & (index < x.shape[axis])
    if x.shape[axis] == 0:
        return numpy.zeros(index.shape, x.dtype)
    taken = numpy.take_along_axis(x, numpy.where(valid, index, 0), axis)
    return numpy.where(valid, taken, numpy.zeros((), x.dtype))


def _scatter_shape(inputs: tuple[Node, ...], a: ScatterAttributes) -> Shape:
    base, index, source = inputs
    _check("scatter", base, index, a.axis)
    if source.shape != index.shape:
        raise RuntimeError(f"scatter: source {list(source.shape)} and index {list(index.shape)} must have one shape")
    return base.shape


def _scatter_dtype(inputs: tuple[Node, ...], a: ScatterAttributes) -> DType:
    base, _, source = inputs
    if base.dtype is not source.dtype:
        raise RuntimeError(f"scatter: base and source must have one dtype, got {base.dtype.name}, {source.dtype.name}")
    return base.dtype


def _scatter_numpy(of: Node, base: Any, index: Any, source: Any) -> Any:
    axis, mode, _ = of.attributes
    result = numpy.array(base)
    grid = list(numpy.indices(index.shape))
    grid[axis] = index
    valid = (index >= 0) & (index < base.shape[axis])
    places = tuple(g[valid] for g in grid)
    if mode == "add":
        numpy.add.at(result, places, source[valid])
    else:
        result[places] = source[valid]
    return result


def _scatter_base_vjp(out: Node, g: Node) -> Node:
    at: ScatterAttributes = out.attributes
    if at.mode == "add":
        return g
    _, index, source = out.inputs
    return scatter(g, index, constant(0, source.shape, g.dtype, g.device), at.axis, "set")


GATHER = Op(
    name="gather",
    family=Family.INDEX,
    shape=_gather_shape,
    dtype=lambda inputs, a: inputs[0].dtype,
    numpy=_gather_numpy,
    vjp=(
        lambda out, g: scatter(
            constant(0, out.inputs[0].shape, g.dtype, g.device), out.inputs[1], g, out.attributes.axis, "add"
        ),
        None,
    ),
)
SCATTER = Op(
    name="scatter",
    family=Family.INDEX,
    shape=_scatter_shape,
    dtype=_scatter_dtype,
    numpy=_scatter_numpy,
    vjp=(_scatter_base_vjp, None, lambda out, g: gather(g, out.inputs[1], out.attributes.axis)),
)


def gather(x: Node, index: Node, axis: int) -> Node:
    """``out[.., i, ..] = x[.., index[.., i, ..], ..]``; a position outside ``x`` reads as zero."""
    return node(GATHER, (x, index), GatherAttributes(axis))


def scatter(base: Node, index: Node, source: Node, axis: int, mode: Mode, ordered: bool | None = None) -> Node:
    """``base`` with ``source`` added to, or put at, the indexed positions; positions outside are left out.

    Of several sources "set" at one position the last wins. Floats to be added are taken in order if ``ordered``
    (unless given: if the user wants deterministic algorithms), else in any; sums of integers are the same in any.
    """
    if mode == "set":
        ordered = True
    elif not base.dtype.is_float:
        ordered = False
    elif ordered is None:
        ordered = are_deterministic_algorithms_enabled()
    return node(SCATTER, (base, index, source), ScatterAttributes(axis, mode, ordered))
