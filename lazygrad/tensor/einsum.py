"""einsum: a sum of products written with letters, as a chain of contractions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.node import Node
from lazygrad.ops.diagonal import diagonal
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.operands import cast, result_type

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

Labels = list[str]


def einsum(equation: str, *operands: Tensor | Sequence[Tensor]) -> Tensor:
    """The sum of products that ``equation`` writes: a letter names a dimension.

    Args:
        equation: for example "bij,bjk->bik". "..." stands for leading dimensions that broadcast; a letter
            twice in one operand takes the diagonal; without "->" the result has the letters that occur once,
            sorted.
        operands: one tensor for each part of the equation. They are multiplied from left to right.

    >>> import lazygrad as lg
    >>> lg.einsum("ij,kj->ik", lg.tensor([[1.0, 2.0]]), lg.tensor([[3.0, 4.0], [5.0, 6.0]]))
    tensor([[11., 17.]])
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    tensors: list[Tensor] = list(operands)  # type: ignore[arg-type]
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(tensors):
        raise ValueError(f"einsum(): the equation names {len(parts)} operands, but {len(tensors)} were given")
    dtype = result_type(*tensors)
    nodes = [cast(tensor._enter(), dtype) for tensor in tensors]
    labels = [_labels(part, node.rank, equation) for part, node in zip(parts, nodes, strict=True)]
    result_labels = _result_labels(right, labels) if arrow else _implicit_labels(labels)
    _check(labels, nodes, result_labels, equation)
    extents = _extents(labels, nodes)

    pending = [_prepared(node, own, extents) for node, own in zip(nodes, labels, strict=True)]
    current, own = pending[0]
    for position, (other, theirs) in enumerate(pending[1:], 1):
        needed = set(result_labels).union(*(set(later) for _, later in pending[position + 1 :]))
        out = [label for label in dict.fromkeys([*own, *theirs]) if label in needed]
        current, own = _contract(current, own, other, theirs, out), out
    summed = tuple(axis for axis, label in enumerate(own) if label not in result_labels)
    current = ops.sum_(current, summed)
    own = [label for label in own if label in result_labels]
    present = [label for label in result_labels if label in own]
    current = ops.permute(current, tuple(own.index(label) for label in present))
    # Dimensions of the ellipsis that have extent 1 everywhere were left out.
    shape = tuple(extents[label] for label in result_labels)
    return wrap(ops.reshape(current, shape), *tensors, name="Einsum")


def _labels(part: str, rank: int, equation: str) -> Labels:
    """One name for each dimension; those under an ellipsis are numbered from the right."""
    before, dots, after = part.partition("...")
    letters = before + after
    if not all(letter.isalpha() for letter in letters):
        raise ValueError(f"einsum(): only letters, ',', '->' and '...' are allowed, got {equation!r}")
    covered = rank - len(letters)
    if covered < 0 or (covered and not dots):
        raise ValueError(
            f"einsum(): the subscripts '{part}' name {len(letters)} dimensions, but the operand has {rank}"
        )
    return [*before, *(f".{number}" for number in range(covered, 0, -1)), *after]


def _under_ellipsis(labels: list[Labels]) -> Labels:
    numbers = [int(label[1:]) for own in labels for label in own if label[0] == "."]
    return [f".{number}" for number in range(max(numbers, default=0), 0, -1)]


def _result_labels(right: str, labels: list[Labels]) -> Labels:
    before, dots, after = right.partition("...")
    return [*before, *(_under_ellipsis(labels) if dots else []), *after]


def _implicit_labels(labels: list[Labels]) -> Labels:
    letters = [label for own in labels for label in own if label[0] != "."]
    return [
        *_under_ellipsis(labels),
        *sorted(letter for letter in set(letters) if letters.count(letter) == 1),
    ]


def _check(labels: list[Labels], nodes: list[Node], result: Labels, equation: str) -> None:
    known = {label for own in labels for label in own}
    for label in result:
        if result.count(label) > 1:
            raise RuntimeError(f"einsum(): the output of {equation!r} has the subscript {label} more than once")
        if label not in known:
            raise RuntimeError(f"einsum(): output subscript {label} of {equation!r} does not appear in any operand")


def _extents(labels: list[Labels], nodes: list[Node]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for own, node in zip(labels, nodes, strict=True):
        for label, extent in zip(own, node.shape, strict=True):
            known = extents.get(label, 1)
            if 1 not in (known, extent) and known != extent:
                raise RuntimeError(
                    f"einsum(): subscript {label.lstrip('.')} has extent {extent} in an operand of shape "
                    f"{list(node.shape)} which does not broadcast with previously seen extent {known}"
                )
            extents[label] = extent if known == 1 else known
    return extents


def _prepared(x: Node, labels: Labels, extents: dict[str, int]) -> tuple[Node, Labels]:
    """Repeated letters replaced by diagonals, and dimensions that broadcast left out."""
    own = list(labels)
    for label in dict.fromkeys(labels):
        while own.count(label) > 1:
            first = own.index(label)
            second = own.index(label, first + 1)
            x = diagonal(x, first, second)
            own = [other for axis, other in enumerate(own) if axis not in (first, second)] + [label]
    kept = [axis for axis, label in enumerate(own) if x.shape[axis] == extents[label] and x.shape[axis] != 1]
    x = ops.reshape(x, tuple(x.shape[axis] for axis in kept))
    return x, [own[axis] for axis in kept]


def _contract(a: Node, a_labels: Labels, b: Node, b_labels: Labels, out: Labels) -> Node:
    number = {label: position for position, label in enumerate(dict.fromkeys([*a_labels, *b_labels]))}

    def numbered(labels: Labels) -> tuple[int, ...]:
        return tuple(number[label] for label in labels)

    return ops.contract(a, numbered(a_labels), b, numbered(b_labels), numbered(out))
