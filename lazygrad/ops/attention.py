"""Attention: its value, the logarithms of its rows' sums, and its gradients by query, key and value.

    scores = scale * query @ key.T + bias        [*batch, M, N], -inf where ``causal`` hides a key
    weights = softmax(scores)                    0 in a row of which a bias of -inf hides every key
    attention = weights @ value                  [*batch, M, D]
    attention_logsumexp = log(sum(exp(scores)))  [*batch, M]

These are composites: their compositions store scores and weights. A device that computes them itself streams over keys
and stores neither (FlashAttention-2, Dao 2023, https://arxiv.org/abs/2307.08691): its gradients get the weights back as
exp(scores - logsumexp). Scores, weights and sums of half-width floats are float32.

Every function takes query [*batch, M, E], key [*batch, N, E] and value [*batch, N, D] of one float dtype, N > 0; maybe
a bias [*batch, M, N], any of whose extents may be 1, of that dtype or of the scores'; the scale, a number; and whether
``causal``: row m sees keys 0 to m only.
"""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.ir.dtype import DType, accumulator
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import CompositionRule, Family, Op, VjpRule
from lazygrad.ir.shape import Shape
from lazygrad.ops import attention_composition as composed
from lazygrad.ops.arithmetic import mul
from lazygrad.ops.attention_composition import AttentionAttributes
from lazygrad.ops.contract import bound_precision
from lazygrad.ops.elementwise import is_float
from lazygrad.ops.identity import cast
from lazygrad.ops.reduce import sum_
from lazygrad.ops.reshaping import reshape


def _check(name: str, query: Node, key: Node, values: tuple[Node, ...], bias: tuple[Node, ...]) -> None:
    """RuntimeError unless shapes and dtypes fit together."""
    given = (query, key, *values)
    shapes = " and ".join(str(list(i.shape)) for i in given)
    if any(i.rank < 2 or i.shape[:-2] != query.shape[:-2] for i in given):
        raise RuntimeError(f"{name}: query, key and value need equal batch axes before their last two, got {shapes}")
    if key.shape[-1] != query.shape[-1] or any(i.shape[-2] != key.shape[-2] for i in values) or not key.shape[-2]:
        raise RuntimeError(
            f"{name}: query [M, E], key [N, E] and value [N, D] need N > 0 and one N and E, got {shapes}"
        )
    if not query.dtype.is_float or any(i.dtype is not query.dtype for i in given):
        names = " and ".join(i.dtype.name for i in given)
        raise RuntimeError(f"{name}: query, key and value need one float dtype, got {names}")
    scores = (*query.shape[:-1], key.shape[-2])
    for each in bias:
        if each.rank != len(scores) or any(b not in (1, s) for b, s in zip(each.shape, scores, strict=True)):
            raise RuntimeError(f"{name}: a bias {list(each.shape)} does not broadcast to scores {list(scores)}")
        if each.dtype not in (query.dtype, accumulator(query.dtype)):
            raise RuntimeError(f"{name}: a bias of {each.dtype.name} does not go with a query of {query.dtype.name}")


def _composite(
    name: str,
    shape: Callable[..., Shape],
    composition: CompositionRule,
    dtype: Callable[[DType], DType] = lambda dtype: dtype,
    vjp: tuple[VjpRule, ...] = (),
) -> Op:
    return Op(
        name=name, family=Family.COMPOSITE, shape=lambda inputs, a: shape(name, *inputs),
        dtype=lambda inputs, a: dtype(inputs[0].dtype), numpy=lambda of, whole: whole, composition=composition, vjp=vjp,
        dtypes=is_float,
    )  # fmt: skip


def _attention_shape(name: str, query: Node, key: Node, value: Node, *bias: Node) -> Shape:
    _check(name, query, key, (value,), bias)
    return (*query.shape[:-1], value.shape[-1])


def _logsumexp_shape(name: str, query: Node, key: Node, *bias: Node) -> Shape:
    _check(name, query, key, (), bias)
    return query.shape[:-1]


def _gradient_shape(position: int) -> Callable[..., Shape]:
    def rule(
        name: str, query: Node, key: Node, value: Node, cotangent: Node, logsumexp: Node, delta: Node, *bias: Node
    ) -> Shape:
        _check(name, query, key, (value,), bias)
        rows = query.shape[:-1]
        if cotangent.shape != (*rows, value.shape[-1]) or cotangent.dtype is not query.dtype:
            raise RuntimeError(f"{name}: the cotangent {cotangent} is not like the value of attention")
        wide = accumulator(query.dtype)
        if any(i.shape != rows or i.dtype is not wide for i in (logsumexp, delta)):
            raise RuntimeError(f"{name}: logsumexp {logsumexp} and delta {delta} must be {wide.name}{list(rows)}")
        return (query, key, value)[position].shape

    return rule


