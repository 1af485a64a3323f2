"""Which layout each stored node gets: what contractions wish for, else what its inputs have, else row-major.

What the user may look at (roots) is row-major. A halo of zeros is added where sliding windows reach beyond the
edge, so that they need no mask.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from lazygrad.ir.index import variables
from lazygrad.ir.layout import Layout, Part, row_major
from lazygrad.ir.map import IndexMap, axis_variables
from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.contract import CONTRACT
from lazygrad.ops.movement import VIEW
from lazygrad.schedule.components import Component, Kind
from lazygrad.schedule.contracting import Halo, Wishes, natural_order
from lazygrad.schedule.expressions import Home

Order = tuple[int, ...]


def order_of(layout: Layout) -> Order:
    """The axes from the slowest to the fastest; axes of extent 1 keep their logical neighbours."""
    stride = dict.fromkeys(range(len(layout.shape)), 0)
    for part in layout.parts:
        stride[part.axis] = max(stride[part.axis], part.stride)
    return tuple(sorted(stride, key=lambda axis: -stride[axis] if stride[axis] else 0))


def with_halo(shape: Shape, order: Order, halo: Halo) -> Layout:
    """Dense in ``order`` with room for the halo around the elements."""
    parts: list[Part] = []
    stride, offset = 1, 0
    for axis in reversed(order):
        low, high = halo[axis]
        if shape[axis] + low + high > 1:
            parts.append(Part(axis, 1, shape[axis], stride))
        offset += low * stride
        stride *= shape[axis] + low + high
    return Layout(shape, tuple(reversed(parts)), stride, offset)


def no_halo(shape: Shape) -> Halo:
    """Nothing around the elements."""
    return ((0, 0),) * len(shape)


def choose_order(
    of: Node, component: Component, stored: Container[Node], wishes: Wishes, homes: Mapping[Node, Home]
) -> Order:
    """The order of a stored node that is not a root."""
    rank = len(of.shape)
    wished = wishes.innermost.get(of)
    if wished is None:
        for member in component.points:
            if member.shape == of.shape and member in wishes.innermost and member in stored:
                wished = wishes.innermost[member]
    if wished is not None:
        return (*(axis for axis in range(rank) if axis != wished), wished)
    if component.kind is Kind.CONTRACT:
        (product,) = (member for member in component.points if member.op is CONTRACT)
        if product.shape == of.shape:
            return natural_order(product, wishes)
    votes: dict[Order, int] = {}
    for source in _sources(of.shape, component, homes):
        order = order_of(homes[source].layout)
        votes[order] = votes.get(order, 0) + size_of(source.shape) * source.dtype.itemsize
    plain = tuple(range(rank))
    if not votes:
        return plain
    return max(votes, key=lambda order: (votes[order], order != plain))


def _sources(shape: Shape, component: Component, homes: Mapping[Node, Home]) -> list[Node]:
    """The values in memory that the component's elements of a shape come from, whose axes are the elements' axes.

    What is computed again in the kernel is looked through, and so are slices, steps, windows and padding.
    """
    found: list[Node] = []
    pending = [i for member in component.points for i in member.inputs if i.shape == shape]
    seen: set[Node] = set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current in homes:
            found.append(current)
        elif current.op is VIEW and _keeps_axes(current.attributes.map):
            pending.append(current.inputs[0])
        elif current.op.family is Family.ELEMENTWISE:
            pending.extend(current.inputs)
    return found


def _keeps_axes(index_map: IndexMap) -> bool:
    """Whether each coordinate moves with the axis of its own number and with no other."""
    own = axis_variables(index_map.shape)
    return len(own) == len(index_map.coordinates) and all(
        variables(coordinate) == variables(axis) for coordinate, axis in zip(index_map.coordinates, own, strict=True)
    )


def home_of(
    of: Node, slot: int, is_root: bool, component: Component, stored: Container[Node], wishes: Wishes,
    homes: Mapping[Node, Home],
) -> Home:  # fmt: skip
    """Slot, layout and halo of one stored node."""
    if is_root:
        return Home(slot, row_major(of.shape), no_halo(of.shape))
    order = choose_order(of, component, stored, wishes, homes)
    halo = wishes.halos.get(of, no_halo(of.shape))
    return Home(slot, with_halo(of.shape, order, halo), halo)
