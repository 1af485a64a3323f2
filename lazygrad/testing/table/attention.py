"""Attention: the face, the composites that it is made of, and their gradients; hidden keys, and rows without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

from lazygrad import ops
from lazygrad.ir.dtype import accumulator, bfloat16, bool_, float16, float32
from lazygrad.ir.node import Node
from lazygrad.testing.row import DOUBLE, FLOATS, SUMMED, Case, Input, Row, Tolerance, case, data, mask, tensor
from lazygrad.testing.table.movement import primitive

_INF = numpy.inf
# Two roundings between scores and result, on top of the sums'.
_TOLERANCE = Tolerance(32, 32, tiny=True)

# Keys that are hidden from row 1 altogether, and from row 0 in part.
_HIDING = data([[True, False, True, True, False], [False] * 5, [True] * 5], bool_)
_HIDING_FLOATS = data([[0.5, -_INF, 1, 0, -_INF], [-_INF] * 5, [0.0, 1, -1, 2, -2]], float32)


class _Shape(NamedTuple):
    """Extents by the letters of ``lazygrad.ops.attention``."""

    batch: tuple[int, ...]
    m: int
    n: int
    e: int
    d: int
    causal: bool = False

    def operands(self) -> tuple[Input, ...]:
        extents = ((self.m, self.e), (self.n, self.e), (self.n, self.d))
        return tuple(tensor(*self.batch, *matrix) for matrix in extents)

    def cotangent(self) -> Input:
        return tensor(*self.batch, self.m, self.d)


# Batches of every rank, M != N, E != D, one of each, and more than one block of a kernel.
_SHAPES = (
    _Shape((), 3, 5, 4, 2), _Shape((2,), 4, 4, 8, 8, True), _Shape((2, 3), 5, 7, 8, 4, True),
    _Shape((2, 1, 2), 3, 2, 5, 6, True), _Shape((), 1, 1, 1, 1), _Shape((2,), 37, 70, 16, 16),
    _Shape((2,), 70, 37, 16, 16, True),
)  # fmt: skip
_FEW_SHAPES = (_SHAPES[0], _SHAPES[2], _SHAPES[5])
_SMALL = _Shape((2, 2), 3, 5, 4, 2).operands()


def _face(m: Any, q: Any, k: Any, v: Any, mask: Any = None, **options: Any) -> Any:
    return m.nn.functional.scaled_dot_product_attention(q, k, v, mask, **options)


_FACE_CASES = (
    *(case(*shape.operands(), is_causal=shape.causal) for shape in _SHAPES),
    case(*_SMALL, mask(3, 5), scale=0.3), case(*_SMALL, mask(2, 1, 3, 5)), case(*_SMALL, mask(2, 2, 1, 5)),
    case(*_SMALL, _HIDING), case(*_SMALL, data([[True, False, True, False, False]], bool_)),
    case(tensor(2, 4, 3, 5), tensor(2, 2, 6, 5), tensor(2, 2, 6, 3), enable_gqa=True),
    case(tensor(2, 4, 3, 5), tensor(2, 1, 6, 5), tensor(2, 2, 6, 3), mask(4, 3, 6), enable_gqa=True),
    case(tensor(2, 3, 4, 5), tensor(3, 6, 5), tensor(1, 6, 2)),
)  # fmt: skip

_BIASES = (tensor(2, 2, 3, 5), tensor(1, 1, 3, 5), tensor(2, 1, 1, 5))
_CASES = (
    *(case(*shape.operands(), causal=shape.causal) for shape in _FEW_SHAPES),
    *(case(*_SMALL, bias, causal=bias is _BIASES[0]) for bias in _BIASES),
)
_GRADIENT_CASES = (
    *(case(*shape.operands(), shape.cotangent(), causal=shape.causal) for shape in _FEW_SHAPES),
    *(case(*_SMALL, tensor(2, 2, 3, 2), bias, causal=bias is _BIASES[0]) for bias in _BIASES),
)


def _attention(q: Node, k: Node, v: Node, *bias: Node, causal: bool) -> Node:
    return ops.attention(q, k, v, *bias, scale=0.6, causal=causal)


def _logsumexp(q: Node, k: Node, v: Node, *bias: Node, causal: bool) -> Node:
    return ops.attention_logsumexp(q, k, *bias, scale=0.6, causal=causal)


def _gradient(build: Callable[..., Node]) -> Callable[..., Any]:
    """A gradient as a function of everything but its sums, which are functions of the rest."""

    def function(q: Node, k: Node, v: Node, g: Node, *bias: Node, causal: bool) -> Node:
        wide = accumulator(q.dtype)
        value = ops.attention(q, k, v, *bias, scale=0.6, causal=causal)
        delta = ops.sum_(ops.mul(ops.cast(g, wide), ops.cast(value, wide)), (g.rank - 1,))
        sums = ops.attention_logsumexp(q, k, *bias, scale=0.6, causal=causal)
        return build(q, k, v, g, sums, delta, *bias, scale=0.6, causal=causal)

    return primitive(function)


def _composite(name: str, function: Callable[..., Any], cases: tuple[Case, ...]) -> Row:
    return Row(name=name, function=function, cases=cases, tolerance=_TOLERANCE, dtypes=FLOATS, torch=False)


ROWS: tuple[Row, ...] = (
    Row(
        name="attention written out", dtypes=DOUBLE, tolerance=SUMMED,
        function=lambda m, q, k, v: m.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1) @ v,
        cases=(case(tensor(2, 3, 5, 8), tensor(2, 3, 7, 8), tensor(2, 3, 7, 4)),
            case(tensor(9, 4), tensor(9, 4), tensor(9, 4))),
    ),
    Row(
        name="scaled_dot_product_attention", dtypes=DOUBLE, tolerance=_TOLERANCE, function=_face, cases=_FACE_CASES,
        edge_cases=lambda dtype: (case(*_SMALL, _HIDING_FLOATS),),
    ),
    Row(
        name="scaled_dot_product_attention with a float mask", dtypes=DOUBLE, tolerance=_TOLERANCE, function=_face,
        cases=tuple(case(*_SMALL, bias) for bias in _BIASES),
    ),
    Row(
        name="scaled_dot_product_attention of half-width floats", dtypes=(float16, bfloat16), tolerance=_TOLERANCE,
        cases=(case(*_Shape((2,), 17, 33, 16, 8).operands()), case(*_SMALL, _HIDING), case(*_SMALL, tensor(3, 5))),
        function=_face, gradients=False,
    ),
    _composite("attention", primitive(_attention), _CASES),
    _composite("attention_logsumexp", primitive(_logsumexp), _CASES),
    _composite("attention_query_gradient", _gradient(ops.attention_query_gradient), _GRADIENT_CASES),
    _composite("attention_key_gradient", _gradient(ops.attention_key_gradient), _GRADIENT_CASES),
    _composite("attention_value_gradient", _gradient(ops.attention_value_gradient), _GRADIENT_CASES),
)  # fmt: skip