# ---- gradients: theirs go through their compositions

QUERY_GRADIENT = _composite("attention_query_gradient", _gradient_shape(0), composed.query_gradient)
KEY_GRADIENT = _composite("attention_key_gradient", _gradient_shape(1), composed.key_gradient)
VALUE_GRADIENT = _composite("attention_value_gradient", _gradient_shape(2), composed.value_gradient)


def _gradient(op: Op) -> VjpRule:
    def rule(out: Node, g: Node) -> Node:
        query, key, value, *bias = out.inputs
        wide = accumulator(out.dtype)
        delta = sum_(mul(cast(g, wide), cast(out, wide)), (out.rank - 1,))
        sums = node(LOGSUMEXP, (query, key, *bias), out.attributes)
        return node(op, (query, key, value, g, sums, delta, *bias), out.attributes)

    return rule


def _bias_gradient(out: Node, g: Node) -> Node:
    """A bias as large as the scores has a gradient as large as the scores: nothing is gained by streaming."""
    query, key, value, bias = out.inputs
    whole = composed.score_gradient(out.attributes, query, key, value, g, bias)
    repeated = tuple(axis for axis, extent in enumerate(bias.shape) if extent != whole.shape[axis])
    return cast(reshape(sum_(whole, repeated), bias.shape), bias.dtype)


ATTENTION = _composite(
    "attention", _attention_shape, composed.attention,
    vjp=(_gradient(QUERY_GRADIENT), _gradient(KEY_GRADIENT), _gradient(VALUE_GRADIENT), _bias_gradient),
)  # fmt: skip
LOGSUMEXP = _composite("attention_logsumexp", _logsumexp_shape, composed.logsumexp, accumulator)


# ---- functions


def _attributes(query: Node, scale: float, causal: bool) -> AttentionAttributes:
    return AttentionAttributes(scale, causal, bound_precision(query.dtype))


def _optional(bias: Node | None) -> tuple[Node, ...]:
    return () if bias is None else (bias,)


def attention(
    query: Node, key: Node, value: Node, bias: Node | None = None, *, scale: float, causal: bool = False
) -> Node:
    """``softmax(scale * query @ key.T + bias) @ value``."""
    return node(ATTENTION, (query, key, value, *_optional(bias)), _attributes(query, scale, causal))


def attention_logsumexp(
    query: Node, key: Node, bias: Node | None = None, *, scale: float, causal: bool = False
) -> Node:
    """The logarithm of the sum of each row's exponentials: float32, of float64 inputs float64; -inf of an empty row."""
    return node(LOGSUMEXP, (query, key, *_optional(bias)), _attributes(query, scale, causal))


def attention_query_gradient(
    query: Node, key: Node, value: Node, cotangent: Node, logsumexp: Node, delta: Node, bias: Node | None = None,
    *, scale: float, causal: bool = False,
) -> Node:  # fmt: skip
    """The cotangent of ``query``, given that of the attention.

    ``logsumexp`` must be what :func:`attention_logsumexp` gives for the same inputs, and ``delta`` [*batch, M] the sum
    of ``cotangent * attention`` over the last axis: whoever knows them needs no pass over the keys to find them again.
    """
    inputs = (query, key, value, cotangent, logsumexp, delta, *_optional(bias))
    return node(QUERY_GRADIENT, inputs, _attributes(query, scale, causal))


def attention_key_gradient(
    query: Node, key: Node, value: Node, cotangent: Node, logsumexp: Node, delta: Node, bias: Node | None = None,
    *, scale: float, causal: bool = False,
) -> Node:  # fmt: skip
    """The cotangent of ``key``; see :func:`attention_query_gradient`."""
    inputs = (query, key, value, cotangent, logsumexp, delta, *_optional(bias))
    return node(KEY_GRADIENT, inputs, _attributes(query, scale, causal))


def attention_value_gradient(
    query: Node, key: Node, value: Node, cotangent: Node, logsumexp: Node, delta: Node, bias: Node | None = None,
    *, scale: float, causal: bool = False,
) -> Node:  # fmt: skip
    """The cotangent of ``value``; see :func:`attention_query_gradient`."""
    inputs = (query, key, value, cotangent, logsumexp, delta, *_optional(bias))
    return node(VALUE_GRADIENT, inputs, _attributes(query, scale, causal))
