"""Normalisation within one example: over the last dimensions, or over groups of channels."""

from __future__ import annotations

from lazygrad.nn import functional as F
from lazygrad.nn.affine import Affine
from lazygrad.nn.common_types import DeviceLike, DTypeLike
from lazygrad.tensor import Tensor


class LayerNorm(Affine):
    """Standardise over the last dimensions: (*, *normalized_shape) -> the same shape.

    Args:
        normalized_shape: the sizes of the dimensions to standardise over, or the last one's size.
        eps: added to the variance.
        elementwise_affine: whether to multiply by a learned weight of shape `normalized_shape`.
        bias: whether to add a learned bias too.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.LayerNorm(8)(lg.ones(2, 3, 8)).shape)
        (2, 3, 8)
    """

    def __init__(
        self,
        normalized_shape: int | list[int] | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_affine(shape, elementwise_affine, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input`, of shape (*, *normalized_shape)."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the constructor's arguments."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(Affine):
    """Standardise groups of channels within each example: (N, C, *) -> (N, C, *).

    Args:
        num_groups: number of groups, a divisor of `num_channels`.
        num_channels: C.
        eps: added to the variance.
        affine: whether to multiply and shift by a learned weight and bias of shape (C,).
        bias: False leaves out the shift.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.GroupNorm(2, 4)(lg.ones(8, 4, 5, 5)).shape)
        (8, 4, 5, 5)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups != 0:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_affine((num_channels,), affine, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input`, of shape (N, C, *)."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the constructor's arguments."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
