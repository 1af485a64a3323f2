"""Affine: the learned scale and shift that normalization layers end in."""

from __future__ import annotations

import lazygrad
from lazygrad.nn import init
from lazygrad.nn.common_types import DeviceLike, DTypeLike
from lazygrad.nn.module import Module
from lazygrad.nn.parameter import Parameter


class Affine(Module):
    """A module with a `weight` of ones and a `bias` of zeros at first, either of which may be absent (None)."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_affine(
        self, shape: tuple[int, ...], has_weight: bool, has_bias: bool, device: DeviceLike, dtype: DTypeLike
    ) -> None:
        """Make both parameters, of `shape`; for a subclass's constructor. Without a weight there is no bias."""
        scale = Parameter(lazygrad.ones(shape, device=device, dtype=dtype)) if has_weight else None
        shift = Parameter(lazygrad.zeros(shape, device=device, dtype=dtype)) if has_weight and has_bias else None
        self.register_parameter("weight", scale)
        self.register_parameter("bias", shift)

    def reset_parameters(self) -> None:
        """Make the affine map the identity."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)
