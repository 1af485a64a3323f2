"""Prologues: what contractions compute of their operands while they load them, instead of reading it from memory.

In: a graph and the machine. Out: for each contraction its two operands as its kernel reads them; for each operand that
the kernel computes from a stored value, the *base*, that value and the map to it. All other operands lie in memory.

Only block programs have prologues: they pass a block of an operand through registers once for each tile that needs it.
Conversions from a half-width type to the one it is accumulated in are no computation at all, since matrix units take
half-width operands. Anything else must be cheap, computed few times, and read one large value that lies in memory
anyway: where nobody needs the base, the kernel that makes it might as well store the operand in its place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lazygrad import ops
from lazygrad.ir.dtype import accumulator
from lazygrad.ir.map import IndexMap, axis_variables, compose
from lazygrad.ir.node import Node, topological
from lazygrad.ir.op import Family
from lazygrad.ir.shape import size_of
from lazygrad.kernel.block_contraction import expected_tile
from lazygrad.kernel.machine import Machine
from lazygrad.ops.contract import CONTRACT, ContractAttributes
from lazygrad.ops.identity import CAST
from lazygrad.ops.indexing import SCATTER
from lazygrad.schedule import streaming
from lazygrad.schedule.components import Point, source_of, waits_of
from lazygrad.schedule.cost import CACHED_READ, PROLOGUE_COST, PROLOGUE_EVALUATIONS, PROLOGUE_SMALL_READS
from lazygrad.schedule.walking import is_windowed

_GIVEN = ("buffer", "placeholder")


class Base(NamedTuple):
    """The large value that a prologue reads, and where its element lies for each of the prologue's value."""

    node: Node
    map: IndexMap


@dataclass
class Prologues:
    """``operands`` of each contraction; ``bases`` of the computed ones, by what they view; ``widened``: conversions
    that operands skip.
    """

    operands: dict[Node, tuple[Node, Node]] = field(default_factory=dict)
    bases: dict[Node, Base] = field(default_factory=dict)
    widened: dict[Node, None] = field(default_factory=dict)

    @property
    def computed(self) -> frozenset[Node]:
        """What contractions do not need in memory."""
        return frozenset((*self.bases, *self.widened))

    def read(self, operand: Node) -> tuple[Node, IndexMap]:
        """What an operand reads from memory, and where."""
        source, index_map = source_of(operand)
        base = self.bases.get(source)
        return (source, index_map) if base is None else (base.node, compose(index_map, base.map))


class _Use(NamedTuple):
    """One operand of a contraction, and how often each of its elements is computed if the contraction does it."""

    operand: Node
    times: int


def find_prologues(roots: Sequence[Node], machine: Machine) -> Prologues:
    """The prologues of all contractions behind ``roots``."""
    found = Prologues()
    order = topological(roots)
    contractions = [current for current in order if current.op is CONTRACT and current.result is None]
    if machine.flavour != "block":
        found.operands = {current: (current.inputs[0], current.inputs[1]) for current in contractions}
        return found
    fixed = set(roots)
    for current in contractions:
        a, b = (_unwidened(operand, fixed, found) for operand in current.inputs)
        found.operands[current] = (a, b)
    uses: dict[Node, list[_Use]] = {}
    for current in contractions:
        for use in _uses(current, found.operands[current], machine):
            uses.setdefault(source_of(use.operand)[0], []).append(use)
    held = {*roots, *_read_from_memory(order)}
    for current in order:  # what stands before a value has been decided when it is asked whether that lies in memory
        if current not in uses:
            continue
        stays = current in held or current.op.family is not Family.ELEMENTWISE or current.result is not None
        base = None if stays else _base(current, held)
        if base is not None and _pays(current, base, uses[current], fixed):
            found.bases[current] = base
        else:
            held.add(current)
    return found


def _unwidened(operand: Node, fixed: Collection[Node], found: Prologues) -> Node:
    """The operand before a conversion from a half-width type to the one in which it is accumulated anyway."""
    source, index_map = source_of(operand)
    if source.op is not CAST or source.result is not None or source in fixed:
        return operand
    narrow, inner = source_of(source.inputs[0])
    if narrow.dtype is source.dtype or accumulator(narrow.dtype) is not source.dtype:
        return operand
    found.widened[source] = None
    return ops.view(narrow, compose(index_map, inner), (*waits_of(operand), *waits_of(source.inputs[0])))


