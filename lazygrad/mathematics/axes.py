"""Axes of terms: inserting and removing those of extent 1, permuting, reshaping, cutting, without naming a
repetition.

A term broadcasts, so an axis along which it does not change is left out or has extent 1. ``place`` counts
axes from the right, from 1, because that is where broadcasting aligns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lazygrad.ir.shape import Shape, size_of
from lazygrad.mathematics.arithmetic import plain_sum, product, split
from lazygrad.mathematics.term import ONE, Term

# One axis of a cut: (start, stop, step), or one position, and then the axis is gone.
Cut = tuple[int, int, int] | int


def rebuild(term: Term, change: Callable[[Term], Term]) -> Term:
    """A sum, product or elementwise function with every child changed, where the change is of axes only."""
    book = term.book
    children = [change(child) for child in term.children]
    if term.kind == "sum":
        return plain_sum(book, zip(term.data, children, strict=True))
    if term.kind == "product":
        coefficient, exponents = term.data
        return product(book, coefficient, zip(children, exponents, strict=True))
    return book.map(term.name, children, term.attributes)


def insert(term: Term, place: int) -> Term:
    """A new axis of extent 1 that becomes the ``place``-th from the right."""
    if len(term.shape) < place:
        return term
    if term.kind in ("sum", "product", "map") and term.is_small:
        return rebuild(term, lambda child: insert(child, place))
    inner, places = (term.children[0], term.attributes) if term.name == "insert" else (term, ())
    moved = tuple(sorted((place, *(p + 1 if p >= place else p for p in places))))
    at = len(term.shape) - place + 1
    return term.book.call("insert", [inner], moved, (*term.shape[:at], 1, *term.shape[at:]))


def insert_all(term: Term, places: Iterable[int]) -> Term:
    """New axes that lie at ``places`` of the result."""
    for place in sorted(places):
        term = insert(term, place)
    return term


def squeeze(term: Term, place: int) -> Term:
    """The axis that is ``place``-th from the right removed; the term does not change along it."""
    if len(term.shape) < place:
        return term
    if term.kind in ("sum", "product", "map") and term.is_small:
        return rebuild(term, lambda child: squeeze(child, place))
    axis = len(term.shape) - place
    shape = (*term.shape[:axis], *term.shape[axis + 1 :])
    if term.name == "insert" and place in term.attributes:
        rest = tuple(p - 1 if p > place else p for p in term.attributes if p != place)
        return term.book.call("insert", term.children, rest, shape) if rest else term.children[0]
    cuts: list[Cut] = [(0, extent, 1) for extent in term.shape]
    cuts[axis] = 0
    return cut(term, cuts)


def squeeze_all(term: Term, places: Iterable[int]) -> Term:
    """The axes at ``places`` of the term removed."""
    for place in sorted(places, reverse=True):
        term = squeeze(term, place)
    return term


def cut(term: Term, cuts: Sequence[Cut]) -> Term:
    """Positions of each axis; cuts of cuts are joined."""
    shape = tuple(_count(c) for c in cuts if not isinstance(c, int))
    if term.name != "cut":
        return term.book.call("cut", [term], tuple(cuts), shape)
    remaining = iter(cuts)
    joined: list[Cut] = []
    for old in term.attributes:
        if isinstance(old, int):
            joined.append(old)
            continue
        new = next(remaining)
        start, _, step = old
        if isinstance(new, int):
            joined.append(start + new * step)
        else:
            joined.append((start + new[0] * step, start + (new[1] - 1) * step + 1, step * new[2]))
    return term.book.call("cut", term.children, tuple(joined), shape)


def _count(axis: tuple[int, int, int]) -> int:
    start, stop, step = axis
    return max(0, -(-(stop - start) // step))


def slice_(term: Term, cuts: Sequence[tuple[int, int, int]]) -> Term:
    """Positions of each axis of the value; along axes where it does not change there is nothing to do."""
    own = cuts[len(cuts) - len(term.shape) :]
    changed = [c if term.shape[axis] != 1 else (0, 1, 1) for axis, c in enumerate(own)]
    if all(c == (0, extent, 1) for c, extent in zip(changed, term.shape, strict=True)):
        return term
    return cut(term, changed)


def arrange(term: Term, axes: Sequence[int | None]) -> Term:
    """The term's axis ``axes[i]`` becomes axis i of the result;

    None inserts one. Left out are axes of extent 1.
    """
    kept = [axis for axis in axes if axis is not None]
    rank = len(term.shape)
    core = squeeze_all(term, [rank - axis for axis in range(rank) if axis not in kept])
    order = sorted(kept)
    relative = tuple(order.index(axis) for axis in kept)
    if relative != tuple(range(len(relative))):
        core = transpose(core, relative)
    return insert_all(core, [len(axes) - position for position, axis in enumerate(axes) if axis is None])


def transpose(term: Term, axes: tuple[int, ...]) -> Term:
    """Axis i of the result is axis ``axes[i]``; the term changes along all of them."""
    book = term.book
    if len(term.shape) != len(axes):
        return term
    if axes == tuple(range(len(axes))):
        return term
    coefficient, monomial = split(term)
    if coefficient != 1:
        return product(book, coefficient, [(transpose(monomial, axes), ONE)])
    if term.name == "permute":
        return transpose(term.children[0], tuple(term.attributes[axis] for axis in axes))
    if term.name == "contract":
        a, b, out = term.attributes
        return book.call(
            "contract",
            term.children,
            (a, b, tuple(out[axis] for axis in axes)),
            tuple(term.shape[x] for x in axes),
        )
    if term.kind == "map" and len(term.children) == 1 and term.is_small:
        return rebuild(term, lambda child: transpose(child, axes))
    return book.call("permute", [term], axes, tuple(term.shape[axis] for axis in axes))


def owns(term: Term, place: int) -> bool:
    """Whether an axis is the term's own: it changes along it, or has it with extent 1 and not by insertion."""
    if len(term.shape) < place or term.depends(place):
        return term.depends(place)
    if term.name == "insert":
        inserted = term.attributes
        inner = place - sum(1 for other in inserted if other < place)
        return place not in inserted and owns(term.children[0], inner)
    if term.kind in ("sum", "product", "map") and term.is_small:
        return any(owns(child, place) for child in term.children)
    return True


