"""Several index tensors as one: the dimensions they index flattened to one axis, which gather and scatter take.

In: the shape of a tensor, and index nodes for some of its dimensions. Out: how to move and reshape the tensor, and
one flat position.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad import ops
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape, size_of


class Merged(NamedTuple):
    """The dimensions that index tensors index, moved together and flattened to one.

    ``order`` moves them (they come to lie from ``at`` on), ``before``, ``inner`` and ``after`` are the
    extents around and within; ``position`` is the flat position, of the index tensors' common shape.
    """

    order: tuple[int, ...]
    at: int
    before: Shape
    inner: Shape
    after: Shape
    position: Node

    @property
    def flat_shape(self) -> Shape:
        """The tensor's, with the indexed dimensions as one."""
        return (*self.before, size_of(self.inner), *self.after)

    @property
    def index_shape(self) -> Shape:
        """What is gathered, with the index tensors' dimensions as one."""
        return (*self.before, size_of(self.position.shape), *self.after)

    @property
    def result_shape(self) -> Shape:
        """What is gathered."""
        return (*self.before, *self.position.shape, *self.after)

    def spread_position(self) -> Node:
        """The position spread over the other dimensions, as gather and scatter along ``at`` want it."""
        count = size_of(self.position.shape)
        line = (*(1 for _ in self.before), count, *(1 for _ in self.after))
        return ops.expand(ops.reshape(self.position, line), self.index_shape)


def merge(shape: Shape, advanced: dict[int, Node]) -> Merged:
    """How index tensors at dimensions ``advanced`` of a tensor of ``shape`` become one index along one axis.

    By torch's rule the result's index dimensions stand where the first of them was when all are neighbours,
    and in front otherwise.
    """
    axes = tuple(advanced)
    together = axes == tuple(range(axes[0], axes[0] + len(axes)))
    others = tuple(axis for axis in range(len(shape)) if axis not in advanced)
    at = axes[0] if together else 0
    position: Node | None = None
    for axis in axes:
        step = advanced[axis]
        position = step if position is None else ops.add(ops.mul(position, shape[axis]), step)
    assert position is not None
    return Merged(
        (*others[:at], *axes, *others[at:]),
        at,
        tuple(shape[axis] for axis in others[:at]),
        tuple(shape[axis] for axis in axes),
        tuple(shape[axis] for axis in others[at:]),
        position,
    )


def take(x: Node, advanced: dict[int, Node]) -> Node:
    """The elements of ``x`` at the positions that index nodes give for some of its dimensions."""
    merged = merge(x.shape, advanced)
    flat = ops.reshape(ops.permute(x, merged.order), merged.flat_shape)
    return ops.reshape(ops.gather(flat, merged.spread_position(), merged.at), merged.result_shape)
