"""Softmax and its logarithm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import DType
from lazygrad.ir.node import Node
from lazygrad.ir.shape import normalize_axis
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.operands import as_float, cast, spread
from lazygrad.tensor.reduction import kept

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def _shifted(input: Tensor, dim: int, dtype: DType | None, name: str) -> tuple[Node, Node, int]:
    """The input less its largest value (detached: it cancels), the sum of exponentials, the axis."""
    x = input._enter()
    x = as_float(x) if dtype is None else cast(x, dtype)
    axis = normalize_axis(dim, x.rank, name)
    if not x.rank:
        zero = ops.sub(x, ops.detach(x))
        return zero, ops.exp(zero), 0
    top = kept(ops.detach(ops.max_(x, (axis,))), x.shape, (axis,), True)
    shifted = ops.sub(x, spread(top, x.shape))
    return shifted, kept(ops.sum_(ops.exp(shifted), (axis,)), x.shape, (axis,), True), axis


def softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` over ``dim``, computed without leaving the dtype's range.

    >>> import lazygrad as lg
    >>> lg.softmax(lg.tensor([0.0, 0.0, 1000.0]), dim=0)
    tensor([0., 0., 1.])
    """
    shifted, total, _ = _shifted(input, dim, dtype, "softmax")
    return wrap(ops.div(ops.exp(shifted), spread(total, shifted.shape)), input, name="Softmax")


def log_softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """The logarithm of ``softmax``, computed without leaving the dtype's range.

    >>> import lazygrad as lg
    >>> lg.log_softmax(lg.tensor([0.0, 0.0, 1000.0]), dim=0)
    tensor([-1000., -1000.,     0.])
    """
    shifted, total, _ = _shifted(input, dim, dtype, "log_softmax")
    return wrap(ops.sub(shifted, spread(ops.log(total), shifted.shape)), input, name="LogSoftmax")
