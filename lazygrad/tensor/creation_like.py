"""New tensors like a given one: of its shape (``zeros_like``), or of its dtype and on its device (``new_zeros``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazygrad.ir.dtype import DType
from lazygrad.tensor.creation import full, full_node, tensor
from lazygrad.tensor.devices import DeviceLike
from lazygrad.tensor.handle import leaf_tensor
from lazygrad.tensor.operands import Number, as_shape, number

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def full_like(
    input: Tensor,
    fill_value: Number,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of the shape, and unless given the dtype and device, of ``input``.

    >>> import lazygrad as lg
    >>> lg.full_like(lg.zeros(2, dtype=lg.int64), 3)
    tensor([3, 3])
    """
    like = input._cell.node
    where = like.device if device is None else device
    return leaf_tensor(full_node(like.shape, number(fill_value), dtype or like.dtype, where), requires_grad)


def zeros_like(
    input: Tensor, *, dtype: DType | None = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros like ``input``."""
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(
    input: Tensor, *, dtype: DType | None = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones like ``input``."""
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad)


empty_like = zeros_like


def new_full(
    self: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ``size`` with one number, of this tensor's dtype and on its device.

    >>> import lazygrad as lg
    >>> lg.tensor([1, 2]).new_full((3,), 7)
    tensor([7, 7, 7])
    """
    like = self._cell.node
    return full(size, fill_value, dtype=dtype or like.dtype, device=device or like.device, requires_grad=requires_grad)


def new_zeros(
    self: Tensor, *size: Any, dtype: DType | None = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of ``size``, of this tensor's dtype and on its device."""
    return new_full(self, as_shape(size), 0, dtype=dtype, device=device, requires_grad=requires_grad)


def new_ones(
    self: Tensor, *size: Any, dtype: DType | None = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones of ``size``, of this tensor's dtype and on its device."""
    return new_full(self, as_shape(size), 1, dtype=dtype, device=device, requires_grad=requires_grad)


def new_tensor(
    self: Tensor, data: Any, *, dtype: DType | None = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A copy of ``data``, of this tensor's dtype and on its device."""
    like = self._cell.node
    return tensor(data, dtype=dtype or like.dtype, device=device or like.device, requires_grad=requires_grad)


new_empty = new_zeros
