"""What a contraction wants of its surroundings, known before anything is fused.

One operand gives the rows (read element by element, at any address), the other the columns (read as vectors).
Operands must lie in memory, or what they are computed from while they are loaded (``prologues.py``); sliding windows
want zeros around them (a halo) instead of a mask, and their channels last; a result that must be row-major is not fused
into a contraction that would produce it in another order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lazygrad.ir.index import Variable
from lazygrad.ir.map import IndexMap
from lazygrad.ir.node import Node, topological
from lazygrad.ir.op import Family
from lazygrad.ir.shape import size_of
from lazygrad.kernel.machine import Machine
from lazygrad.ops.contract import CONTRACT, ContractAttributes
from lazygrad.schedule import streaming
from lazygrad.schedule.components import source_of
from lazygrad.schedule.cost import FEW_MATRIX_ROWS, FEW_ROWS, SCATTERED_STORE, TURNED_RESULT, WRITTEN_OUT
from lazygrad.schedule.prologues import Prologues, find_prologues
from lazygrad.schedule.walking import is_split, is_windowed, walks

Halo = tuple[tuple[int, int], ...]
# Neighbours of a result that are stored wherever they belong: so many vectors of floats.
STORED_VECTORS = 4


class Sides(NamedTuple):
    """Which input gives the rows (0 or 1); the other gives the columns."""

    rows: int

    @property
    def columns(self) -> int:
        return 1 - self.rows


@dataclass
class Wishes:
    """All contractions' wishes together."""

    sides: dict[Node, Sides] = field(default_factory=dict)
    in_memory: dict[Node, None] = field(default_factory=dict)
    halos: dict[Node, Halo] = field(default_factory=dict)
    innermost: dict[Node, int] = field(default_factory=dict)  # the axis that should lie fastest
    windowed: set[Node] = field(default_factory=set)  # those of which windows wish that, who read the most
    unfused: set[Node] = field(default_factory=set)
    written_out: set[Node] = field(default_factory=set)  # contractions with columns copied in any case
    stored_run: int | None = None  # so many neighbours are stored anywhere as fast; None: all must lie as they come out
    prologues: Prologues = field(default_factory=Prologues)
    votes: dict[Node, Votes] = field(default_factory=dict)


@dataclass
class Votes:
    """How many elements contractions read of a source for which an axis should lie fastest.

    Columns that do not lie side by side must be packed: their axes are ``candidates``. Rows only prefer to lie along
    the sum, and who computes the source, to store it as it comes out.
    """

    elements: Counter[int] = field(default_factory=Counter)
    candidates: dict[int, None] = field(default_factory=dict)

    def chosen(self) -> int | None:
        """The candidate with the most votes, the first of several, if no other axis has more."""
        most = max(self.elements.values(), default=0)
        return next((axis for axis in self.candidates if self.elements[axis] == most), None)


def collect_wishes(roots: Sequence[Node], machine: Machine) -> Wishes:
    """What all contractions, streams and gathers behind ``roots`` want."""
    wishes = Wishes(prologues=find_prologues(roots, machine))
    if machine.flavour == "cpu":
        wishes.stored_run = STORED_VECTORS * machine.vector_bytes // 4
    order = topological(roots)
    seen = {c for root in roots for c in ((root,) if root.op is CONTRACT else _contraction_sources(root))}
    for current in order:
        if current.op is CONTRACT and current.result is None:
            _collect(current, wishes, machine, is_seen=current in seen)
        elif current.op.name == "gather" and current.result is None:
            wishes.in_memory[source_of(current.inputs[0])[0]] = None
        elif current.op.family is Family.COMPOSITE and current.result is None:
            _collect_streamed(current, wishes)
    for source, votes in wishes.votes.items():
        _count_stores(source, votes, wishes)
        wished = votes.chosen()
        if wished is not None:
            wishes.innermost.setdefault(source, wished)
    root_set = set(roots)
    for current in order:
        if current in root_set and any(not is_natural(s, wishes) for s in _contraction_sources(current)):
            wishes.unfused.add(current)
    return wishes


def _contraction_sources(current: Node) -> list[Node]:
    """The contractions that a chain of elementwise operations and views ends in; none of anything else."""
    found: dict[Node, None] = {}
    if current.op.family not in (Family.ELEMENTWISE, Family.MOVEMENT):
        return []
    pending, seen = [current], {current}
    while pending and len(seen) < 64:
        for operand in pending.pop().inputs:
            source, _ = source_of(operand)
            if source.op is CONTRACT:
                found[source] = None
            elif source.op.scalar is not None and source not in seen:
                seen.add(source)
                pending.append(source)
    return list(found)


