"""Pooling layers: summarise windows of images, (N, C, H, W) -> (N, C, H', W')."""

from __future__ import annotations

from lazygrad.nn import functional as F
from lazygrad.nn.common_types import Size2
from lazygrad.nn.module import Module
from lazygrad.tensor import Tensor


class MaxPool2d(Module):
    """The largest value of each window.

    Args:
        kernel_size: the window's height and width.
        stride: step between windows; default: `kernel_size`, so that windows touch.
        padding: border added on both sides, which is never the maximum; at most half the window.
        dilation: step between the points of a window.
        return_indices: only False.
        ceil_mode: whether the last window may reach over the border.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.MaxPool2d(2)(lg.ones(1, 3, 8, 8)).shape)
        (1, 3, 4, 4)
    """

    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Size2,
        stride: Size2 | None = None,
        padding: Size2 = 0,
        dilation: Size2 = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        if return_indices:
            raise ValueError("MaxPool2d: return_indices=True is not supported")
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """Pool (N, C, H, W) or (C, H, W)."""
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
        )


class AvgPool2d(Module):
    """The mean of each window.

    Args:
        kernel_size: the window's height and width.
        stride: step between windows; default: `kernel_size`.
        padding: zeros added on both sides.
        ceil_mode: whether the last window may reach over the border.
        count_include_pad: whether the padding's zeros count in the mean.
        divisor_override: divide the sum by this number instead.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.AvgPool2d(2)(lg.ones(1, 3, 8, 8)).shape)
        (1, 3, 4, 4)
    """

    _shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Size2,
        stride: Size2 | None = None,
        padding: Size2 = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Pool (N, C, H, W) or (C, H, W)."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AdaptiveAvgPool2d(Module):
    """The mean of as many windows as asked for, spread evenly over the image.

    Args:
        output_size: H' and W'; None keeps the input's.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.AdaptiveAvgPool2d((1, 1))(lg.ones(2, 3, 7, 7)).shape)
        (2, 3, 1, 1)
    """

    _shown = ("output_size",)

    def __init__(self, output_size: int | tuple[int | None, int | None] | None) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Pool (N, C, H, W) or (C, H, W)."""
        return F.adaptive_avg_pool2d(input, self.output_size)
