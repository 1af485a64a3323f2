"""Windows that reach around a whole image: sums over its places instead of the windows' taps.

A window of 3x3 at each of 2x2 places, with zeros around these, has 9 taps, of which 4 lie inside the image: the same
four places of the image for all windows, under other taps. So a sum over places reads

    result[n, o, h] = sum(image[n, c, h + k - 1] * weight[o, c, k] over c, k)
                    = sum(image[n, c, p] * weight[o, c, p - h + 1] over c, p)

wherever ``p - h + 1`` is a tap for all p and h: fewer products, none of them by zero, no windows of the image, and the
weight is read where it lies. The last stages of networks for small images are such, and gradients by their inputs.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad import ops
from lazygrad.ir.index import Bound, Index, Variable, substitute, variables
from lazygrad.ir.map import IndexMap, axis_variables
from lazygrad.ir.node import Node
from lazygrad.ir.shape import size_of
from lazygrad.ops.contract import CONTRACT, ContractAttributes
from lazygrad.ops.movement import VIEW
from lazygrad.passes.views import compose_views

# With fewer images than this the few elements of the result are better summed along the weight as it lies.
FEWEST_IMAGES = 16


class _Direction(NamedTuple):
    """An axis of the image that is read at plus or minus a ``tap`` plus something of the result's ``places``.

    ``tap_of``: under which tap a ``place`` of the image is read. All are over the variables of the image's view.
    """

    axis: int
    tap: Variable
    places: frozenset[Variable]
    place: Variable
    tap_of: Index


class _Sides(NamedTuple):
    """The operands of a contraction with their labels: one that may be an image in windows, and the other."""

    image: Node
    labels: tuple[int, ...]
    weight: Node
    weight_labels: tuple[int, ...]
    out: tuple[int, ...]


def sum_over_places(current: Node) -> Node | None:
    """A contraction over windows as one over the places of an image that has fewer of them than windows have taps.

    None where there are none, or where windows of other directions would remain.
    """
    if current.op is not CONTRACT:
        return None
    at: ContractAttributes = current.attributes
    a, b = current.inputs
    for sides in (_Sides(a, at.a, b, at.b, at.out), _Sides(b, at.b, a, at.a, at.out)):
        found = sides
        while (direction := _direction(found)) is not None:
            found = _over_places(found, direction)
        if found is not sides and not _has_windows(found.image):
            return ops.contract(found.image, found.labels, found.weight, found.weight_labels, at.out, at.precision)
    return None


def _has_windows(of: Node) -> bool:
    index_map: IndexMap | None = of.attributes.map if of.op is VIEW else None
    return index_map is not None and (bool(index_map.mask) or any(len(c.terms) > 1 for c in index_map.coordinates))


def _direction(sides: _Sides) -> _Direction | None:
    """One in which sums over places are shorter, if there is any."""
    image, labels, _, weight_labels, out = sides
    if image.op is not VIEW or len(image.inputs) > 1:
        return None
    index_map: IndexMap = image.attributes.map
    (source,) = image.inputs
    axes = {label: Variable(f"i{number}", image.shape[number]) for number, label in enumerate(labels)}
    own = {axes[label] for label in labels if label in out and label not in weight_labels}
    summed = {axes[label] for label in labels if label not in out}
    for axis, (coordinate, extent) in enumerate(zip(index_map.coordinates, source.shape, strict=True)):
        read = variables(coordinate)
        taps = list(read & summed)
        if len(taps) != 1 or abs(coordinate.coefficient(taps[0])) != 1 or extent >= taps[0].extent:
            continue
        (tap,) = taps
        places = frozenset(read - {tap})
        elsewhere = [other for number, other in enumerate(index_map.coordinates) if number != axis]
        bounds = [bound for bound in index_map.mask if variables(bound.index) & read]
        if not places <= own or any(variables(other) & read for other in elsewhere):
            continue
        if not all(_is_implied(bound, coordinate, extent) for bound in bounds):
            continue
        place, sign = Variable("place", extent), coordinate.coefficient(tap)
        tap_of = (_value(place) - (coordinate - Index(0, ((tap, sign),)))) * sign
        images = size_of([v.extent for v in own - places])
        if tap_of.low >= 0 and tap_of.high < tap.extent and images >= FEWEST_IMAGES:
            return _Direction(axis, tap, places, place, tap_of)
    return None


def _value(of: Variable) -> Index:
    return Index(0, ((of, 1),)) if of.extent > 1 else Index(0)


def _is_implied(bound: Bound, coordinate: Index, extent: int) -> bool:
    """Whether a bound only says that a coordinate is inside an axis."""
    shift = bound.index - coordinate
    return shift.is_constant and bound.low <= shift.constant and bound.high >= extent + shift.constant


def _over_places(sides: _Sides, direction: _Direction) -> _Sides:
    """The operands with a label for places in the stead of the taps'; those of the result's places go to the weight."""
    image, labels, weight, weight_labels, out = sides
    axis, tap, places, place, tap_of = direction
    index_map: IndexMap = image.attributes.map
    tap_label = labels[int(tap.name[1:])]
    place_label = max(*labels, *weight_labels, *out) + 1
    moved = [labels[int(variable.name[1:])] for variable in sorted(places, key=lambda v: v.name)]
    extents = dict(zip((*labels, *weight_labels), (*image.shape, *weight.shape), strict=True))
    extents[place_label] = place.extent
    seen_labels = (*[label for label in labels if label not in moved and label != tap_label], place_label)
    placed_labels = (*[label for label in weight_labels if label != tap_label], *moved, place_label)
    seen_shape, placed_shape = (tuple(extents[label] for label in new) for new in (seen_labels, placed_labels))

    put = _renamed(labels, seen_labels, extents) | {place: axis_variables(seen_shape)[-1]}
    coordinates = [substitute(coordinate, put) for coordinate in index_map.coordinates]
    coordinates[axis] = put[place]
    kept = [bound for bound in index_map.mask if not variables(bound.index) & {tap, *places}]
    mask = tuple(Bound(substitute(bound.index, put), bound.low, bound.high) for bound in kept)
    seen = ops.view(image.inputs[0], IndexMap(seen_shape, tuple(coordinates), mask))

    put = _renamed(labels, placed_labels, extents) | {place: axis_variables(placed_shape)[-1]}
    own = _renamed(weight_labels, placed_labels, extents)
    own[Variable(f"i{weight_labels.index(tap_label)}", tap.extent)] = substitute(tap_of, put)
    coordinates = [substitute(coordinate, own) for coordinate in axis_variables(weight.shape)]
    placed = ops.view(weight, IndexMap(placed_shape, tuple(coordinates), ()))
    return _Sides(seen, seen_labels, compose_views(placed) or placed, placed_labels, out)


def _renamed(labels: tuple[int, ...], new: tuple[int, ...], extents: dict[int, int]) -> dict[Variable, Index]:
    """The variables of the axes with these labels, as those of the axes with the new ones."""
    axes = dict(zip(new, axis_variables(tuple(extents[label] for label in new)), strict=True))
    return {Variable(f"i{n}", extents[label]): axes[label] for n, label in enumerate(labels) if label in axes}