def _collect(current: Node, wishes: Wishes, machine: Machine, is_seen: bool) -> None:
    """``is_seen``: its elements, or what is computed of each by itself, are results, which lie row-major."""
    at: ContractAttributes = current.attributes
    views = [wishes.prologues.read(operand) for operand in wishes.prologues.operands[current]]
    windowed = [is_windowed(index_map) for _, index_map in views]
    planes = None if is_seen or machine.flavour != "cpu" else _planes(at)
    if windowed[0] != windowed[1]:
        sides = Sides(0 if windowed[0] else 1)
    elif planes is not None:
        sides = Sides(planes)
    else:
        free = [label for label in at.out if (label in at.a) != (label in at.b)]
        sides = Sides(0 if free[-1] in at.b else 1)
    wishes.sides[current] = sides
    if machine.flavour == "cpu" and _is_better_turned(current, sides, wishes, machine, is_seen):
        sides = wishes.sides[current] = Sides(sides.columns)
        wishes.written_out.add(current)
    for source, _ in views:
        wishes.in_memory[source] = None
    source, index_map = views[sides.rows]
    halo = _halo(source, index_map)
    if any(h != (0, 0) for h in halo):
        known = wishes.halos.get(source, ((0, 0),) * source.rank)
        wishes.halos[source] = tuple(
            (max(low, l2), max(high, h2)) for (low, high), (l2, h2) in zip(known, halo, strict=True)
        )
    if windowed[sides.rows] and (machine.flavour != "block" or not is_split(index_map)):
        plain = [
            axis
            for axis, c in enumerate(index_map.coordinates)
            if axis > 0 and (len(c.terms) == 1 or walks(c) is not None)
        ]
        if plain and source not in wishes.windowed:
            wishes.innermost[source] = plain[0]
            wishes.windowed.add(source)
    elif sides.rows == planes and source.op.family is not Family.SOURCE:
        for label, axis in _axes_of(index_map, at.a if planes == 0 else at.b).items():
            if label not in at.out:
                wishes.innermost.setdefault(source, axis)
    if machine.flavour == "block":
        _wish_for_blocks(current, wishes)
        return
    for side, labels, other in ((0, at.a, at.b), (1, at.b, at.a)):
        source, index_map = views[side]
        if source.rank <= 2:
            continue
        votes = wishes.votes.setdefault(source, Votes())
        axes = _axes_of(index_map, labels)
        if side == sides.columns:
            wanted = next((axis for label, axis in axes.items() if label not in other), None)
        else:
            wanted = max((axis for label, axis in axes.items() if label not in at.out), default=None)
        if wanted is not None:
            votes.elements[wanted] += size_of(current.inputs[side].shape)
            if side == sides.columns:
                votes.candidates[wanted] = None


def _count_stores(source: Node, votes: Votes, wishes: Wishes) -> None:
    """Who computes the source stores each element once, scattered if the result does not come out in that order."""
    for product in _contraction_sources(source):
        if product.shape == source.shape and product in wishes.sides:
            votes.elements[natural_order(product, wishes)[-1]] += SCATTERED_STORE * size_of(source.shape)


def _axes_of(index_map: IndexMap, labels: Sequence[int]) -> dict[int, int]:
    """For the labels of an operand the axis of its source that each walks along, if there is one."""
    walked = ((axis, walks(coordinate)) for axis, coordinate in enumerate(index_map.coordinates))
    return {labels[int(variable.name[1:])]: axis for axis, variable in walked if variable is not None}


def _planes(at: ContractAttributes) -> int | None:
    """The operand whose axes of the result surround those of the other: images, with channels between them and rows.

    As rows these give a result whose channels lie together, as windows do and what lies between convolutions.
    """
    for side, labels, others in ((0, at.a, at.b), (1, at.b, at.a)):
        own = [axis for axis, label in enumerate(at.out) if label in labels and label not in others]
        between = [axis for axis, label in enumerate(at.out) if label in others and label not in labels]
        if own and between and own[0] < between[0] and between[-1] < own[-1]:
            return side
    return None


def _is_better_turned(current: Node, sides: Sides, wishes: Wishes, machine: Machine, is_seen: bool) -> bool:
    """Whether the operand of the rows should be the columns, written out for that, since it is small.

    For a result that should come out row-major, as the gradient of a convolution's weight should: the weight and all
    that an optimizer keeps of it would be updated in another order than they lie in. And for few rows that multiply a
    large operand which lies along the sum: it would be packed, and the little that multiplies it need not be where it
    comes from another such product. A row-major result is turned back for that only if it is tiny.
    """
    written, other = current.inputs[sides.rows], current.inputs[sides.columns]
    least = size_of(written.shape) * WRITTEN_OUT
    other_bytes = size_of(other.shape) * other.dtype.itemsize
    is_tiny = other_bytes > machine.level2_cache and size_of(current.shape) * TURNED_RESULT <= size_of(other.shape)
    if is_seen and is_natural(current, wishes) and not is_tiny:
        return False
    if is_seen and least <= size_of(current.shape) and is_natural(current, wishes, Sides(sides.columns)):
        return True
    at: ContractAttributes = current.attributes
    labels, kept = (at.a, at.b) if sides.rows == 0 else (at.b, at.a)
    rows = [extent for label, extent in zip(labels, written.shape, strict=True) if label not in kept and extent > 1]
    is_matrix = len(rows) <= 1 and not is_windowed(wishes.prologues.read(written)[1])
    is_little = size_of(rows) <= (FEW_MATRIX_ROWS if is_matrix else FEW_ROWS) and least <= size_of(other.shape)
    return is_little and _lies_along_sum(wishes.prologues.read(other), kept, at)


