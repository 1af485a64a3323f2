"""Attention: weighted means of values, the weights a softmax of the products of queries and keys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import bool_
from lazygrad.nn.functional.dropout import dropout
from lazygrad.tensor.creation import diagonal_mask
from lazygrad.tensor.handle import wrap

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


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

    Args:
        query: (*, L, E).
        key: (*, S, E).
        value: (*, S, V).
        attn_mask: broadcasts to (*, L, S): bool, True where a query may look, or floats that are added.
        dropout_p: the probability with which weights are dropped; 0 for none (there is no training switch
            here).
        is_causal: whether query i may look at keys 0 to i only; not together with ``attn_mask``.
        scale: 1 / sqrt(E) unless given.
        enable_gqa: whether there are fewer heads (third dimension from the end) of keys and values than of
            queries.

    Returns:
        (*, L, V).
    """
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention: explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query @ key.transpose(-2, -1)) * factor
    if is_causal:
        rows, columns = scores.shape[-2:]
        attn_mask = wrap(diagonal_mask(rows, columns, 0, scores._cell.node.device, lambda r, c: ops.le(c, r)))
    if attn_mask is not None:
        if attn_mask.dtype is bool_:
            scores = scores.masked_fill(attn_mask.logical_not(), -math.inf)
        else:
            scores = scores + attn_mask
    weights = scores.softmax(-1)
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return weights @ value
