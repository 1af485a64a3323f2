"""Conv2d: cross-correlation of images with learned kernels."""

from __future__ import annotations

from typing import Literal

import lazygrad
from lazygrad.nn import functional as F
from lazygrad.nn import init
from lazygrad.nn.common_types import DeviceLike, DTypeLike, Size2
from lazygrad.nn.functional.convolution import per_axis
from lazygrad.nn.module import Module
from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor


class Conv2d(Module):
    """2-D convolution: (N, C_in, H, W) or (C_in, H, W) -> (N, C_out, H', W') or (C_out, H', W').

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: the kernel's height and width.
        stride: step between outputs.
        padding: zeros added on both sides of each direction; "valid" is none, "same" keeps H and W.
        dilation: step between the kernel's points.
        groups: number of groups of channels that see nothing of each other.
        bias: whether to add a learned number to each output channel.
        padding_mode: only "zeros".

    Attributes:
        weight: (C_out, C_in / groups, kernel height, kernel width), uniform in
            +-1/sqrt(C_in / groups * kernel height * kernel width) at first.
        bias: (C_out,), the same distribution, or None.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.Conv2d(3, 8, 3, stride=2, padding=1)(lg.ones(4, 3, 32, 32)).shape)
        (4, 8, 16, 16)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2,
        stride: Size2 = 1,
        padding: Size2 | Literal["same", "valid"] = 0,
        dilation: Size2 = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: DeviceLike = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if padding_mode != "zeros":
            raise ValueError(f"padding_mode must be 'zeros', but got padding_mode='{padding_mode}'")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(kernel_size, 2, "Conv2d")
        self.stride = per_axis(stride, 2, "Conv2d")
        self.padding = padding if isinstance(padding, str) else per_axis(padding, 2, "Conv2d")
        self.dilation = per_axis(dilation, 2, "Conv2d")
        if padding == "same" and self.stride != (1, 1):
            raise ValueError("padding='same' is not supported for strided convolutions")
        self.groups = groups
        self.padding_mode = padding_mode
        self.weight = Parameter(
            lazygrad.empty(out_channels, in_channels // groups, *self.kernel_size, device=device, dtype=dtype)
        )
        shift = Parameter(lazygrad.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", shift)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.fan_in_uniform_(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (N, C_in, H, W) or (C_in, H, W)."""
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """Show the sizes and what differs from the defaults."""
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        if self.padding != (0, 0):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)