def _lies_along_sum(read: tuple[Node, IndexMap], labels: Sequence[int], at: ContractAttributes) -> bool:
    """Whether an operand is read from a value that lies row-major, and the last axis of which is summed over."""
    source, index_map = read
    fastest = walks(index_map.coordinates[-1]) if source.op.family is Family.SOURCE and index_map.coordinates else None
    return fastest is not None and labels[int(fastest.name[1:])] not in at.out


def _collect_streamed(current: Node, wishes: Wishes) -> None:
    """Matrices of streams lie in memory; the elements of their rows, and of the result's, lie side by side."""
    if streaming.has_last_axis(current):
        wishes.innermost.setdefault(current, current.rank - 1)
    for operand in streaming.in_memory(current):
        wishes.in_memory[source_of(operand)[0]] = None
    for matrix in streaming.matrices(current):
        source, index_map = source_of(matrix)
        along = f"i{matrix.rank - 1}"
        for axis, coordinate in enumerate(index_map.coordinates):
            fastest = walks(coordinate)
            if fastest is not None and fastest.name == along:
                wishes.innermost.setdefault(source, axis)


def _wish_for_blocks(current: Node, wishes: Wishes) -> None:
    """Tiles want neighbours along either side: an axis that is all of a side should lie fastest."""
    at: ContractAttributes = current.attributes
    a, b = wishes.prologues.operands[current]
    for operand, labels, other in ((a, at.a, at.b), (b, at.b, at.a)):
        source, index_map = wishes.prologues.read(operand)
        axis_of = _axes_of(index_map, labels)
        summed = [label for label in labels if label not in at.out]
        own = [label for label in at.out if label in labels and label not in other]
        whole = [axis_of[side[0]] for side in (summed, own) if len(side) == 1 and side[0] in axis_of]
        if whole and source.rank - 1 not in whole:
            wishes.innermost.setdefault(source, whole[0])


def _halo(source: Node, index_map: IndexMap) -> Halo:
    """How far coordinates reach beyond the source where only the mask keeps them inside."""
    found: list[tuple[int, int]] = []
    for coordinate, extent in zip(index_map.coordinates, source.shape, strict=True):
        divides = any(not isinstance(atom, Variable) for atom, _ in coordinate.terms)
        low, high = max(0, -coordinate.low), max(0, coordinate.high - extent + 1)
        found.append((0, 0) if divides else (low, high))
    return tuple(found)


def natural_order(contraction: Node, wishes: Wishes, sides: Sides | None = None) -> tuple[int, ...]:
    """The order of the result's axes, slowest first, in which it comes out: columns are the fastest.

    Groups of a convolution lie between pixels and channels; the batch of a matrix product lies outside. ``sides`` are
    those that it has, unless told otherwise.
    """
    at: ContractAttributes = contraction.attributes
    sides = sides or wishes.sides[contraction]
    rows, columns = (at.a, at.b) if sides.rows == 0 else (at.b, at.a)
    _, row_map = wishes.prologues.read(wishes.prologues.operands[contraction][sides.rows])
    ranks = {"batch": 1 if is_windowed(row_map) else 0, "rows": 0 if is_windowed(row_map) else 1, "columns": 2}

    def rank(axis: int) -> int:
        label = at.out[axis]
        return ranks["columns" if label not in rows else "batch" if label in columns else "rows"]

    return tuple(sorted(range(contraction.rank), key=rank))


def is_natural(contraction: Node, wishes: Wishes, sides: Sides | None = None) -> bool:
    """Whether it comes out row-major, or so that it is stored row-major as fast: in long runs of columns."""
    order = [axis for axis in natural_order(contraction, wishes, sides) if contraction.shape[axis] > 1]
    if order == sorted(order):
        return True
    at: ContractAttributes = contraction.attributes
    rows = at.a if (sides or wishes.sides[contraction]).rows == 0 else at.b
    run = 1
    for label, extent in zip(reversed(at.out), reversed(contraction.shape), strict=True):
        if label in rows:
            break
        run *= extent
    return wishes.stored_run is not None and run >= wishes.stored_run
