"""Pooling: windows of images summarised by their maximum or mean. Windows are views, nothing is copied.

In: (N, C, H, W) or (C, H, W). Out: the same with other H and W.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, overload

from lazygrad import ops
from lazygrad.ir.node import Node
from lazygrad.nn.functional.convolution import Sizes, per_axis
from lazygrad.nn.functional.window_maximum import Sliding, largest_of_windows
from lazygrad.ops.movement import Padding, Window
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.reduction import chosen_sums

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


def _overhangs(
    extents: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    margins: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> tuple[int, ...]:
    """How far the last window reaches beyond the padded image, on each axis."""
    if not ceil_mode:
        return (0,) * len(extents)
    result = []
    for extent, size, step, margin, gap in zip(extents, kernel, stride, margins, dilation, strict=True):
        reach = gap * (size - 1) + 1
        count = -(-(extent + 2 * margin - reach) // step) + 1
        if (count - 1) * step >= extent + margin:
            count -= 1  # a window must start in the image or the padding before it
        result.append(max((count - 1) * step + reach - extent - 2 * margin, 0))
    return tuple(result)


def _checked(
    name: str, input: Tensor, kernel_size: Sizes, padding: Sizes
) -> tuple[Node, tuple[int, ...], tuple[int, ...]]:
    x = input._enter()
    if x.rank not in (3, 4):
        raise RuntimeError(f"{name}: expected 3D or 4D input (C, H, W) or (N, C, H, W), got {list(x.shape)}")
    kernel, margins = per_axis(kernel_size, 2, name), per_axis(padding, 2, name)
    if any(2 * margin > size for margin, size in zip(margins, kernel, strict=True)):
        raise RuntimeError(
            f"{name}: pad should be at most half of effective kernel size, but got pad={list(margins)} and "
            f"kernel_size={list(kernel)}"
        )
    return x, kernel, margins


def _check_fit(name: str, image: Sequence[int], kernel: Sequence[int], dilation: Sequence[int]) -> None:
    for extent, size, gap in zip(image, kernel, dilation, strict=True):
        if extent < gap * (size - 1) + 1:
            raise RuntimeError(
                f"{name}: the window {list(kernel)} is larger than the padded image {list(image)}: "
                "output size is too small"
            )


def _windows(x: Node, kernel: Sequence[int], stride: Sequence[int], name: str) -> Node:
    """The windows over the last two axes, their taps as two new last axes."""
    _check_fit(name, x.shape[-2:], kernel, (1, 1))
    sizes = zip((x.rank - 2, x.rank - 1), kernel, stride, strict=True)
    return ops.windows(x, tuple(Window(axis, size, step) for axis, size, step in sizes))


@overload
def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...
@overload
def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest value of each window. Of equal ones the first, in row-major order, gets the gradient.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: the window's height and width.
        stride: step between windows; default: the window's size.
        padding: border on both sides, which is never the maximum.
        dilation: step between a window's points.
        ceil_mode: whether the last window may reach over the border.
        return_indices: also return where in its flattened H*W image each value was (int64).

    >>> import lazygrad as lg
    >>> max_pool2d(lg.arange(16.0).reshape(1, 4, 4), 2, return_indices=True)
    (tensor([[[ 5.,  7.],
             [13., 15.]]]), tensor([[[ 5,  7],
             [13, 15]]]))
    """
    x, kernel, margins = _checked("max_pool2d", input, kernel_size, padding)
    steps = kernel if stride is None or stride == () else per_axis(stride, 2, "max_pool2d")
    gaps = per_axis(dilation, 2, "max_pool2d")
    over = _overhangs(x.shape[-2:], kernel, steps, margins, gaps, ceil_mode)
    padded = tuple(e + 2 * m + o for e, m, o in zip(x.shape[-2:], margins, over, strict=True))
    _check_fit("max_pool2d", padded, kernel, gaps)
    slidings = [
        Sliding(x.rank - 2 + i, kernel[i], steps[i], gaps[i], margins[i], margins[i] + over[i]) for i in range(2)
    ]
    values, positions = largest_of_windows(x, slidings, return_indices)
    pooled = wrap(values, input, name="MaxPool2DWithIndices")
    return pooled if positions is None else (pooled, wrap(positions, input))


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: the window's height and width.
        stride: step between windows; default: the window's size.
        padding: zeros on both sides.
        ceil_mode: whether the last window may reach over the border.
        count_include_pad: whether the padding's zeros count as elements.
        divisor_override: divide the sums by this instead.
    """
    x, kernel, margins = _checked("avg_pool2d", input, kernel_size, padding)
    steps = kernel if stride is None or stride == () else per_axis(stride, 2, "avg_pool2d")
    over = _overhangs(x.shape[-2:], kernel, steps, margins, (1, 1), ceil_mode)
    image = x.shape[-2:]
    batch = tuple(Padding(0, 0) for _ in x.shape[:-2])
    around = tuple(Padding(margin, margin + extra) for margin, extra in zip(margins, over, strict=True))
    taps = _windows(ops.pad(x, (*batch, *around)), kernel, steps, "avg_pool2d")
    total = ops.sum_(taps, (taps.rank - 2, taps.rank - 1))
    if divisor_override is not None:
        return wrap(ops.div(total, divisor_override), input, name="AvgPool2D")
    if not any(over) and (count_include_pad or not any(margins)):
        return wrap(ops.div(total, math.prod(kernel)), input, name="AvgPool2D")
    # How many elements each window has: the same sum over ones.
    counted = tuple(e + 2 * m for e, m in zip(image, margins, strict=True)) if count_include_pad else image
    border = tuple(Padding(0, extra) for extra in over) if count_include_pad else around
    ones = ops.pad(ops.constant(1, counted, x.dtype, x.device), border)
    count = ops.sum_(_windows(ones, kernel, steps, "avg_pool2d"), (2, 3))
    spread = ops.expand(ops.reshape(count, (*(1 for _ in batch), *count.shape)), total.shape)
    return wrap(ops.div(total, spread), input, name="AvgPool2D")


def adaptive_avg_pool2d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    """The mean of as many windows as asked for, spread evenly over the image.

    Args:
        input: (N, C, H, W) or (C, H, W).
        output_size: H' and W'; None keeps an extent.
    """
    x = input._enter()
    if x.rank not in (3, 4):
        raise RuntimeError(f"adaptive_avg_pool2d: expected 3D or 4D input, got {list(x.shape)}")
    wanted = (output_size, output_size) if output_size is None or isinstance(output_size, int) else tuple(output_size)
    target = tuple(e if w is None else w for w, e in zip(wanted, x.shape[-2:], strict=True))
    for axis, count in zip((x.rank - 2, x.rank - 1), target, strict=True):
        x = _averaged(x, axis, count)
    return wrap(x, input, name="AdaptiveAvgPool2D" if target != (1, 1) else "Mean/1")


def _averaged(x: Node, axis: int, count: int) -> Node:
    extent = x.shape[axis]
    if count == extent:
        return x
    if count and extent % count == 0:
        shape = (*x.shape[:axis], count, extent // count, *x.shape[axis + 1 :])
        return ops.div(ops.sum_(ops.reshape(x, shape), (axis + 1,)), extent // count)
    # Window i runs from floor(i * extent / count) to ceil((i + 1) * extent / count).
    window = ops.arange(count, x.device)
    start = ops.floor_divide(ops.mul(window, extent), count)
    stop = ops.neg(ops.floor_divide(ops.mul(ops.add(window, 1), -extent), count))
    position = ops.expand(ops.reshape(ops.arange(extent, x.device), (extent, 1)), (extent, count))

    def columns(node: Node) -> Node:
        return ops.expand(ops.reshape(node, (1, count)), (extent, count))

    inside = ops.bitwise_and(ops.le(columns(start), position), ops.lt(position, columns(stop)))
    total = chosen_sums(x, axis, inside)
    size = ops.reshape(ops.cast(ops.sub(stop, start), x.dtype), tuple(count if a == axis else 1 for a in range(x.rank)))
    return ops.div(total, ops.expand(size, total.shape))
