"""Indexing by data: gather, scatter, integer and boolean indices, assignment, embedding."""

from __future__ import annotations

from typing import Any

from lazygrad import ops
from lazygrad.ir.dtype import int64
from lazygrad.testing.row import EXACT, FLOATS, NUMBERS, SUMMED, Row, case, data, index, mask, tensor
from lazygrad.testing.table.movement import MOVED, primitive
from lazygrad.testing.values import below, permutation


def _assigned(m: Any, x: Any, *rest: Any, how: Any) -> Any:
    """``x`` after an assignment; on a copy, because leaves are not changed."""
    y = x * 1
    how(y, *rest)
    return y


def _assign(key: Any) -> Any:
    def how(y: Any, value: Any) -> None:
        y[key] = value

    return how


def _assign_at(y: Any, key: Any, value: Any) -> None:
    y[key] = value


ROWS: tuple[Row, ...] = (
    Row(
        name="gather", function=lambda m, x, i, dim: m.gather(x, dim, i), dtypes=MOVED, tolerance=EXACT,
        cases=(
            case(tensor(5, 4), index(3, 4, domain=below(5)), dim=0),
            case(tensor(5, 4), index(5, 7, domain=below(4)), dim=1),
            case(tensor(9), index(17, domain=below(9)), dim=0),
            case(tensor(2, 3, 4), index(2, 1, 4, domain=below(3)), dim=1),
            case(tensor(4), index(0, domain=below(4)), dim=0),
        ),
    ),
    Row(name="gather outside", function=primitive(lambda x, i: ops.gather(x, i, 0)), torch=False, dtypes=MOVED,
        tolerance=EXACT, cases=(case(tensor(4), data([0, -1, 3, 4, 2, -9, 99], int64)),)),
    Row(
        name="scatter", function=lambda m, x, i, s, dim: m.scatter(x, dim, i, s), dtypes=MOVED, tolerance=EXACT,
        cases=(
            case(tensor(9), index(9, domain=permutation), tensor(9), dim=0),
            case(tensor(3, 7), index(3, 7, domain=permutation), tensor(3, 7), dim=1),
        ),
    ),
    Row(name="scatter, the last wins", function=primitive(lambda x, i, s: ops.scatter(x, i, s, 0, "set")),
        torch=False,
        dtypes=NUMBERS, tolerance=EXACT, gradients=False,
        cases=(case(tensor(5), data([1, 1, 3, 1, 9, -1], int64), tensor(6)),)),
    Row(
        name="scatter_add", function=lambda m, x, i, s, dim: m.scatter_add(x, dim, i, s), dtypes=NUMBERS,
        tolerance=SUMMED,
        cases=(
            case(tensor(5, 4), index(9, 4, domain=below(5)), tensor(9, 4), dim=0),
            case(tensor(3, 5), index(3, 17, domain=below(5)), tensor(3, 17), dim=1),
            case(tensor(1), index(33, domain=below(1)), tensor(33), dim=0),
            case(tensor(4), index(0, domain=below(4)), tensor(0), dim=0),
        ),
        torch_dtypes=tuple(d for d in NUMBERS),
    ),
    Row(name="index_select", function=lambda m, x, i, dim: m.index_select(x, dim, i), dtypes=MOVED, tolerance=EXACT,
        cases=(case(tensor(5, 4), index(7, domain=below(5)), dim=0),
            case(tensor(5, 4), index(2, domain=below(4)), dim=1))),
    Row(
        name="integer tensors as indices",
        function=lambda m, x, i,
        j: (x[i], x[i, j], x[:, j], x[i, 1:3], x[i.unsqueeze(1), j.unsqueeze(0)], x[None, i]),
        dtypes=MOVED, tolerance=EXACT,
        cases=(case(tensor(5, 4), index(3, domain=below(5)), index(3, domain=below(4))),),
    ),
    Row(name="lists and negative indices", function=lambda m, x: (x[[0, 2, -1]], x[-1], x[[1], :2]), dtypes=MOVED,
        tolerance=EXACT, cases=(case(tensor(5, 4)),)),
    Row(name="boolean mask to read", function=lambda m,
        x: x[m.tensor([True, False, True, True, False], device=x.device)],
        dtypes=MOVED, tolerance=EXACT, cases=(case(tensor(5, 4)),)),
    Row(
        name="assignment", function=_assigned, dtypes=FLOATS, tolerance=EXACT,
        cases=(
            case(tensor(5, 4), tensor(4), how=_assign(2)), case(tensor(5, 4), tensor(2, 4), how=_assign(slice(1, 3))),
            case(tensor(5, 4), tensor(), how=_assign((slice(None), -1))),
            case(tensor(5, 4), tensor(5, 2), how=_assign((slice(None), slice(0, 4, 2)))),
            case(tensor(5, 4), tensor(), how=_assign((Ellipsis, 0))),
            case(tensor(7), tensor(3), how=_assign(slice(0, 6, 2))),
        ),
    ),
    Row(name="assignment by mask", function=_assigned, dtypes=FLOATS, tolerance=EXACT,
        cases=(case(tensor(5, 4), mask(5, 4), tensor(), how=_assign_at),)),
    Row(name="assignment by integers", function=_assigned, dtypes=FLOATS, tolerance=EXACT,
        cases=(case(tensor(9, 4), index(9, domain=permutation), tensor(9, 4), how=_assign_at),)),
    Row(name="masked_fill", function=lambda m, x, c: (x.masked_fill(c, 1.5), x.masked_fill(c, float("-inf"))),
        dtypes=FLOATS, tolerance=EXACT, cases=(case(tensor(5, 4), mask(5, 4)), case(tensor(2, 5, 4), mask(4))),
        gradients=False),
    Row(name="embedding", function=lambda m, i, w: m.nn.functional.embedding(i, w), dtypes=FLOATS, tolerance=EXACT,
        cases=(case(index(7, domain=below(10)), tensor(10, 5)), case(index(2, 3, domain=below(4)), tensor(4, 9)))),
    Row(name="one_hot", function=lambda m, i: m.nn.functional.one_hot(i, 7), dtypes=(int64,), tolerance=EXACT,
        gradients=False, cases=(case(index(5, domain=below(7))), case(index(2, 3, domain=below(7))))),
)  # fmt: skip
