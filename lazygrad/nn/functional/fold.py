"""Rearranging images: patches as columns, and channels traded for resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.nn.functional.convolution import Sizes, per_axis
from lazygrad.ops.movement import Padding, Window
from lazygrad.tensor.handle import wrap

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """All windows of images (N, C, H, W) as columns (N, C * window's size, number of windows).

    >>> import lazygrad as lg
    >>> unfold(lg.ones(1, 2, 4, 4), 2, stride=2).shape
    lazygrad.Size([1, 8, 4])
    """
    x = input._enter()
    if x.rank != 4:
        raise RuntimeError(f"unfold: expected images (N, C, H, W), got {list(x.shape)}")
    kernel, gaps = per_axis(kernel_size, 2, "unfold"), per_axis(dilation, 2, "unfold")
    margins, steps = per_axis(padding, 2, "unfold"), per_axis(stride, 2, "unfold")
    x = ops.pad(x, (Padding(0, 0), Padding(0, 0), *(Padding(m, m) for m in margins)))
    x = ops.windows(x, tuple(Window(2 + a, kernel[a], steps[a], gaps[a]) for a in range(2)))
    images, channels, rows, columns = x.shape[:4]
    shape = (images, channels * kernel[0] * kernel[1], rows * columns)
    return wrap(ops.reshape(ops.permute(x, (0, 1, 4, 5, 2, 3)), shape), input, name="Im2Col")


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Channels traded for resolution: (*, C r r, H, W) becomes (*, C, H r, W r).

    >>> import lazygrad as lg
    >>> pixel_shuffle(lg.arange(4).reshape(1, 4, 1, 1), 2)
    tensor([[[[0, 1],
              [2, 3]]]])
    """
    *batch, channels, height, width = input.shape
    r = upscale_factor
    if channels % (r * r):
        raise RuntimeError(f"pixel_shuffle: {channels} channels are not divisible by the square of upscale_factor {r}")
    split = input.reshape(-1, channels // (r * r), r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return split.reshape(*batch, channels // (r * r), height * r, width * r)
