"""Sums, other reductions and contractions: what does not change along an axis comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from lazygrad.ir.shape import Shape
from lazygrad.mathematics.arithmetic import (
    Entry,
    add,
    entries_of,
    expanded,
    factors_of,
    power,
    product,
    scale,
    split,
    split_content,
)
from lazygrad.mathematics.axes import arrange, expand, insert_all, owns, squeeze_all
from lazygrad.mathematics.term import ONE, Term

Labels = tuple[int, ...]

# Sums of up to so many summands are tried term by term.
_SPLIT_LIMIT = 8


def reduce(name: str, term: Term, shape: Shape, axes: Sequence[int]) -> Term:
    """A reduction of a value of ``shape``, which the term may broadcast to, over axes counted from the
    left.
    """
    places = [len(shape) - axis for axis in axes]
    moving = sorted(place for place in places if term.depends(place))
    still = [place for place in places if not term.depends(place)]
    count = 1
    for place in still:
        count *= shape[-place]
    if count == 0:
        return _call(name, expand(term, shape), [len(shape) - axis for axis in axes])
    core = squeeze_all(term, [place for place in still if place <= len(term.shape)])
    left = [place - sum(1 for other in still if other < place) for place in moving]
    if name == "sum":
        return scale(_sum(core, left), count)
    if name == "prod":
        return power(_call("prod", core, left) if left else core, count)
    return _call(name, core, left) if left else core


def arg_reduce(name: str, term: Term, shape: Shape, axis: int) -> Term:
    """Argmax or argmin: the first position, so 0 where nothing changes."""
    place = len(shape) - axis
    return _call(name, term, [place]) if term.depends(place) else term.book.zero


def _call(name: str, term: Term, places: Sequence[int]) -> Term:
    """The function itself, over axes that the term has; new axes go around it, not into it."""
    if term.name == "insert" and not set(places) & set(term.attributes):
        new = term.attributes
        inside = [place - sum(1 for p in new if p < place) for place in places]
        outside = [place - sum(1 for p in places if p < place) for place in new]
        (inner,) = term.children
        return insert_all(_sum(inner, inside) if name == "sum" else _call(name, inner, inside), outside)
    rank = len(term.shape)
    axes = tuple(sorted(rank - place for place in places))
    if name == "max" and term.kind == "product" and term.data[0] > 0 and term.data[0] != 1:
        coefficient, monomial = split(term)
        return scale(_call(name, monomial, places), coefficient)
    shape = tuple(extent for axis, extent in enumerate(term.shape) if axis not in axes)
    return term.book.call(name, [term], axes, shape)


def _sum(term: Term, places: Sequence[int]) -> Term:
    """The sum along axes along which the term does change."""
    book = term.book
    if not places:
        return term
    if term.kind == "product":
        coefficient, powers = factors_of(term)
        moving = {b: e for b, e in powers.items() if any(b.depends(place) for place in places)}
        if len(moving) < len(powers) or coefficient != 1:
            core = product(book, ONE, list(moving.items()))
            outside = [(_without(b, places), e) for b, e in powers.items() if b not in moving]
            return product(book, coefficient, [*outside, (_sum_over(core, places, term), ONE)])
        summands = expanded(term) if term.is_small else None
        if summands is not None and len(summands) <= _SPLIT_LIMIT:
            # Multiplying out pays where summands cancel, as in sum(softmax(x)*(g - c)), and seldom else.
            return _sum_of_sum(term, summands, places, gain=2)
    if term.kind == "sum":
        content, primitive = split_content(term)
        if content != 1:
            return scale(_sum(primitive, places), content)
        if len(term.children) <= _SPLIT_LIMIT:
            return _sum_of_sum(term, entries_of(term), places)
    if term.name == "softmax" and tuple(sorted(len(term.shape) - place for place in places)) == term.attributes:
        return book.one
    if term.name == "insert" and not set(places) & set(term.attributes):
        return _call("sum", term, places)
    if term.name == "sum":
        (inner,) = term.children
        remaining = [axis for axis in range(len(inner.shape)) if axis not in term.attributes]
        more = [remaining[len(term.shape) - place] for place in places]
        return _call("sum", inner, [len(inner.shape) - axis for axis in (*term.attributes, *more)])
    if term.name == "permute":
        (inner,) = term.children
        axes = {term.attributes[len(term.shape) - place] for place in places}
        kept = [axis for axis in term.attributes if axis not in axes]
        if kept == sorted(kept):
            return _sum(inner, [len(inner.shape) - axis for axis in axes])
    return _call("sum", term, places)


def _sum_over(term: Term, places: Sequence[int], whole: Term) -> Term:
    """The sum of a factor of ``whole``, which may lack some of its axes."""
    count = 1
    moving = []
    for place in places:
        if term.depends(place):
            moving.append(place)
        else:
            count *= whole.shape[-place]
    still = [place for place in places if place not in moving]
    core = squeeze_all(term, [place for place in still if place <= len(term.shape)])
    left = [place - sum(1 for other in still if other < place) for place in moving]
    return scale(_sum(core, left), count)


def _without(term: Term, places: Sequence[int]) -> Term:
    return squeeze_all(term, [place for place in places if place <= len(term.shape)])


def _sum_of_sum(term: Term, summands: list[Entry], places: Sequence[int], gain: int = 1) -> Term:
    """Together, or split into sums of its summands where that is ``gain`` times shorter."""
    together = _call("sum", term, places)
    if not term.is_small:
        return together
    parts = [(c, _sum_over(t, places, term)) for c, t in summands]
    apart = add(term.book, parts)
    return apart if gain * apart.weight <= together.weight else together


def contract(a: Term, a_labels: Labels, b: Term, b_labels: Labels, out: Labels, extents: Mapping[int, int]) -> Term:
    """The sum of products over the labels that ``out`` lacks, for values whose axes have these labels.

    An operand that does not change along a label drops it; what is left without a common sum is a plain
    product.
    """
    book = a.book
    count = Fraction(1)
    (a_scale, a), (b_scale, b) = split_content(a), split_content(b)
    a, a_own = _own_axes(a, a_labels, extents)
    b, b_own = _own_axes(b, b_labels, extents)
    for label in sorted((set(a_labels) | set(b_labels)) - set(out)):
        if label in a_own and label in b_own:
            continue
        if label in a_own:
            a, a_own = _sum_label(a, a_own, label, extents)
        elif label in b_own:
            b, b_own = _sum_label(b, b_own, label, extents)
        else:
            count *= extents[label]
    (a_again, a), (b_again, b) = split_content(a), split_content(b)
    factor = a_scale * b_scale * a_again * b_again * count
    present = tuple(label for label in out if label in a_own or label in b_own)
    if not (set(a_own) | set(b_own)) - set(out):
        spread = [
            arrange(term, [own.index(x) if x in own else None for x in out]) for term, own in ((a, a_own), (b, b_own))
        ]
        return product(book, factor, [(term, ONE) for term in spread])
    if present and (present[0] not in a_own or (present[0] in b_own and b.ordinal < a.ordinal)):
        a, a_own, b, b_own = b, b_own, a, a_own
    if not present and b.ordinal < a.ordinal:
        a, a_own, b, b_own = b, b_own, a, a_own
    a, a_own = _without_permute(a, a_own)
    b, b_own = _without_permute(b, b_own)
    number: dict[int, int] = {}
    for label in (*a_own, *b_own):
        number.setdefault(label, len(number))
    convolution = _convolution(a, a_own, b, b_own, present) or _convolution(b, b_own, a, a_own, present)
    if convolution is not None:
        return product(book, factor, [(convolution, ONE)])
    labels = tuple(tuple(number[x] for x in own) for own in (a_own, b_own, present))
    made = book.call("contract", [a, b], labels, tuple(extents[x] for x in present))
    placed = arrange(made, [present.index(x) if x in present else None for x in out])
    return product(book, factor, [(placed, ONE)])


def _own_axes(term: Term, labels: Labels, extents: Mapping[int, int]) -> tuple[Term, Labels]:
    """The term without the axes that are mere repetition, and the labels of the others.

    An axis of extent 1 that the term has is its own: a matrix of one row stays a matrix.
    """
    rank = len(labels)
    here = len(term.shape)
    still = [
        rank - axis
        for axis, label in enumerate(labels)
        if not term.depends(rank - axis) and not (extents[label] == 1 and owns(term, rank - axis))
    ]
    own = tuple(label for axis, label in enumerate(labels) if rank - axis not in still)
    return squeeze_all(term, [place for place in still if place <= here]), own


def _sum_label(term: Term, own: Labels, label: int, extents: Mapping[int, int]) -> tuple[Term, Labels]:
    axis = own.index(label)
    rest = (*own[:axis], *own[axis + 1 :])
    place = len(own) - axis
    return _own_axes(_sum(term, [place]) if term.depends(place) else squeeze_all(term, [place]), rest, extents)


def _without_permute(term: Term, own: Labels) -> tuple[Term, Labels]:
    if term.name != "permute":
        return term, own
    moved = [0] * len(own)
    for position, axis in enumerate(term.attributes):
        moved[axis] = own[position]
    return term.children[0], tuple(moved)


def _convolution(images: Term, a: Labels, weight: Term, b: Labels, out: Labels) -> Term | None:
    """A 2-d convolution without groups: windows over the last two axes of images, all taps summed over."""
    if images.name != "windows" or len(a) != 6 or len(b) != 4 or len(out) != 4:
        return None
    windows = images.attributes
    n, c, h, w, kh, kw = a
    if tuple(window.axis for window in windows) != (2, 3) or b[1:] != (c, kh, kw) or out != (n, b[0], h, w):
        return None
    (source,) = images.children
    padding = (0, 0)
    if source.name == "pad":
        around = source.attributes
        if any(p != (0, 0, 0) for p in around[:2]) or any(p.low != p.high or p.interior for p in around[2:]):
            return None
        padding = (around[2].low, around[3].low)
        (source,) = source.children
    stride = tuple(window.stride for window in windows)
    dilation = tuple(window.dilation for window in windows)
    shape = (images.shape[0], weight.shape[0], *images.shape[2:4])
    return source.book.call("conv2d", [source, weight], (stride, padding, dilation), shape)
