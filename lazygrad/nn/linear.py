"""Linear and Identity: the layer that multiplies by a matrix, and the one that does nothing."""

from __future__ import annotations

from typing import Any

import lazygrad
from lazygrad.nn import functional as F
from lazygrad.nn import init
from lazygrad.nn.common_types import DeviceLike, DTypeLike
from lazygrad.nn.module import Module
from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor


class Identity(Module):
    """Return the input. Accepts and ignores any arguments, so that it can stand in for any layer.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.Identity(54, unused=True)(lg.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Return `input`."""
        return input


class Linear(Module):
    """y = x W^T + b, over the last dimension: (*, in_features) -> (*, out_features).

    Attributes:
        weight: (out_features, in_features), uniform in +-1/sqrt(in_features) at first.
        bias: (out_features,), the same distribution; None with `bias=False`.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.Linear(20, 30)(lg.ones(128, 20)).shape)
        (128, 30)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(lazygrad.empty(out_features, in_features, device=device, dtype=dtype))
        shift = Parameter(lazygrad.empty(out_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", shift)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.fan_in_uniform_(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map (*, in_features) to (*, out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Show the sizes and whether there is a bias."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
