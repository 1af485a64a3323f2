"""Reductions made smaller: of empty tensors, of what a view only repeats, of other reductions, of extent-1 axes."""

from __future__ import annotations

from lazygrad import ops
from lazygrad.ir.index import Variable, variables
from lazygrad.ir.map import IndexMap, identity, is_bijection, is_identity
from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.ir.shape import size_of
from lazygrad.ops.movement import VIEW, Range, view
from lazygrad.ops.reduce import ARGMAX, ARGMIN, MAX, MIN, PROD, SUM
from lazygrad.ops.source import constant_value


def simplify_reductions(current: Node) -> Node | None:
    if current.op.family is not Family.REDUCE or current.op in (ARGMAX, ARGMIN):
        return None
    (x,) = current.inputs
    axes: tuple[int, ...] = current.attributes.axes
    count = size_of([x.shape[axis] for axis in axes])
    if count == 0 and size_of(current.shape):
        assert current.op.identity is not None
        return ops.constant(current.op.identity(current.dtype), current.shape, current.dtype, current.device)
    if count == 1:
        return ops.reshape(x, current.shape)
    number = constant_value(x)
    if number is not None and current.op in (MAX, MIN):
        return ops.constant(number, current.shape, current.dtype, current.device)
    if number is not None and current.op is SUM and current.dtype.is_float:
        return ops.constant(number * count, current.shape, current.dtype, current.device)
    if x.op is current.op:
        return _join(current, x)
    if x.op is VIEW:
        return _unexpand(current, x) or _unpermute(current, x)
    return None


def _join(current: Node, inner: Node) -> Node:
    """A reduction of a reduction of the same kind is one over both axes."""
    (x,) = inner.inputs
    kept = [axis for axis in range(x.rank) if axis not in inner.attributes.axes]
    axes = (*inner.attributes.axes, *(kept[axis] for axis in current.attributes.axes))
    return _REBUILD[current.op](x, axes)


def _unexpand(current: Node, x: Node) -> Node | None:
    """Axes that a view only repeats: a sum over them is a multiple, an extremum is the element itself."""
    index_map: IndexMap = x.attributes.map
    read: set[Variable] = set()
    for coordinate in index_map.coordinates:
        read |= variables(coordinate)
    for bound in index_map.mask:
        read |= variables(bound.index)
    names = {v.name for v in read}
    repeated = tuple(a for a in current.attributes.axes if f"i{a}" not in names and x.shape[a] > 1)
    if not repeated or current.op is PROD or (current.op is SUM and not current.dtype.is_float):
        return None
    first = ops.slice_(x, tuple(_first(e, axis in repeated) for axis, e in enumerate(x.shape)))
    squeezed = ops.reshape(first, tuple(e for axis, e in enumerate(x.shape) if axis not in repeated))
    kept = [axis for axis in range(x.rank) if axis not in repeated]
    rest = tuple(kept.index(axis) for axis in current.attributes.axes if axis not in repeated)
    reduced = _REBUILD[current.op](squeezed, rest)
    return ops.mul(reduced, size_of([x.shape[a] for a in repeated])) if current.op is SUM else reduced


def _first(extent: int, only: bool) -> Range:
    return Range(0, 1 if only else extent)


def _unpermute(current: Node, x: Node) -> Node | None:
    """A reduction of a permutation reduces the source instead, so that it meets the source's other uses."""
    index_map: IndexMap = x.attributes.map
    source, *waits = x.inputs
    if not is_bijection(index_map, source.shape) or len(index_map.coordinates) != x.rank:
        return None
    if waits:
        if is_identity(index_map, source.shape):
            return None
        source = view(source, identity(source.shape), waits)
    place: list[int] = []  # for each source axis, the view's axis it shows
    for axis, coordinate in enumerate(index_map.coordinates):
        if source.shape[axis] == 1:
            return None
        if len(coordinate.terms) != 1 or coordinate.constant or coordinate.terms[0][1] != 1:
            return None
        (atom, _) = coordinate.terms[0]
        if not isinstance(atom, Variable):
            return None
        place.append(int(atom.name[1:]))
    axes = tuple(axis for axis in range(source.rank) if place[axis] in current.attributes.axes)
    reduced = _REBUILD[current.op](source, axes)
    kept = [place[axis] for axis in range(source.rank) if axis not in axes]
    order = tuple(sorted(range(len(kept)), key=kept.__getitem__))
    return ops.permute(reduced, order)


_REBUILD = {SUM: ops.sum_, PROD: ops.prod, MAX: ops.max_, MIN: ops.min_}
