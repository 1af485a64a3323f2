"""Movement of whole axes: reshape, permute, flip, and expand, which repeats."""

from __future__ import annotations

from typing import NamedTuple

import numpy

from lazygrad.ir.index import Index
from lazygrad.ir.map import IndexMap, axis_variables, reshape_map
from lazygrad.ir.node import Node, node
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.movement import movement


class ReshapeAttributes(NamedTuple):
    shape: Shape


class PermuteAttributes(NamedTuple):
    axes: tuple[int, ...]


class FlipAttributes(NamedTuple):
    axes: tuple[int, ...]


class ExpandAttributes(NamedTuple):
    shape: Shape


def _reshape_shape(inputs: tuple[Node, ...], a: ReshapeAttributes) -> Shape:
    if size_of(inputs[0].shape) != size_of(a.shape):
        raise RuntimeError(f"reshape: shape {list(a.shape)} is invalid for input of size {size_of(inputs[0].shape)}")
    return a.shape


RESHAPE = movement(
    "reshape",
    _reshape_shape,
    lambda of: reshape_map(of.shape, of.inputs[0].shape),
    lambda out, g: reshape(g, out.inputs[0].shape),
    lambda of, x: numpy.reshape(x, of.shape),
)


def _permute_map(of: Node) -> IndexMap:
    own = axis_variables(of.shape)
    coordinates: list[Index] = [Index(0)] * of.rank
    for position, axis in enumerate(of.attributes.axes):
        coordinates[axis] = own[position]
    return IndexMap(of.shape, tuple(coordinates), ())


def inverse_order(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order that undoes a permutation by ``axes``."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


PERMUTE = movement(
    "permute",
    lambda inputs, a: tuple(inputs[0].shape[axis] for axis in a.axes),
    _permute_map,
    lambda out, g: permute(g, inverse_order(out.attributes.axes)),
    lambda of, x: numpy.transpose(x, of.attributes.axes),
)


def _flip_map(of: Node) -> IndexMap:
    own = axis_variables(of.shape)
    return IndexMap(
        of.shape,
        tuple(v * -1 + (of.shape[axis] - 1) if axis in of.attributes.axes else v for axis, v in enumerate(own)),
        (),
    )


FLIP = movement(
    "flip",
    lambda inputs, a: inputs[0].shape,
    _flip_map,
    lambda out, g: flip(g, out.attributes.axes),
    lambda of, x: numpy.flip(x, of.attributes.axes),
)


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


EXPAND = movement(
    "expand", _expand_shape, _expand_map, _expand_vjp,
    lambda of, x: numpy.broadcast_to(x, of.shape),
)  # fmt: skip


def reshape(x: Node, shape: Shape) -> Node:
    """The same elements in row-major order under another shape of the same size."""
    return x if x.shape == shape else node(RESHAPE, (x,), ReshapeAttributes(shape))


def permute(x: Node, axes: tuple[int, ...]) -> Node:
    """Axis i of the result is axis ``axes[i]`` of ``x``."""
    if sorted(axes) != list(range(x.rank)):
        raise RuntimeError(f"permute: {list(axes)} is no permutation of the {x.rank} axes of {list(x.shape)}")
    return x if axes == tuple(range(x.rank)) else node(PERMUTE, (x,), PermuteAttributes(axes))


def flip(x: Node, axes: tuple[int, ...]) -> Node:
    """The order of elements reversed along ``axes``."""
    return node(FLIP, (x,), FlipAttributes(tuple(sorted(axes)))) if axes else x


def expand(x: Node, shape: Shape) -> Node:
    """Axes of extent 1 repeated to ``shape``, which has the same rank."""
    return x if x.shape == shape else node(EXPAND, (x,), ExpandAttributes(shape))
