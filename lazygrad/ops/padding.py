"""Movement within axes: pad puts zeros around and between elements or cuts, slice takes some. They are dual."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

from lazygrad.ir.index import Bound, Index, simplify_mask
from lazygrad.ir.map import IndexMap, axis_variables
from lazygrad.ir.node import Node, node
from lazygrad.ir.shape import Shape
from lazygrad.ops.movement import Padding, Range, movement


class PadAttributes(NamedTuple):
    paddings: tuple[Padding, ...]


class SliceAttributes(NamedTuple):
    ranges: tuple[Range, ...]


def _pad_shape(inputs: tuple[Node, ...], a: PadAttributes) -> Shape:
    shape = tuple(
        p.low + p.high + extent + max(extent - 1, 0) * p.interior
        for extent, p in zip(inputs[0].shape, a.paddings, strict=True)
    )
    if any(extent < 0 for extent in shape):
        raise RuntimeError(f"pad: padding {[tuple(p) for p in a.paddings]} cuts more than {list(inputs[0].shape)} has")
    return shape


def _pad_map(of: Node) -> IndexMap:
    coordinates: list[Index] = []
    bounds: list[Bound] = []
    for own, extent, p in zip(axis_variables(of.shape), of.inputs[0].shape, of.attributes.paddings, strict=True):
        inner = own - p.low
        step = p.interior + 1
        bounds.append(Bound(inner, 0, (extent - 1) * step + 1 if extent else 0))
        if step > 1:
            bounds.append(Bound(inner % step, 0, 1))
        coordinates.append(inner // step)
    return IndexMap(of.shape, tuple(coordinates), simplify_mask(bounds))


def _pad_vjp(out: Node, g: Node) -> Node:
    """Take the cotangent at the places where elements went; elements that were cut get zero."""
    source = out.inputs[0].shape
    cut = tuple(Padding(max(-p.low, 0), max(-p.high, 0)) for p in out.attributes.paddings)
    whole = pad(g, cut)
    ranges = tuple(
        Range(max(p.low, 0), max(p.low, 0) + (extent - 1) * (p.interior + 1) + 1 if extent else 0, p.interior + 1)
        for extent, p in zip(source, out.attributes.paddings, strict=True)
    )
    return slice_(whole, ranges)


def _pad_numpy(of: Node, x: Any) -> Any:
    spread_shape = tuple(
        extent + max(extent - 1, 0) * p.interior for extent, p in zip(x.shape, of.attributes.paddings, strict=True)
    )
    spread = numpy.zeros(spread_shape, x.dtype)
    spread[tuple(slice(None, None, p.interior + 1) for p in of.attributes.paddings)] = x
    grown = numpy.pad(spread, [(max(p.low, 0), max(p.high, 0)) for p in of.attributes.paddings])
    return grown[
        tuple(
            slice(max(-p.low, 0), extent - max(-p.high, 0))
            for p, extent in zip(of.attributes.paddings, grown.shape, strict=True)
        )
    ]


PAD = movement("pad", _pad_shape, _pad_map, _pad_vjp, _pad_numpy)


def _slice_map(of: Node) -> IndexMap:
    own = axis_variables(of.shape)
    coordinates = tuple(v * r.step + r.start for v, r in zip(own, of.attributes.ranges, strict=True))
    return IndexMap(of.shape, coordinates, ())


def _slice_shape(inputs: tuple[Node, ...], a: SliceAttributes) -> Shape:
    for extent, r in zip(inputs[0].shape, a.ranges, strict=True):
        if r.step < 1 or r.start < 0 or r.stop > max(extent, r.start):
            raise RuntimeError(f"slice: {tuple(r)} does not lie within an axis of extent {extent}")
    return tuple(r.length for r in a.ranges)


def _slice_vjp(out: Node, g: Node) -> Node:
    paddings = []
    for extent, r in zip(out.inputs[0].shape, out.attributes.ranges, strict=True):
        covered = (r.length - 1) * r.step + 1 if r.length else 0
        paddings.append(Padding(r.start, extent - r.start - covered, r.step - 1))
    return pad(g, tuple(paddings))


SLICE = movement(
    "slice", _slice_shape, _slice_map, _slice_vjp,
    lambda of, x: x[tuple(slice(r.start, max(r.stop, r.start), r.step) for r in of.attributes.ranges)],
)  # fmt: skip


def pad(x: Node, paddings: tuple[Padding, ...]) -> Node:
    """Zeros around and between the elements of each axis."""
    return node(PAD, (x,), PadAttributes(paddings)) if any(p != (0, 0, 0) for p in paddings) else x


def slice_(x: Node, ranges: tuple[Range, ...]) -> Node:
    """The given positions of each axis."""
    whole = all(r.start == 0 and r.step == 1 and r.stop == e for r, e in zip(ranges, x.shape, strict=True))
    return x if whole else node(SLICE, (x,), SliceAttributes(ranges))
