"""Attention: weighted means of values, the weights a softmax of the products of queries and keys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import DType, accumulator, bool_, float32
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape
from lazygrad.nn.functional.dropout import dropout
from lazygrad.ops.attention_composition import AttentionAttributes, scores, weighted, weights
from lazygrad.ops.contract import bound_precision
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.operands import cast, common_shape, spread

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor

_NAME = "scaled_dot_product_attention"


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(query @ key.T * scale + mask) @ value``.

    Where the mask hides every key, the result is zero.

    Args:
        query: (*, L, E), float. Scores and weights of half-width floats are computed in float32.
        key: (*, S, E), of the same dtype. Leading dimensions broadcast.
        value: (*, S, V), of the same dtype.
        attn_mask: broadcasts to (*, L, S): bool, True where a query may look, or floats that are added.
        dropout_p: the probability with which weights are dropped; 0 for none (there is no training switch here).
        is_causal: whether query i may look at keys 0 to i only; not together with ``attn_mask``.
        scale: 1 / sqrt(E) unless given.
        enable_gqa: whether there are fewer heads (third dimension from the end) of keys and values than of
            queries, each for several query heads in a row.

    Returns:
        (*, L, V).

    Raises:
        RuntimeError: shapes or dtypes do not fit together, or there are two masks.

    >>> import lazygrad as lg
    >>> values = lg.tensor([[1.0], [3.0]])
    >>> scaled_dot_product_attention(lg.zeros(2, 4), lg.zeros(2, 4), values, is_causal=True)
    tensor([[1.],
            [2.]])
    """
    if is_causal and attn_mask is not None:
        raise RuntimeError(f"{_NAME}: explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        key, value = _with_equal_heads(query, key, value)
    q, k, v = query._enter(), key._enter(), value._enter()
    _check(q, k, v)
    leading = [(*i.shape[:-3], 1) if enable_gqa else i.shape[:-2] for i in (k, v)]
    batch = common_shape(_NAME, q.shape[:-2], *leading)
    rows, columns = q.shape[-2], k.shape[-2]
    bias = [] if attn_mask is None else [_bias(attn_mask._enter(), q.dtype, (*batch, rows, columns))]
    result_shape = (*batch, rows, v.shape[-1])
    if enable_gqa:
        groups = k.shape[-3]
        batch = (*batch[:-1], groups, batch[-1] // groups)
        q, k, v, *bias = (_split_heads(i, groups) for i in (q, k, v, *bias))
    q, k, v = (spread(i, (*batch, *i.shape[-2:])) for i in (q, k, v))
    factor = float(scale) if scale is not None else 1 / math.sqrt(max(q.shape[-1], 1))
    attributes = AttentionAttributes(factor, is_causal, bound_precision(q.dtype))
    operands = (query, key, value, attn_mask)
    if not columns:
        result = weighted(attributes, scores(attributes, q, k, *bias), v)  # sums of nothing
    elif dropout_p:
        dropped = dropout(wrap(weights(attributes, q, k, *bias), *operands), dropout_p)
        result = weighted(attributes, dropped._enter(), v)
    else:
        result = ops.attention(q, k, v, *bias, scale=factor, causal=is_causal)
    return wrap(ops.reshape(result, result_shape), *operands, name="ScaledDotProductAttention")


def _check(query: Node, key: Node, value: Node) -> None:
    if min(query.rank, key.rank, value.rank) < 2:
        raise RuntimeError(
            f"{_NAME}: query, key and value must have at least 2 dimensions, got "
            f"{list(query.shape)}, {list(key.shape)} and {list(value.shape)}"
        )
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"{_NAME}: query (*, L, E), key (*, S, E) and value (*, S, V) do not fit together, got "
            f"{list(query.shape)}, {list(key.shape)} and {list(value.shape)}"
        )
    if not query.dtype.is_float or key.dtype is not query.dtype or value.dtype is not query.dtype:
        raise RuntimeError(
            f"{_NAME}: expected query, key and value to have the same float dtype, but got {query.dtype.name}, "
            f"{key.dtype.name} and {value.dtype.name}"
        )


def _bias(mask: Node, dtype: DType, shape: Shape) -> Node:
    """What is added to scores of a shape: of their rank, with extents of 1 where it is the same for all."""
    if common_shape(_NAME, mask.shape, shape) != shape:
        raise RuntimeError(f"{_NAME}: attn_mask {list(mask.shape)} does not broadcast to scores {list(shape)}")
    if mask.dtype is bool_:
        nothing = ops.constant(0, mask.shape, dtype, mask.device)
        mask = ops.where(mask, nothing, -math.inf)
    elif mask.dtype not in (dtype, float32):
        raise RuntimeError(
            f"{_NAME}: expected attn_mask dtype to be bool or float32 or to match the query's, but got "
            f"{mask.dtype.name} beside {dtype.name}"
        )
    if accumulator(dtype) is not mask.dtype:
        mask = cast(mask, dtype)
    return ops.reshape(mask, (*(1 for _ in range(len(shape) - mask.rank)), *mask.shape))


def _with_equal_heads(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Key and value for grouped heads; where they differ in heads, repeated until they have the query's."""
    ranks = [x.dim() for x in (query, key, value)]
    if min(ranks) < 3:
        raise RuntimeError(f"{_NAME}: enable_gqa needs a dimension of heads before the last two, got ranks {ranks}")
    heads, of_key, of_value = (x.shape[-3] for x in (query, key, value))
    if not of_key or not of_value or heads % of_key or heads % of_value:
        raise RuntimeError(
            f"{_NAME}: the number of heads of key and value must divide that of query, got {heads} heads of query, "
            f"{of_key} of key and {of_value} of value"
        )
    if of_key == of_value:
        return key, value
    return key.repeat_interleave(heads // of_key, -3), value.repeat_interleave(heads // of_value, -3)


def _split_heads(x: Node, groups: int) -> Node:
    """Heads [*, H, a, b] as [*, groups, H / groups, a, b]: a key's head stands before the query's that share it."""
    *outer, heads, rows, columns = x.shape
    first = min(groups, heads)  # one for all stays one
    return ops.reshape(x, (*outer, first, heads // first, rows, columns))
