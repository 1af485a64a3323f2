"""Long sums of products in pieces, which cores share instead of the result, where that is small.

For block programs where it has fewer tiles than there are cores. On processors where operands are large: cores that
share the result each read all of one operand, and windows many times, while each piece of a sum reads its own part of
both once, part of it from near caches.

The pieces are partial products with one axis more, in the accumulator's type, and a sum over that axis follows. The
order of additions is fixed, so results are the same in every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from lazygrad import ops
from lazygrad.ir.dtype import accumulator
from lazygrad.ir.index import Variable, variables
from lazygrad.ir.node import Node, node
from lazygrad.ir.shape import size_of
from lazygrad.kernel.machine import Machine
from lazygrad.ops.contract import CONTRACT, ContractAttributes
from lazygrad.passes.rewrite import rewrite
from lazygrad.passes.views import compose_views
from lazygrad.schedule.components import source_of
from lazygrad.schedule.cost import PIECE_LENGTH, PIECE_TILE, PIECES_PER_CORE, SMALL_PIECES


def split_long_contractions(roots: Sequence[Node], machine: Machine) -> list[Node]:
    """Contractions of few tiles and long sums become partial contractions and a sum of those."""

    def rule(current: Node, original: Node) -> Node | None:
        return _in_pieces(current, machine) if current.op is CONTRACT else None

    return rewrite(rewrite(roots, rule), lambda changed, original: compose_views(changed))


def _in_pieces(current: Node, machine: Machine) -> Node | None:
    at: ContractAttributes = current.attributes
    a, b = current.inputs
    extents = dict(zip((*at.a, *at.b), (*a.shape, *b.shape), strict=True))
    summed = [label for label in at.a if label not in at.out]
    length = prod(extents[label] for label in summed)
    wanted = min(_wanted(current, extents, machine), length // PIECE_LENGTH)
    if wanted < 2:
        return None
    label = max(summed, key=lambda label: _largest_divisor(extents[label], wanted) if _is_whole(current, label) else 0)
    pieces = _largest_divisor(extents[label], wanted)
    if pieces < 2 or not _is_whole(current, label):
        return None
    piece = max(extents) + 1
    lower = None if at.lower and label in at.lower else at.lower
    wide = accumulator(current.dtype)
    partial = node(
        CONTRACT,
        (_cut(ops.cast(a, wide), at.a, label, pieces), _cut(ops.cast(b, wide), at.b, label, pieces)),
        at._replace(a=_with(at.a, label, piece), b=_with(at.b, label, piece), out=(piece, *at.out), lower=lower),
    )
    return ops.cast(ops.sum_(partial, (0,)), current.dtype)


def _wanted(current: Node, extents: Mapping[int, int], machine: Machine) -> int:
    """How many pieces the cores would like."""
    at: ContractAttributes = current.attributes
    if machine.flavour == "block":
        rows = prod(extents[label] for label in at.out if label not in at.b)
        columns = prod(extents[label] for label in at.out if label not in at.a)
        batches = prod(extents[label] for label in at.out if label in at.a and label in at.b)
        return machine.cores // (batches * -(-rows // PIECE_TILE) * -(-columns // PIECE_TILE))
    # What the operands are read from: windows overlap.
    least = min(size_of(source_of(operand)[0].shape) for operand in current.inputs)
    pieces = machine.cores * PIECES_PER_CORE
    are_small = pieces * size_of(current.shape) * SMALL_PIECES <= least
    return pieces if are_small and least * current.dtype.itemsize > machine.level2_cache else 1


def _is_whole(current: Node, label: int) -> bool:
    """Whether the label walks along an axis of its own in both operands: no sliding window needs the piece's border."""
    for operand, labels in zip(current.inputs, (current.attributes.a, current.attributes.b), strict=True):
        _, index_map = source_of(operand)
        name = f"i{labels.index(label)}"
        for coordinate in index_map.coordinates:
            mentioned = any(variable.name == name for variable in variables(coordinate))
            if mentioned and (len(coordinate.terms) > 1 or not isinstance(coordinate.terms[0][0], Variable)):
                return False
    return True


def _largest_divisor(extent: int, limit: int) -> int:
    return next(count for count in range(min(extent, limit), 0, -1) if extent % count == 0)


def _cut(x: Node, labels: tuple[int, ...], label: int, pieces: int) -> Node:
    axis = labels.index(label)
    return ops.reshape(x, (*x.shape[:axis], pieces, x.shape[axis] // pieces, *x.shape[axis + 1 :]))


def _with(labels: tuple[int, ...], label: int, piece: int) -> tuple[int, ...]:
    """The piece's label before the one that it cuts."""
    return tuple(new for old in labels for new in ((piece, old) if old == label else (old,)))
