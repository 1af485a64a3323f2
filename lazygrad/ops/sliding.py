"""Sliding windows: what convolutions, pooling and unfold look through. Nothing is copied."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

from lazygrad.ir.map import IndexMap, axis_variables
from lazygrad.ir.node import Node, node
from lazygrad.ir.shape import Shape
from lazygrad.ops.diagonal import diagonal
from lazygrad.ops.movement import Padding, Window, movement
from lazygrad.ops.padding import pad
from lazygrad.ops.reduce import sum_
from lazygrad.ops.reshaping import flip, inverse_order, permute


class WindowsAttributes(NamedTuple):
    windows: tuple[Window, ...]


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
        tap = rank + position
        own = diagonal(sliding, tap, sliding.rank - 1)
        g = sum_(permute(own, inverse_order((*(a for a in range(own.rank) if a != tap), tap))), (tap,))
    return g


def _windows_numpy(of: Node, x: Any) -> Any:
    strides = list(x.strides)
    extra = []
    for w in of.attributes.windows:
        extra.append(strides[w.axis] * w.dilation)
        strides[w.axis] *= w.stride
    return numpy.lib.stride_tricks.as_strided(x, of.shape, (*strides, *extra), writeable=False)


WINDOWS = movement("windows", _windows_shape, _windows_map, _windows_vjp, _windows_numpy)


def windows(x: Node, specification: tuple[Window, ...]) -> Node:
    """Sliding windows: each named axis becomes its positions, its taps are appended as a new last axis."""
    return node(WINDOWS, (x,), WindowsAttributes(specification)) if specification else x
