"""How a contraction is written: as a matrix product where it is one, else einsum."""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.mathematics.term import Term
from lazygrad.mathematics.text import ATOM, PRODUCT, Text

Labels = tuple[int, ...]


def contraction_text(term: Term, find: Callable[[Term], Text]) -> Text:
    """The text of a contraction term."""
    a, b = term.children
    a_labels, b_labels, out = term.attributes
    for first, first_labels, second, second_labels in (
        (a, a_labels, b, b_labels),
        (b, b_labels, a, a_labels),
    ):
        turns = _matrix_product(first_labels, second_labels, out)
        if turns is not None:
            left, right = find(first), find(second)
            left_text = left.inside(ATOM) + _turn(turns[0], first) if turns[0] else left.inside(ATOM)
            if not turns[0] and first.name == "contract" and " @ " in left.text:
                left_text = left.text
            right_text = right.inside(ATOM) + (_turn(turns[1], second) if turns[1] else "")
            return Text(f"{left_text} @ {right_text}", PRODUCT)
    letters = "ijklmnopqrstuvwxyzabcdefgh"
    spelled = ["".join(letters[x] for x in labels) for labels in (a_labels, b_labels, out)]
    return Text(f'einsum("{spelled[0]},{spelled[1]}->{spelled[2]}", {find(a).text}, {find(b).text})')


def _turn(turned: bool, operand: Term) -> str:
    return (".T" if len(operand.shape) == 2 else ".mT") if turned else ""


def _matrix_product(a: Labels, b: Labels, out: Labels) -> tuple[bool, bool] | None:
    """Whether each operand is transposed when ``out = a @ b`` by matmul's rules, None when it is not of
    that form.
    """
    summed = [label for label in a if label in b and label not in out]
    if len(summed) != 1:
        return None
    (k,) = summed
    for a_turned in (False, True) if len(a) > 1 else (False,):
        left = (*a[:-2], a[-1], a[-2]) if a_turned else a
        if left[-1] != k:
            continue
        for b_turned in (False, True) if len(b) > 1 else (False,):
            right = (*b[:-2], b[-1], b[-2]) if b_turned else b
            if (right[-2] if len(right) > 1 else right[0]) != k:
                continue
            rows = left[-2:-1] if len(left) > 1 else ()
            columns = right[-1:] if len(right) > 1 else ()
            a_batch, b_batch = left[:-2], right[:-2]
            batch = a_batch if len(a_batch) >= len(b_batch) else b_batch
            shorter = b_batch if batch is a_batch else a_batch
            if shorter and batch[len(batch) - len(shorter) :] != shorter:
                continue
            if out == (*batch, *rows, *columns):
                return a_turned, b_turned
    return None
