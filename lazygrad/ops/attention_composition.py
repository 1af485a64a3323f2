"""Attention and its gradients written in simpler operations: what ``attention`` declares its composites to mean.

Everything takes the attributes first, then nodes of the shapes given in ``attention``, last the bias if there is one.
Sums run over the same weights everywhere, so that values and gradients of one graph share them: scores, weights and
their cotangents are computed once each, however many composites they define.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.ir.dtype import accumulator
from lazygrad.ir.node import Node
from lazygrad.ops.arithmetic import add, div, mul, sub
from lazygrad.ops.comparison import eq, le, where
from lazygrad.ops.contract import contract
from lazygrad.ops.identity import cast, detach
from lazygrad.ops.reduce import max_, sum_
from lazygrad.ops.reshaping import expand, reshape
from lazygrad.ops.source import arange
from lazygrad.ops.transcendental import exp, log
from lazygrad.settings import Precision

HIDDEN = float("-inf")  # the score of a key that a row does not see


class AttentionAttributes(NamedTuple):
    """``precision`` is that of the products, as of ``contract``."""

    scale: float
    causal: bool
    precision: Precision = "highest"


def attention(a: AttentionAttributes, query: Node, key: Node, value: Node, *bias: Node) -> Node:
    """[*batch, M, D]"""
    return weighted(a, weights(a, query, key, *bias), value)


def logsumexp(a: AttentionAttributes, query: Node, key: Node, *bias: Node) -> Node:
    """[*batch, M]"""
    rows = _rows(scores(a, query, key, *bias), bool(bias))
    return add(rows.largest, log(rows.total))


def query_gradient(
    a: AttentionAttributes, query: Node, key: Node, value: Node, cotangent: Node, sums: Node, delta: Node, *bias: Node
) -> Node:
    """[*batch, M, E]. This and the others know the weights, so they have no use for ``sums`` and ``delta``."""
    of_scores = mul(score_gradient(a, query, key, value, cotangent, *bias), a.scale)
    return cast(_product(a, of_scores, "mn", key, "ne", "me"), query.dtype)


def key_gradient(
    a: AttentionAttributes, query: Node, key: Node, value: Node, cotangent: Node, sums: Node, delta: Node, *bias: Node
) -> Node:
    """[*batch, N, E]"""
    of_scores = mul(score_gradient(a, query, key, value, cotangent, *bias), a.scale)
    return cast(_product(a, of_scores, "mn", query, "me", "ne"), key.dtype)


def value_gradient(
    a: AttentionAttributes, query: Node, key: Node, value: Node, cotangent: Node, sums: Node, delta: Node, *bias: Node
) -> Node:
    """[*batch, N, D]"""
    return cast(_product(a, weights(a, query, key, *bias), "mn", cotangent, "md", "nd"), value.dtype)


def score_gradient(a: AttentionAttributes, query: Node, key: Node, value: Node, cotangent: Node, *bias: Node) -> Node:
    """[*batch, M, N], by the scores after scaling: weights * (g - delta) with g = cotangent @ value.T.

    Delta is sum(weights * g), which is sum(cotangent * output) where somebody has the output.
    """
    each = weights(a, query, key, *bias)
    of_weights = _product(a, cotangent, "md", value, "nd", "mn")
    delta = sum_(mul(each, of_weights), (each.rank - 1,))
    return mul(each, sub(of_weights, _spread(delta, each)))


def weights(a: AttentionAttributes, query: Node, key: Node, *bias: Node) -> Node:
    """[*batch, M, N], in the scores' dtype."""
    rows = _rows(scores(a, query, key, *bias), bool(bias))
    return div(rows.exponentials, _spread(rows.total, rows.exponentials))


def weighted(a: AttentionAttributes, each: Node, value: Node) -> Node:
    """Weights [*batch, M, N] of values [*batch, N, D], in the values' dtype."""
    return cast(_product(a, each, "mn", value, "nd", "md"), value.dtype)


def _product(a: AttentionAttributes, x: Node, x_axes: str, y: Node, y_axes: str, out_axes: str) -> Node:
    """A product of matrices whose axes are named by letters, behind equal batch axes; in the scores' dtype.

    Scores that nobody sees are hidden, so that weights are zero there, and so are both's gradients.
    """
    batch = tuple(range(x.rank - 2))

    def labels(axes: str) -> tuple[int, ...]:
        return (*batch, *(len(batch) + "mned".index(axis) for axis in axes))

    wide = accumulator(x.dtype)
    row, column = labels("mn")[len(batch) :]
    return contract(
        cast(x, wide),
        labels(x_axes),
        cast(y, wide),
        labels(y_axes),
        labels(out_axes),
        a.precision,
        (row, column) if a.causal else None,
    )


def scores(a: AttentionAttributes, query: Node, key: Node, *bias: Node) -> Node:
    """[*batch, M, N], float32 for half-width floats."""
    result = mul(_product(a, query, "me", key, "ne", "mn"), a.scale)
    for each in bias:
        result = add(result, expand(cast(each, result.dtype), result.shape))
    if a.causal:
        rows, columns = result.shape[-2:]
        square = (*(1 for _ in result.shape[:-2]), rows, columns)
        row = expand(reshape(arange(rows, query.device), (*square[:-1], 1)), square)
        column = expand(reshape(arange(columns, query.device), (*square[:-2], 1, columns)), square)
        result = where(expand(le(column, row), result.shape), result, HIDDEN)
    return result


class _Rows(NamedTuple):
    """Of each row of scores: the largest, the exponentials of how much greater each is than that, and their sum."""

    largest: Node
    exponentials: Node
    total: Node


def _rows(of: Node, may_be_empty: bool) -> _Rows:
    """An empty row, in which a bias hides every key, has exponentials of 0 and 1 for their sum: no nan comes of it."""
    last = (of.rank - 1,)
    largest = detach(max_(of, last))  # it cancels, so nothing has to be differentiated by it
    if not may_be_empty:
        exponentials = exp(sub(of, _spread(largest, of)))
        return _Rows(largest, exponentials, sum_(exponentials, last))
    empty = eq(largest, HIDDEN)
    exponentials = exp(sub(of, _spread(where(empty, 0.0, largest), of)))
    return _Rows(largest, exponentials, where(empty, 1.0, sum_(exponentials, last)))


def _spread(row: Node, like: Node) -> Node:
    """One number for each row, repeated along it."""
    return expand(reshape(row, (*row.shape, 1)), like.shape)
