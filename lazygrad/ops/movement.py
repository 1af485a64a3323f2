"""Movement: views. A movement primitive is an index map from its own axes to its input's, and moves no element.

Here is what all share: how one is declared, the arguments that describe an axis, and the general one, ``view``, which
takes any index map and is what simplification turns the others into. The others are in ``reshaping``, ``padding`` and
``sliding``. Their derivatives are composed of each other: reshape, permute and flip invert, expand and sum are dual,
pad and slice are dual, and a sliding window's derivative is windows over the spread-out cotangent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy

from lazygrad.ir.index import evaluate
from lazygrad.ir.map import IndexMap
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Linearity, NumpyRule, Op, ShapeRule, VjpRule

MapRule: TypeAlias = Callable[[Node], IndexMap]


class Padding(NamedTuple):
    """Zeros on one axis: before, after (either may be negative, which cuts), and between neighbours."""

    low: int
    high: int
    interior: int = 0


class Range(NamedTuple):
    """The positions start, start + step, ... below stop of one axis; step is positive."""

    start: int
    stop: int
    step: int = 1

    @property
    def length(self) -> int:
        """How many positions there are."""
        return max(0, -(-(self.stop - self.start) // self.step))


class Window(NamedTuple):
    """A window sliding over one axis: position o and tap k read element o*stride + k*dilation."""

    axis: int
    size: int
    stride: int = 1
    dilation: int = 1

    def positions(self, extent: int) -> int:
        """How many positions fit into an axis of ``extent``."""
        return max(0, (extent - (self.size - 1) * self.dilation - 1) // self.stride + 1)


class ViewAttributes(NamedTuple):
    map: IndexMap


def movement(name: str, shape: ShapeRule, index_map: MapRule, vjp: VjpRule, numpy_rule: NumpyRule) -> Op:
    """The record of a primitive with one input, of which each element of the result is one element, or zero."""
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


def _view_vjp(out: Node, g: Node) -> Node:
    raise RuntimeError("a simplified graph is not differentiated; differentiate first, then simplify")


def _view_numpy(of: Node, x: Any, *waits: Any) -> Any:
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


VIEW = movement("view", lambda inputs, a: a.map.shape, lambda of: of.attributes.map, _view_vjp, _view_numpy)


def view(x: Node, index_map: IndexMap, waits: Sequence[Node] = ()) -> Node:
    """Any index map over ``x``. What reads it waits for the nodes ``waits``, of which no element is read."""
    return node(VIEW, (x, *waits), ViewAttributes(index_map))
