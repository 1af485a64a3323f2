"""Contractions: matrix products of all ranks, odd sizes, layouts, einsum, batched and broadcast."""

from __future__ import annotations

from typing import Any

from lazygrad import ops
from lazygrad.ir.dtype import float32, float64
from lazygrad.testing.row import FLOATS, NUMBERS, SUMMED, Row, case, tensor
from lazygrad.testing.table.movement import primitive

_MATRICES = (
    ((5,), (5,)), ((3, 5), (5,)), ((5,), (5, 4)), ((3, 5), (5, 4)), ((1, 1), (1, 1)), ((7, 9), (9, 17)),
    ((33, 17), (17, 33)), ((2, 3, 5), (5, 4)), ((2, 3, 5), (2, 5, 4)), ((4, 1, 3, 5), (2, 5, 4)), ((3, 5), (2, 5, 4)),
    ((0, 5), (5, 4)), ((3, 0), (0, 4)), ((2, 3, 5), (5,)), ((129, 64), (64, 70)),
)  # fmt: skip


def _turned(m: Any, x: Any) -> Any:
    return x.transpose(-1, -2)


ROWS: tuple[Row, ...] = (
    Row(
        name="matmul of all shapes", function=lambda m, x, y: m.matmul(x, y), dtypes=(float32,), tolerance=SUMMED,
        cases=(
            *(case(tensor(*a), tensor(*b)) for a, b in _MATRICES),
            case(tensor(5, 3, look=_turned), tensor(5, 4)), case(tensor(3, 5), tensor(4, 5, look=_turned)),
            case(tensor(2, 5, 3, look=_turned), tensor(2, 4, 5, look=_turned)),
            case(tensor(6, 10, look=lambda m, x: x[:, ::2]), tensor(10, 4, look=lambda m, x: x[5:].flip(0))),
        ),
    ),
    Row(name="matmul", function=lambda m, x, y: m.matmul(x, y), dtypes=NUMBERS, tolerance=SUMMED,
        cases=(case(tensor(7, 9), tensor(9, 17)), case(tensor(2, 3, 5), tensor(5, 4)),
            case(tensor(6, 5), tensor(5)))),
    Row(name="linear", function=lambda m, x, w, b: m.nn.functional.linear(x, w, b), dtypes=FLOATS, tolerance=SUMMED,
        cases=(case(tensor(7, 5), tensor(9, 5), tensor(9)), case(tensor(2, 3, 5), tensor(4, 5), tensor(4)))),
    Row(
        name="einsum", function=lambda m, x, y, equation: m.einsum(equation, x, y), dtypes=(float32, float64),
        tolerance=SUMMED,
        cases=(
            case(tensor(3, 4), tensor(4, 5), equation="ij,jk->ki"),
            case(tensor(3, 4), tensor(3, 4), equation="ij,ij->"),
            case(tensor(3), tensor(4), equation="i,j->ij"),
            case(tensor(2, 3, 4), tensor(2, 4, 5), equation="bij,bjk->bik"),
            case(tensor(2, 3, 4), tensor(2, 3, 5), equation="bhi,bhj->hij"),
            case(tensor(2, 3, 4), tensor(4), equation="bij,j->b"),
        ),
    ),
    Row(
        name="contract", torch=False, dtypes=NUMBERS, tolerance=SUMMED,
        function=primitive(lambda x, y, a, b, out: ops.contract(x, a, y, b, out)),
        cases=(
            case(tensor(3, 4), tensor(5, 4), a=(0, 1), b=(2, 1), out=(2, 0)),
            case(tensor(2, 3, 4), tensor(3, 4, 6), a=(0, 1, 2), b=(1, 2, 3), out=(3, 0)),
            case(tensor(2, 3), tensor(3, 2), a=(0, 1), b=(1, 0), out=()),
            case(tensor(2, 7), tensor(2, 9), a=(0, 1), b=(0, 2), out=(1, 2, 0)),
        ),
    ),
    Row(name="products with a fused front and end", dtypes=(float32, float64), tolerance=SUMMED,
        function=lambda m, x, w, b: m.relu((x * 2 - 1) @ w.T + b) * m.sigmoid(b),
        cases=(case(tensor(9, 17), tensor(7, 17), tensor(7)), case(tensor(33, 64), tensor(65, 64), tensor(65))),
        second_order=False),
    Row(name="chained products", function=lambda m, x, y, z: (x @ y) @ z, dtypes=(float32, float64), tolerance=SUMMED,
        cases=(case(tensor(5, 7), tensor(7, 3), tensor(3, 9)),)),
)  # fmt: skip
