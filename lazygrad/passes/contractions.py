"""Moves views and sums of a contraction's result into its operands.

A convolution's gradient by its input is, as derived, a sum over taps of a shifted view of a contraction: written
out, an intermediate as large as the column buffer. Where each axis of the result comes from one operand, the view
is a view of the operands instead, and the sum becomes more contracted axes: again one contraction, with nothing
in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazygrad import ops
from lazygrad.ir.dtype import accumulator
from lazygrad.ir.index import Bound, Index, Variable, substitute, variables
from lazygrad.ir.map import IndexMap, axis_variables, is_injective
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.contract import CONTRACT, ContractAttributes
from lazygrad.ops.movement import VIEW
from lazygrad.ops.reduce import SUM
from lazygrad.passes.rewrite import rewrite, use_counts
from lazygrad.passes.small_images import FEWEST_IMAGES
from lazygrad.passes.views import compose_views

# A result so many times smaller than an operand is written and read again in a fraction of the time that the operand
# takes to be read, or to be brought into another order.
SMALL_RESULT = 4
# With more rows than this an operand is brought into another order all the same: that takes as long as about 36
# multiply-adds for each element, and Winograd's transforms, which need it, save 5 of 9.
MOST_UNPACKED_ROWS = 64


def fold_into_contractions(roots: Sequence[Node]) -> list[Node]:
    """Folds where the contraction serves nothing else, so that no product is computed twice."""
    uses = use_counts(roots)

    def rule(current: Node, original: Node) -> Node | None:
        if current.op is SUM:
            (x,) = current.inputs
            if uses[original.inputs[0]] > 1:
                return None
            if x.op is CONTRACT:
                return _sum_of_contraction(current.attributes.axes, x)
            x = compose_views(x) or x  # folding an inner sum has left one
            if _is_plain_view(x) and x.inputs[0].op is CONTRACT and uses[original.inputs[0].inputs[0]] == 1:
                return None if _is_small(x) else _folded(x, current.attributes.axes)
        elif _is_plain_view(current):
            (x,) = current.inputs
            if x.op is CONTRACT and uses[original.inputs[0]] == 1 and _is_selection(current.attributes.map, x):
                return _folded(current, ())
        return None

    return rewrite(roots, rule)


def _is_small(of: Node) -> bool:
    """Whether to write a viewed result and to read it again costs little beside reading the operands, which then stay.

    So the gradient of a convolution by few pixels reads weights where they lie, instead of in another order. Not if
    windows reach around the image: then weights are read where they lie all the same, and fewer of them.
    """
    (contraction,) = of.inputs
    at: ContractAttributes = contraction.attributes
    large, labels = max(zip(contraction.inputs, (at.a, at.b), strict=True), key=lambda side: size_of(side[0].shape))
    rows = size_of([e for label, e in zip(at.out, contraction.shape, strict=True) if label not in labels])
    places = _places_within_windows(of.attributes.map, contraction.shape)
    if places is not None and rows >= FEWEST_IMAGES * places**2:
        return False
    return rows <= MOST_UNPACKED_ROWS and size_of(contraction.shape) * SMALL_RESULT <= size_of(large.shape)


def _places_within_windows(index_map: IndexMap, shape: Shape) -> int | None:
    """How many places an axis has along which windows have more taps; None if there is no such axis."""
    taps = {v: extent for c, extent in zip(index_map.coordinates, shape, strict=True) for v in _only(c)}
    for coordinate, extent in zip(index_map.coordinates, shape, strict=True):
        if len(coordinate.terms) > 1 and any(extent < taps.get(v, 0) for v in variables(coordinate)):
            return extent
    return None


def _only(coordinate: Index) -> set[Variable]:
    return variables(coordinate) if len(coordinate.terms) == 1 else set()


def _is_plain_view(of: Node) -> bool:
    """A view that waits for nothing."""
    return of.op is VIEW and len(of.inputs) == 1


def _is_selection(index_map: IndexMap, source: Node) -> bool:
    """Permutations and slices: each coordinate is one variable, and nothing is repeated or masked."""
    plain = all(
        len(coordinate.terms) <= 1 and all(isinstance(atom, Variable) for atom, _ in coordinate.terms)
        for coordinate in index_map.coordinates
    )
    return plain and not index_map.mask and is_injective(index_map, source.shape)


def replace_degenerate_contractions(current: Node) -> Node | None:
    """A contraction in which an operand has no axis of its own is a reduction; one that sums nothing, a product.

    Matrix times vector, depthwise convolution and outer products: bound by memory, not by arithmetic.
    """
    if current.op is not CONTRACT:
        return None
    a, b = current.inputs
    at: ContractAttributes = current.attributes
    extents = dict(zip((*at.a, *at.b), (*a.shape, *b.shape), strict=True))
    inner = tuple(label for label in at.a if label not in at.out)
    rows = size_of([extents[label] for label in at.out if label not in at.b])
    columns = size_of([extents[label] for label in at.out if label not in at.a])
    summed = size_of([extents[label] for label in inner])
    if summed == 0:
        return ops.constant(0, current.shape, current.dtype, current.device)
    if min(rows, columns) > 1 and summed > 1:
        return None
    labels = (*at.out, *inner)
    shape = tuple(extents[label] for label in labels)
    wide = accumulator(current.dtype)
    product = ops.mul(
        ops.cast(_aligned(a, at.a, labels, shape), wide), ops.cast(_aligned(b, at.b, labels, shape), wide)
    )
    return ops.cast(ops.sum_(product, tuple(range(len(at.out), len(labels)))), current.dtype)


def _aligned(x: Node, own: tuple[int, ...], labels: tuple[int, ...], shape: tuple[int, ...]) -> Node:
    """``x`` as a view over all labels."""
    axes = axis_variables(shape)
    return ops.view(x, IndexMap(shape, tuple(axes[labels.index(label)] for label in own), ()))


def _sum_of_contraction(axes: tuple[int, ...], of: Node) -> Node:
    at: ContractAttributes = of.attributes
    kept = tuple(label for axis, label in enumerate(at.out) if axis not in axes)
    return ops.contract(of.inputs[0], at.a, of.inputs[1], at.b, kept, at.precision, at.lower)


def _folded(of: Node, summed: tuple[int, ...]) -> Node | None:
    """``sum(view(contract(a, b)), summed)`` as one contraction of views of a and b; None where masks mix both."""
    index_map: IndexMap = of.attributes.map
    (contraction,) = of.inputs
    at: ContractAttributes = contraction.attributes
    a, b = contraction.inputs
    inner = [label for label in at.a if label in at.b and label not in at.out]
    inner_extents = {label: extent for label, extent in zip(at.a, a.shape, strict=True) if label in inner}
    of_label = {label: position for position, label in enumerate(at.out)}
    sides: list[set[Variable]] = []
    for labels in (at.a, at.b):
        read: set[Variable] = set()
        for label in labels:
            if label in of_label:
                read |= variables(index_map.coordinates[of_label[label]])
        sides.append(read)
    masks: list[list[Bound]] = [[], []]
    for bound in index_map.mask:
        used = variables(bound.index)
        side = next((s for s in (0, 1) if used <= sides[s]), None)
        if side is None:  # places of an axis of one element, which nothing else reads: of the operand without the taps
            side = next((s for s in (0, 1) if not used & sides[s]), None)
        if side is None:
            return None
        sides[side] |= used
        masks[side].append(bound)
    rank = len(of.shape)
    own = axis_variables(of.shape)
    operands: list[Node] = []
    labels_of: list[tuple[int, ...]] = []
    for side, (operand, labels) in enumerate(((a, at.a), (b, at.b))):
        axes = [axis for axis in range(rank) if own[axis].terms and own[axis].terms[0][0] in sides[side]]
        shape = tuple(of.shape[axis] for axis in axes) + tuple(inner_extents[label] for label in inner)
        new_axes = axis_variables(shape)
        rename = {Variable(f"i{axis}", of.shape[axis]): new_axes[position] for position, axis in enumerate(axes)}
        coordinates = []
        for label in labels:
            if label in of_label:
                coordinates.append(substitute(index_map.coordinates[of_label[label]], rename))
            else:
                coordinates.append(new_axes[len(axes) + inner.index(label)])
        mask = tuple(Bound(substitute(m.index, rename), m.low, m.high) for m in masks[side])
        operands.append(ops.view(operand, IndexMap(shape, tuple(coordinates), mask)))
        labels_of.append((*axes, *(rank + position for position in range(len(inner)))))
    present = set(labels_of[0]) | set(labels_of[1])
    missing = [axis for axis in range(rank) if axis not in present]
    if any(of.shape[axis] > 1 for axis in missing):
        return None  # an axis that only repeats: the sum over it was removed before
    kept = tuple(axis for axis in range(rank) if axis not in summed)
    out = tuple(axis for axis in kept if axis in present)
    lower = _renamed_triangle(at, index_map, {label: rank + position for position, label in enumerate(inner)})
    result = ops.contract(operands[0], labels_of[0], operands[1], labels_of[1], out, at.precision, lower)
    shaped = ops.reshape(result, tuple(of.shape[axis] for axis in kept))
    return compose_views(shaped) or shaped


def _renamed_triangle(at: ContractAttributes, index_map: IndexMap, summed: Mapping[int, int]) -> tuple[int, int] | None:
    """The labels of a triangle behind a view of the result; None where one is no whole axis of it."""
    found = dict(summed)
    for label, coordinate in zip(at.out, index_map.coordinates, strict=True):
        terms = coordinate.terms
        if len(terms) == 1 and not coordinate.constant and terms[0][1] == 1 and isinstance(terms[0][0], Variable):
            found[label] = int(terms[0][0].name[1:])
    return (found[at.lower[0]], found[at.lower[1]]) if at.lower and {*at.lower} <= {*found} else None
