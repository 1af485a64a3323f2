"""Linear maps, and lookups that are linear maps of one-hot vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import bool_, int64
from lazygrad.ir.node import Node
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.index_merge import take
from lazygrad.tensor.operands import cast, spread

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``.

    Args:
        input: (*, in_features).
        weight: (out_features, in_features), or (in_features,).
        bias: (out_features,).

    >>> import lazygrad as lg
    >>> linear(lg.tensor([[1.0, 2.0]]), lg.tensor([[1.0, 1.0], [0.0, 1.0]]), lg.tensor([10.0, 20.0]))
    tensor([[13., 22.]])
    """
    x, w = input._enter(), weight._enter()
    if x.dtype is not w.dtype:
        raise RuntimeError(f"linear: input ({x.dtype.name}) and weight ({w.dtype.name}) must have the same dtype")
    if not x.rank or w.rank not in (1, 2) or x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            f"linear: input {list(x.shape)} and weight {list(w.shape)} cannot be multiplied: the last extent "
            "of both is in_features"
        )
    outer = tuple(range(2, 1 + x.rank))
    columns = (1,) if w.rank == 2 else ()
    result = ops.contract(x, (*outer, 0), w, (*columns, 0), (*outer, *columns))
    if bias is not None:
        added = bias._enter()
        if added.shape not in (w.shape[:-1], ()):
            raise RuntimeError(f"linear: bias must have the shape {list(w.shape[:-1])}, got {list(added.shape)}")
        result = ops.add(result, spread(added, result.shape))
    return wrap(result, input, weight, bias, name="Addmm" if bias is not None and x.rank == 2 else "Mm")


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x1 @ weight[k] @ x2 + bias[k]`` for each k; weight (out, n, m), vectors (*, n) and (*, m).

    >>> import lazygrad as lg
    >>> bilinear(lg.ones(4, 2), lg.ones(4, 3), lg.ones(5, 2, 3)).shape
    lazygrad.Size([4, 5])
    """
    from lazygrad.tensor.einsum import einsum

    result = einsum("...i,kij,...j->...k", input1, weight, input2)
    return result if bias is None else result + bias


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of ``weight`` at the positions ``input``.

    Args:
        input: integers (*).
        weight: (number, dimension).
        padding_idx: a row that gets no gradient.
        max_norm: only None.
        norm_type: of no effect without ``max_norm``.
        scale_grad_by_freq: only False.
        sparse: admitted; gradients are dense.

    Returns:
        (*, dimension).

    >>> import lazygrad as lg
    >>> embedding(lg.tensor([2, 0]), lg.tensor([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]))
    tensor([[2.0000, 2.5000],
            [0.0000, 0.5000]])
    """
    if max_norm is not None or scale_grad_by_freq:
        raise NotImplementedError("embedding: max_norm and scale_grad_by_freq are not supported")
    positions, w = input._enter(), weight._enter()
    if positions.dtype.is_float or positions.dtype is bool_:
        raise RuntimeError(f"embedding: expected integer indices, got {positions.dtype.name}; convert with .long()")
    if w.rank != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D, got {list(w.shape)}")
    positions = cast(positions, int64)
    rows = take(w, {0: positions})
    if padding_idx is not None:
        row = padding_idx + w.shape[0] if padding_idx < 0 else padding_idx
        if not 0 <= row < w.shape[0]:
            raise ValueError(f"embedding: padding_idx {padding_idx} must be within num_embeddings {w.shape[0]}")
        padding = ops.reshape(ops.eq(positions, row), (*positions.shape, 1))
        rows = ops.where(spread(padding, rows.shape), ops.detach(rows), rows)
    return wrap(rows, weight, input, name="Embedding")


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the position that each element gives, else 0: int64 (*, num_classes).

    ``num_classes=-1`` takes the largest element plus 1, which is computed now.

    >>> import lazygrad as lg
    >>> one_hot(lg.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    positions = tensor._enter()
    if positions.dtype is not int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type int64, got {positions.dtype.name}")
    if num_classes == -1:
        if not tensor.numel():
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.max().item()) + 1  # type: ignore[union-attr]
    return wrap(cast(hits(positions, positions.rank, num_classes), int64), tensor)


def hits(positions: Node, axis: int, count: int) -> Node:
    """bool: whether an element equals its index along a new ``axis`` of ``count``."""
    shape = (*positions.shape[:axis], count, *positions.shape[axis:])
    single = (*positions.shape[:axis], 1, *positions.shape[axis:])
    line = tuple(count if a == axis else 1 for a in range(len(shape)))
    index = ops.expand(ops.reshape(ops.arange(count, positions.device), line), shape)
    return ops.eq(ops.expand(ops.reshape(positions, single), shape), index)