def permute(term: Term, axes: tuple[int, ...]) -> Term:
    """A permutation of the value's axes, some of which the term may lack."""
    rank = len(axes)
    missing = rank - len(term.shape)
    return arrange(term, [axis - missing if owns(term, rank - axis) else None for axis in axes])


def reshape(term: Term, old: Shape, new: Shape) -> Term:
    """The same elements under another shape.

    Groups of axes along which the term does not change stay left out.
    """
    if term.kind == "number":
        return term
    if size_of(old) == 0:
        return _reshaped(expand(term, old), new)
    groups = _groups(old, new)
    if all(sum(e != 1 for e in before) <= 1 and sum(e != 1 for e in after) <= 1 for before, after in groups):
        return _reshape_ones(term, old, new)
    full = (1,) * (len(old) - len(term.shape)) + term.shape
    target: list[int] = []
    position = 0
    for before, after in groups:
        own = full[position : position + len(before)]
        position += len(before)
        if all(extent == 1 for extent in own):
            target += [1] * len(after)
        elif own == before:
            target += after
        else:
            return _reshaped(expand(term, old), new)
    while target and target[0] == 1 and size_of(term.shape) == size_of(target[1:]) and term.shape[:1] != (1,):
        target.pop(0)
    return _reshaped(term, tuple(target))


def _reshaped(term: Term, shape: Shape) -> Term:
    if term.shape == shape:
        return term
    coefficient, monomial = split(term)
    if coefficient != 1:
        return product(term.book, coefficient, [(_reshaped(monomial, shape), ONE)])
    if term.name == "reshape":
        return _reshaped(term.children[0], shape)
    return term.book.call("reshape", [term], shape, shape)


def _reshape_ones(term: Term, old: Shape, new: Shape) -> Term:
    """Only axes of extent 1 come or go; between the same neighbours they are the same axes."""
    gone: list[int] = []
    come: list[int] = []
    for before, after in zip(_runs_of_ones(old), _runs_of_ones(new), strict=True):
        gone += [len(old) - axis for axis in before[len(after) :]]
        come += [len(new) - axis for axis in after[len(before) :]]
    return insert_all(squeeze_all(term, [place for place in gone if place <= len(term.shape)]), come)


def _runs_of_ones(shape: Shape) -> list[list[int]]:
    """The axes of extent 1 before, between and behind all others."""
    runs: list[list[int]] = [[]]
    for axis, extent in enumerate(shape):
        if extent == 1:
            runs[-1].append(axis)
        else:
            runs.append([])
    return runs


def _groups(old: Shape, new: Shape) -> list[tuple[Shape, Shape]]:
    """The shortest runs of axes on both sides with equal sizes."""
    groups: list[tuple[Shape, Shape]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        before, after = list(old[i : i + 1]), list(new[j : j + 1])
        i, j = i + len(before), j + len(after)
        while size_of(before) != size_of(after):
            if (size_of(before) < size_of(after) or j == len(new)) and i < len(old):
                before.append(old[i])
                i += 1
            else:
                after.append(new[j])
                j += 1
        groups.append((tuple(before), tuple(after)))
    return groups


def expand(term: Term, shape: Shape) -> Term:
    """The repetition written out, for functions that need it."""
    if term.shape == shape:
        return term
    return term.book.call("expand", [term], shape, shape)


def flip(term: Term, axes: Sequence[int], rank: int) -> Term:
    """The order along axes of the value reversed."""
    own = tuple(a - rank + len(term.shape) for a in axes if term.depends(rank - a))
    if not own:
        return term
    if term.name == "flip" and term.attributes == own:
        return term.children[0]
    return term.book.call("flip", [term], own, term.shape)
