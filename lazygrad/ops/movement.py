"""Movement: views. Each is an index map from its own axes to its input's; none moves an element by itself.

The functions compose their derivative of each other: reshape, permute and flip invert, expand and sum are dual,
pad and slice are dual, and a sliding window's derivative is windows over the spread-out cotangent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

from lazygrad.ir.index import Bound, Index, simplify_mask
from lazygrad.ir.map import IndexMap, axis_variables, reshape_map
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Linearity, Op
from lazygrad.ir.shape import Shape, size_of


class ReshapeAttributes(NamedTuple):
    shape: Shape


class PermuteAttributes(NamedTuple):
    axes: tuple[int, ...]


class ExpandAttributes(NamedTuple):
    shape: Shape


class Padding(NamedTuple):
    """Zeros on one axis: before, after (either may be negative, which cuts), and between neighbours."""

    low: int
    high: int
    interior: int = 0


class PadAttributes(NamedTuple):
    paddings: tuple[Padding, ...]


class Range(NamedTuple):
    """The positions start, start + step, ... below stop of one axis; step is positive."""

    start: int
    stop: int
    step: int = 1

    @property
    def length(self) -> int:
        """How many positions there are."""
        return max(0, -(-(self.stop - self.start) // self.step))


class SliceAttributes(NamedTuple):
    ranges: tuple[Range, ...]


class FlipAttributes(NamedTuple):
    axes: tuple[int, ...]


class Window(NamedTuple):
    """A window sliding over one axis: position o and tap k read element o*stride + k*dilation."""

    axis: int
    size: int
    stride: int = 1
    dilation: int = 1

    def positions(self, extent: int) -> int:
        """How many positions fit into an axis of ``extent``."""
        return max(0, (extent - (self.size - 1) * self.dilation - 1) // self.stride + 1)


class WindowsAttributes(NamedTuple):
    windows: tuple[Window, ...]


class ViewAttributes(NamedTuple):
    map: IndexMap


def _movement(name: str, shape: Any, index_map: Any, vjp: Any, numpy_rule: Any) -> Op:
    return Op(
        name=name,
        family=Family.MOVEMENT,
        shape=shape,
        dtype=lambda inputs, a: inputs[0].dtype,
        numpy=numpy_rule,
        vjp=(vjp,),
        map=index_map,
        linearity=Linearity.JOINT,
        cost=0,
    )


# ---- reshape


def _reshape_shape(inputs: tuple[Node, ...], a: ReshapeAttributes) -> Shape:
    if size_of(inputs[0].shape) != size_of(a.shape):
        raise RuntimeError(f"reshape: shape {list(a.shape)} is invalid for input of size {size_of(inputs[0].shape)}")
    return a.shape


RESHAPE = _movement(
    "reshape",
    _reshape_shape,
    lambda of: reshape_map(of.shape, of.inputs[0].shape),
    lambda out, g: reshape(g, out.inputs[0].shape),
    lambda of, x: numpy.reshape(x, of.shape),
)

# ---- permute


def _permute_map(of: Node) -> IndexMap:
    own = axis_variables(of.shape)
    coordinates: list[Index] = [Index(0)] * of.rank
    for position, axis in enumerate(of.attributes.axes):
        coordinates[axis] = own[position]
    return IndexMap(of.shape, tuple(coordinates), ())


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


PERMUTE = _movement(
    "permute",
    lambda inputs, a: tuple(inputs[0].shape[axis] for axis in a.axes),
    _permute_map,
    lambda out, g: permute(g, _inverse(out.attributes.axes)),
    lambda of, x: numpy.transpose(x, of.attributes.axes),
)

# ---- expand


def _expand_shape(inputs: tuple[Node, ...], a: ExpandAttributes) -> Shape:
    (x,) = inputs
    if len(x.shape) != len(a.shape) or any(s not in (1, t) for s, t in zip(x.shape, a.shape, strict=True)):
        raise RuntimeError(f"expand: shape {list(x.shape)} cannot be expanded to {list(a.shape)}: extents must be 1")
    return a.shape


def _expand_map(of: Node) -> IndexMap:
    own = axis_variables(of.shape)
    source = of.inputs[0].shape
    return IndexMap(of.shape, tuple(v if s != 1 else Index(0) for v, s in zip(own, source, strict=True)), ())


def _expand_vjp(out: Node, g: Node) -> Node:
    from lazygrad.ops.reduce import sum_

    source = out.inputs[0].shape
    grown = tuple(axis for axis, (s, t) in enumerate(zip(source, out.shape, strict=True)) if s != t)
    return reshape(sum_(g, grown), source)


EXPAND = _movement(
    "expand", lambda inputs, a: _expand_shape(inputs, a), _expand_map, _expand_vjp,
    lambda of, x: numpy.broadcast_to(x, of.shape),
)  # fmt: skip

# ---- pad


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


PAD = _movement("pad", _pad_shape, _pad_map, _pad_vjp, _pad_numpy)

# ---- slice


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


SLICE = _movement(
    "slice", _slice_shape, _slice_map, _slice_vjp,
    lambda of, x: x[tuple(slice(r.start, max(r.stop, r.start), r.step) for r in of.attributes.ranges)],
)  # fmt: skip

# ---- flip


def _flip_map(of: Node) -> IndexMap:
    own = axis_variables(of.shape)
    return IndexMap(
        of.shape,
        tuple(v * -1 + (of.shape[axis] - 1) if axis in of.attributes.axes else v for axis, v in enumerate(own)),
        (),
    )


FLIP = _movement(
    "flip",
    lambda inputs, a: inputs[0].shape,
    _flip_map,
    lambda out, g: flip(g, out.attributes.axes),
    lambda of, x: numpy.flip(x, of.attributes.axes),
)

# ---- windows


def _windows_shape(inputs: tuple[Node, ...], a: WindowsAttributes) -> Shape:
    extents = list(inputs[0].shape)
    for w in a.windows:
        if (w.size - 1) * w.dilation + 1 > extents[w.axis]:
            raise RuntimeError(
                f"windows: a window of {w.size} with dilation {w.dilation} does not fit into axis {w.axis} of extent "
                f"{extents[w.axis]} (shape {list(inputs[0].shape)})"
            )
        extents[w.axis] = w.positions(extents[w.axis])
    return (*extents, *(w.size for w in a.windows))


def _windows_map(of: Node) -> IndexMap:
    own = axis_variables(of.shape)
    rank = of.inputs[0].rank
    coordinates = list(own[:rank])
    for position, w in enumerate(of.attributes.windows):
        coordinates[w.axis] = own[w.axis] * w.stride + own[rank + position] * w.dilation
    return IndexMap(of.shape, tuple(coordinates), ())


def _windows_vjp(out: Node, g: Node) -> Node:
    """dx[p] = sum over taps k of g[(p - k*dilation) / stride, k], where that position exists.

    As views: spread the positions by the stride, pad so that every shift is a window, slide the taps backwards,
    take the diagonal where the sliding tap is the cotangent's own tap, and sum over it. One axis at a time.
    """
    from lazygrad.ops.reduce import sum_

    rank = out.inputs[0].rank
    for position in reversed(range(len(out.attributes.windows))):
        w: Window = out.attributes.windows[position]
        extent = out.inputs[0].shape[w.axis]
        reach = (w.size - 1) * w.dilation
        covered = (g.shape[w.axis] - 1) * w.stride + 1
        paddings = [Padding(0, 0)] * g.rank
        paddings[w.axis] = Padding(reach, extent - covered, w.stride - 1)
        spread = windows(pad(g, tuple(paddings)), (Window(w.axis, w.size, 1, w.dilation),))
        sliding = flip(spread, (spread.rank - 1,))
        g = sum_(_diagonal(sliding, rank + position), (rank + position,))
    return g


def _diagonal(x: Node, axis: int) -> Node:
    """Where the last axis equals ``axis`` (of the same extent): the last axis disappears."""
    extent = x.shape[axis]
    last = x.rank - 1
    order = (*(a for a in range(last) if a != axis), axis, last)
    pair = permute(x, order)
    outer = pair.shape[:-2]
    flat = reshape(pair, (*outer, extent * extent))
    ranges = (*(Range(0, e) for e in outer), Range(0, extent * extent, extent + 1))
    taken = slice_(flat, ranges)
    return permute(taken, _inverse((*(a for a in range(last) if a != axis), axis)))


def _windows_numpy(of: Node, x: Any) -> Any:
    strides = list(x.strides)
    extra = []
    for w in of.attributes.windows:
        extra.append(strides[w.axis] * w.dilation)
        strides[w.axis] *= w.stride
    return numpy.lib.stride_tricks.as_strided(x, of.shape, (*strides, *extra), writeable=False)


WINDOWS = _movement("windows", _windows_shape, _windows_map, _windows_vjp, _windows_numpy)

# ---- view: any index map; what simplification turns all of the above into


def _view_vjp(out: Node, g: Node) -> Node:
    raise RuntimeError("a simplified graph is not differentiated; differentiate first, then simplify")


def _view_numpy(of: Node, x: Any) -> Any:
    from lazygrad.ir.index import evaluate

    grid = numpy.indices(of.shape, dtype=numpy.int64)
    index_map: IndexMap = of.attributes.map

    def value_of(variable: Any) -> Any:
        return grid[int(variable.name[1:])]

    valid = numpy.ones(of.shape, bool)
    for bound in index_map.mask:
        position = evaluate(bound.index, value_of)
        valid &= (bound.low <= position) & (position < bound.high)
    coordinates = tuple(
        numpy.clip(numpy.broadcast_to(evaluate(c, value_of), of.shape), 0, max(extent - 1, 0))
        for c, extent in zip(index_map.coordinates, x.shape, strict=True)
    )
    if x.size == 0:
        return numpy.zeros(of.shape, x.dtype)
    return numpy.where(valid, x[coordinates], numpy.zeros((), x.dtype))


VIEW = _movement("view", lambda inputs, a: a.map.shape, lambda of: of.attributes.map, _view_vjp, _view_numpy)


def reshape(x: Node, shape: Shape) -> Node:
    """The same elements in row-major order under another shape of the same size."""
    return x if x.shape == shape else node(RESHAPE, (x,), ReshapeAttributes(shape))


def permute(x: Node, axes: tuple[int, ...]) -> Node:
    """Axis i of the result is axis ``axes[i]`` of ``x``."""
    if sorted(axes) != list(range(x.rank)):
        raise RuntimeError(f"permute: {list(axes)} is no permutation of the {x.rank} axes of {list(x.shape)}")
    return x if axes == tuple(range(x.rank)) else node(PERMUTE, (x,), PermuteAttributes(axes))


def expand(x: Node, shape: Shape) -> Node:
    """Axes of extent 1 repeated to ``shape``, which has the same rank."""
    return x if x.shape == shape else node(EXPAND, (x,), ExpandAttributes(shape))


def pad(x: Node, paddings: tuple[Padding, ...]) -> Node:
    """Zeros around and between the elements of each axis."""
    return node(PAD, (x,), PadAttributes(paddings)) if any(p != (0, 0, 0) for p in paddings) else x


def slice_(x: Node, ranges: tuple[Range, ...]) -> Node:
    """The given positions of each axis."""
    whole = all(r.start == 0 and r.step == 1 and r.stop == e for r, e in zip(ranges, x.shape, strict=True))
    return x if whole else node(SLICE, (x,), SliceAttributes(ranges))


def flip(x: Node, axes: tuple[int, ...]) -> Node:
    """The order of elements reversed along ``axes``."""
    return node(FLIP, (x,), FlipAttributes(tuple(sorted(axes)))) if axes else x


def windows(x: Node, specification: tuple[Window, ...]) -> Node:
    """Sliding windows: each named axis becomes its positions, its taps are appended as a new last axis."""
    return node(WINDOWS, (x,), WindowsAttributes(specification)) if specification else x


def view(x: Node, index_map: IndexMap) -> Node:
    """Any index map over ``x``."""
    return node(VIEW, (x,), ViewAttributes(index_map))