def _read_from_memory(order: Sequence[Node]) -> list[Node]:
    """What kernels other than contractions want in memory."""
    found: list[Node] = []
    for current in order:
        if current.result is not None:
            continue
        if current.op.name == "gather":
            found.append(source_of(current.inputs[0])[0])
        elif current.op.family is Family.COMPOSITE:
            found += [source_of(matrix)[0] for matrix in streaming.matrices(current)]
    return found


def _uses(current: Node, operands: tuple[Node, Node], machine: Machine) -> list[_Use]:
    """The contraction's operands."""
    at_labels: ContractAttributes = current.attributes
    labels = (at_labels.a, at_labels.b)
    extents = dict(zip((*labels[0], *labels[1]), (*operands[0].shape, *operands[1].shape), strict=True))
    free = [label for label in at_labels.out if (label in labels[0]) != (label in labels[1])]
    rows = 1 if free and free[-1] in labels[0] else 0
    own = [size_of([extents[x] for x in at_labels.out if x in labels[i] and x not in labels[1 - i]]) for i in (0, 1)]
    batches = size_of([extents[x] for x in at_labels.out if x in labels[0] and x in labels[1]])
    half = operands[0].dtype is operands[1].dtype and operands[0].dtype.is_float and operands[0].dtype.bits == 16
    tile = expected_tile(
        half, accumulator(current.dtype), at_labels.precision, batches, own[rows], own[1 - rows], machine
    )
    sides = tile if rows == 0 else (tile[1], tile[0])
    found: list[_Use] = []
    for position, operand in enumerate(operands):
        computed = size_of(operand.shape) * -(-own[1 - position] // sides[1 - position])
        found.append(_Use(operand, -(-computed // max(1, size_of(source_of(operand)[0].shape)))))
    return found


def _base(of: Node, held: Collection[Node]) -> Base | None:
    """The one large value in memory from which an elementwise value is computed cheaply; None if it is not so.

    What is the same along rows or columns is computed for these only, and costs each element a part.
    """
    cost = 0.0
    start = axis_variables(of.shape)
    reads: dict[tuple[Node, Point], IndexMap] = {}
    whole = IndexMap(of.shape, start, ())
    pending = [(of, whole)]
    seen = {(of, start)}
    while pending:
        current, index_map = pending.pop()
        if current.op.family is Family.ELEMENTWISE and current.result is None and current not in held:
            cost += current.op.cost * min(1.0, size_of(current.shape) / max(1, size_of(of.shape)))
            if current.op.scalar is None or cost > PROLOGUE_COST:
                return None
            for operand in current.inputs:
                source, view = source_of(operand)
                inner = compose(index_map, view)
                if (source, inner.coordinates) not in seen:
                    seen.add((source, inner.coordinates))
                    pending.append((source, inner))
        elif _lies_in_memory(current, held):
            reads[current, index_map.coordinates] = index_map
        elif current.op.family is not Family.SOURCE:
            return None
    large = [
        Base(node, index_map) for (node, _), index_map in reads.items() if 2 * size_of(node.shape) > size_of(of.shape)
    ]
    if len(large) != 1 or len(reads) - 1 > PROLOGUE_SMALL_READS:
        return None
    (base,) = large
    return base if base.node.op.name in _GIVEN or base.node in held or _is_apart(base.node) else None


def _lies_in_memory(current: Node, held: Collection[Node]) -> bool:
    """Whether a value that is no elementwise one is loaded where it is read."""
    given = current.op.name in _GIVEN or current.result is not None or current in held
    return given or current.op.family in (Family.REDUCE, Family.CONTRACT, Family.COMPOSITE) or current.op is SCATTER


def _is_apart(current: Node) -> bool:
    """Whether nothing that reads the value can be computed by the kernel that makes it."""
    return current.op.family is Family.COMPOSITE or current.op is SCATTER


def _pays(of: Node, base: Base, uses: Sequence[_Use], fixed: Collection[Node]) -> bool:
    """Whether loading the base wherever the value is wanted costs less than storing the value and loading that."""
    for use in uses:
        _, outer = source_of(use.operand)
        windows = is_windowed(compose(outer, base.map))
        if windows and (base.node.op.name in _GIVEN or base.node in fixed):
            return False  # windows read a copy of it with a halo; what makes the copy computes the value as well
        if windows != is_windowed(outer):
            return False
    times = sum(use.times for use in uses)
    read, written = base.node.dtype.itemsize, of.dtype.itemsize
    again = (times - 1) * CACHED_READ
    return times <= PROLOGUE_EVALUATIONS and read + again * read <= read + 2 * written + again * written
