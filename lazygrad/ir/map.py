"""Index maps: how one tensor is seen through another's indices, as data.

A view of shape S over a source of shape T is a coordinate for each source axis, written over the view's own
axis variables, and a mask outside of which the view reads as zero. Every movement operation is such a map, a
chain of movements is the composition of their maps, and the composition is again one map in canonical form.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lazygrad.ir.index import Bound, Index, Mask, Substitution, Variable, combination, simplify_mask, variable
from lazygrad.ir.shape import Shape, size_of


@lru_cache(maxsize=4096)
def axis_variables(shape: Shape) -> tuple[Index, ...]:
    """The variables i0, i1, ... of a shape's axes; an axis of extent 1 is the constant 0."""
    return tuple(variable(f"i{axis}", extent) for axis, extent in enumerate(shape))


@lru_cache(maxsize=4096)
def _running_axes(shape: Shape) -> tuple[tuple[int, Variable], ...]:
    """The axes of more than one step: where they are, and their variables."""
    return tuple((axis, Variable(f"i{axis}", extent)) for axis, extent in enumerate(shape) if extent > 1)


class IndexMap(NamedTuple):
    """From the indices of a view of ``shape`` to those of its source.

    >>> flip = IndexMap((4,), (axis_variables((4,))[0] * -1 + 3,), ())
    >>> compose(flip, flip) == identity((4,))
    True
    """

    shape: Shape
    coordinates: tuple[Index, ...]
    mask: Mask

    def __repr__(self) -> str:
        mask = f" where {' and '.join(map(repr, self.mask))}" if self.mask else ""
        return f"{list(self.shape)} -> [{', '.join(map(repr, self.coordinates))}]{mask}"


@lru_cache(maxsize=4096)
def identity(shape: Shape) -> IndexMap:
    """The map that shows a tensor as it is."""
    return IndexMap(shape, axis_variables(shape), ())


def is_identity(index_map: IndexMap, source_shape: Shape) -> bool:
    """Whether the map shows every element of the source at its own place."""
    return index_map.shape == source_shape and not index_map.mask and index_map == identity(source_shape)


@lru_cache(maxsize=65536)
def compose(outer: IndexMap, inner: IndexMap) -> IndexMap:
    """The map of the view ``outer`` of the view ``inner``: first outer's coordinates, then inner's."""
    coordinates, mask = at(inner, outer.coordinates)
    return IndexMap(outer.shape, coordinates, simplify_mask((*outer.mask, *mask)))


def at(index_map: IndexMap, point: Sequence[Index]) -> tuple[tuple[Index, ...], Mask]:
    """The source coordinates and mask of ``index_map`` where its own axes have the values ``point``."""
    own = axis_variables(index_map.shape)
    if not index_map.mask and index_map.coordinates == own:
        return tuple(point), ()
    put = Substitution({axis: point[position] for position, axis in _running_axes(index_map.shape)})
    coordinates = tuple(put(coordinate) for coordinate in index_map.coordinates)
    mask = simplify_mask(Bound(put(bound.index), bound.low, bound.high) for bound in index_map.mask)
    return coordinates, mask


def is_bijection(index_map: IndexMap, source_shape: Shape) -> bool:
    """True when the map is known to visit every source element exactly once (permutations, flips, reshapes)."""
    if index_map.mask:
        return False
    return size_of(index_map.shape) == size_of(source_shape) and is_injective(index_map, source_shape)


def is_injective(index_map: IndexMap, source_shape: Shape) -> bool:
    """True when different view elements are known to read different source elements.

    The flat row-major address is sorted by stride; it is injective when each stride exceeds the reach of all
    smaller ones together. Divisions that did not cancel count as unknown.
    """
    address = row_major(index_map.coordinates, source_shape)
    reached = {atom for atom, _ in address.terms if isinstance(atom, Variable)}
    wanted = {Variable(f"i{axis}", extent) for axis, extent in enumerate(index_map.shape) if extent > 1}
    if len(address.terms) != len(reached) or not wanted <= reached:
        return False
    reach = 0
    for atom, coefficient in sorted(address.terms, key=lambda term: abs(term[1])):
        if abs(coefficient) <= reach:
            return False
        reach += abs(coefficient) * atom.high
    return True


def row_major(coordinates: Sequence[Index], shape: Shape) -> Index:
    """The flat offset of a point in a row-major array of ``shape``."""
    stride = 1
    parts: list[tuple[Index, int]] = []
    for coordinate, extent in zip(reversed(coordinates), reversed(shape), strict=True):
        parts.append((coordinate, stride))
        stride *= extent
    return combination(0, parts)


@lru_cache(maxsize=4096)
def reshape_map(shape: Shape, source_shape: Shape) -> IndexMap:
    """The view that a row-major reshape is."""
    flat = row_major(axis_variables(shape), shape)
    coordinates: list[Index] = []
    inner = 1
    for extent in reversed(source_shape):
        coordinates.append((flat // inner) % extent if extent > 1 else Index(0))
        inner *= extent
    return IndexMap(shape, tuple(reversed(coordinates)), ())
