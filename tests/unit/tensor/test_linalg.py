"""Products against torch: all ranks, batches that broadcast, einsum."""

import numpy
import pytest

import lazygrad as lg
from unit.tensor.against_torch import agree, numbers

SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((1, 1, 2, 3), (1, 3, 4)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 2)),
]


@pytest.mark.parametrize(("one", "other"), SHAPES)
def test_matmul(one, other):
    agree(lambda lib, x, y: (lib.matmul(x, y), x @ y), numbers(*one, seed=1), numbers(*other, seed=2))


def test_named_products():
    a, b, v, w = numbers(2, 3), numbers(3, 4), numbers(3), numbers(4)
    agree(lambda lib, a, b: lib.mm(a, b), a, b)
    agree(lambda lib, a, v: lib.mv(a, v), a, v)
    agree(lambda lib, v, w: (lib.dot(v, v), lib.outer(v, w), lib.inner(v, v)), v, w)
    agree(lambda lib, a, b: lib.bmm(a, b), numbers(5, 2, 3), numbers(5, 3, 4))
    agree(lambda lib, i, a, b: lib.addmm(i, a, b, beta=2, alpha=0.5), w, a, b)
    agree(lambda lib, i, a, b: lib.baddbmm(i, a, b), numbers(5, 2, 4), numbers(5, 2, 3), numbers(5, 3, 4))
    agree(lambda lib, i, a, v: lib.addmv(i, a, v), numbers(2), a, v)
    agree(lambda lib, a, b: (lib.tensordot(a, b, 1), lib.tensordot(a, b, ([1], [0]))), a, b)
    agree(lambda lib, a, b: lib.tensordot(a, b, ([2, 0], [1, 0])), numbers(2, 5, 3), numbers(2, 3, 4))
    agree(lambda lib, a: a.matmul(a.T), numpy.arange(6).reshape(2, 3))


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->i", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iji->j", (3, 2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("...ij,...jk->...ik", (5, 1, 2, 3), (6, 3, 4)),
    ("i...,i...->...", (2, 3, 4), (2, 3, 4)),
    ("...i->...", (2, 3)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij,kj,j->ik", (2, 3), (4, 3), (3,)),
    ("ij,kl->ik", (2, 3), (4, 5)),
    ("ij,ij->ij", (1, 3), (2, 1)),
    (" i j , j -> i ", (2, 3), (3,)),
    ("i,ij,j->", (2,), (2, 3), (3,)),
    ("nhwc,hwck->nk", (2, 1, 3, 4), (1, 3, 4, 5)),
]


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda case: case[0])
def test_einsum(case):
    equation, *shapes = case
    operands = [numbers(*shape, seed=position) for position, shape in enumerate(shapes)]
    agree(lambda lib, *operands: lib.einsum(equation, *operands), *operands)
    agree(lambda lib, *operands: lib.einsum(equation, list(operands)), *operands)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: lg.ones(2, 3) @ lg.ones(2, 3),
            RuntimeError,
            r"matmul: shapes cannot be multiplied: \[2, 3\] and \[2, 3\]",
        ),
        (lambda: lg.ones(2, 3) @ lg.tensor(1.0), RuntimeError, "at least 1D"),
        (lambda: lg.ones(2, 3) @ lg.ones(3, 2, dtype=lg.float64), RuntimeError, "same dtype.*float32 and float64"),
        (lambda: lg.mm(lg.ones(3), lg.ones(3)), RuntimeError, "mm: expected tensors of 2 and 2 dimensions"),
        (lambda: lg.bmm(lg.ones(2, 3, 4), lg.ones(3, 4, 5)), RuntimeError, "bmm: batches differ"),
        (lambda: lg.ones(2, 2, 3) @ lg.ones(3, 3, 4), RuntimeError, "matmul: shapes .* cannot be broadcast"),
        (lambda: lg.einsum("ij,jk->ik", lg.ones(2, 3)), ValueError, "names 2 operands"),
        (lambda: lg.einsum("ij->k", lg.ones(2, 3)), RuntimeError, "does not appear"),
        (lambda: lg.einsum("ij,jk", lg.ones(2, 3), lg.ones(4, 5)), RuntimeError, "subscript j has extent 4"),
        (lambda: lg.einsum("ijk", lg.ones(2, 3)), ValueError, "name 3 dimensions"),
        (lambda: lg.einsum("i1", lg.ones(2, 3)), ValueError, "only letters"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
