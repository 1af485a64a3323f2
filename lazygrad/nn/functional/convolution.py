"""Convolution in one, two and three dimensions, and the transpose of it.

In: images (N, C_in, *space) or (C_in, *space) and a weight (C_out, C_in / groups, *kernel). Out: (N, C_out,
*space'). A convolution is a sliding window (a view) and one contraction; its gradients are the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from lazygrad import autodiff, ops
from lazygrad.ir.node import Node
from lazygrad.nn.functional.channels import per_channel
from lazygrad.ops.movement import Padding, Range, Window
from lazygrad.tensor.handle import wrap

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor

Sizes: TypeAlias = int | Sequence[int]


def per_axis(value: Sizes, rank: int, name: str) -> tuple[int, ...]:
    """One number for each spatial axis, from one for all or one for each."""
    if isinstance(value, int):
        return (value,) * rank
    given = tuple(value)
    if len(given) == 1:
        return given * rank
    if len(given) != rank:
        raise RuntimeError(f"{name}: expected one number or {rank} of them, got {list(given)}")
    return given


def padding_pairs(
    padding: Sizes | Literal["same", "valid"],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    name: str,
) -> tuple[Padding, ...]:
    """Zeros before and after each spatial axis."""
    if isinstance(padding, str):
        if padding == "valid":
            return tuple(Padding(0, 0) for _ in kernel)
        if padding != "same":
            raise ValueError(f"{name}: padding must be a number, a tuple, 'same' or 'valid', got {padding!r}")
        if any(step != 1 for step in stride):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple(Padding(total // 2, total - total // 2) for total in totals)
    return tuple(Padding(p, p) for p in per_axis(padding, len(kernel), name))


def convolve(
    x: Node,
    weight: Node,
    stride: tuple[int, ...],
    paddings: tuple[Padding, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Node:
    """The cross-correlation of x (N, C_in, *space) with weight (C_out, C_in / groups, *kernel)."""
    kernel = weight.shape[2:]
    out_channels, group_channels = weight.shape[:2]
    x = ops.pad(x, (Padding(0, 0), Padding(0, 0), *paddings))
    first = 2
    if groups > 1:
        x = ops.reshape(x, (x.shape[0], groups, group_channels, *x.shape[2:]))
        weight = ops.reshape(weight, (groups, out_channels // groups, *weight.shape[1:]))
        first = 3
    # A kernel of extent 1 needs no window: it takes every stride-th element.
    whole = tuple(Range(0, extent) for extent in x.shape[:first])
    x = ops.slice_(
        x,
        (
            *whole,
            *(Range(0, e, s if k == 1 else 1) for e, s, k in zip(x.shape[first:], stride, kernel, strict=True)),
        ),
    )
    sliding = [axis for axis, size in enumerate(kernel) if size != 1]
    x = ops.windows(x, tuple(Window(first + a, kernel[a], stride[a], dilation[a]) for a in sliding))
    outer = weight.shape[:first]
    weight = ops.reshape(weight, (*outer, *(kernel[axis] for axis in sliding)))
    # Labels: 0 image, 1 channel within the group, 2 output channel within the group, 3 group, then space,
    # then taps.
    space = tuple(range(4, 4 + len(kernel)))
    taps = tuple(range(4 + len(kernel), 4 + len(kernel) + len(sliding)))
    group = (3,) if groups > 1 else ()
    result = ops.contract(x, (0, *group, 1, *space, *taps), weight, (*group, 2, 1, *taps), (0, *group, 2, *space))
    return ops.reshape(result, (result.shape[0], out_channels, *result.shape[first:])) if groups > 1 else result


def _convolution(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | Literal["same", "valid"],
    dilation: Sizes,
    groups: int,
) -> Tensor:
    name = f"conv{rank}d"
    x, w = _entered(name, rank, input, weight)
    _check_channels(name, x, w, groups)
    strides, dilations = _steps(name, rank, stride, dilation)
    paddings = padding_pairs(padding, w.shape[2:], strides, dilations, name)
    for axis, (extent, size, pad, gap) in enumerate(zip(x.shape[2:], w.shape[2:], paddings, dilations, strict=True)):
        if extent + pad.low + pad.high < gap * (size - 1) + 1:
            raise RuntimeError(
                f"{name}: calculated padded input size per channel ({extent + pad.low + pad.high}) is "
                f"smaller than the kernel size ({gap * (size - 1) + 1}) on spatial axis {axis}: input "
                f"{list(x.shape)}, weight {list(w.shape)}"
            )
    return _finished(name, convolve(x, w, strides, paddings, dilations, groups), input, weight, bias)


def _transposed(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Tensor:
    name = f"conv_transpose{rank}d"
    x, w = _entered(name, rank, input, weight)
    if x.shape[1] != w.shape[0] or groups < 1 or x.shape[1] % groups:
        raise RuntimeError(
            f"{name}: given groups={groups}, input {list(x.shape)} and weight {list(w.shape)} do not fit: "
            "the weight is (C_in, C_out / groups, *kernel)"
        )
    strides, dilations = _steps(name, rank, stride, dilation)
    margins, extras = per_axis(padding, rank, name), per_axis(output_padding, rank, name)
    if any(extra >= max(step, gap) for extra, step, gap in zip(extras, strides, dilations, strict=True)):
        raise RuntimeError(f"{name}: output padding must be smaller than either stride or dilation, got {list(extras)}")
    space = tuple(
        (extent - 1) * step - 2 * margin + gap * (size - 1) + extra + 1
        for extent, step, margin, gap, size, extra in zip(
            x.shape[2:], strides, margins, dilations, w.shape[2:], extras, strict=True
        )
    )
    # It is the gradient of a convolution with respect to its input, and built as that.
    whole = ops.placeholder((x.shape[0], w.shape[1] * groups, *space), x.dtype, x.device)
    forward = convolve(whole, w, strides, tuple(Padding(m, m) for m in margins), dilations, groups)
    (result,) = autodiff.vjp([forward], [x], [whole])
    assert result is not None
    return _finished(name, result, input, weight, bias)


def _entered(name: str, rank: int, input: Tensor, weight: Tensor) -> tuple[Node, Node]:
    """The nodes of ``input``, with an axis of images if it had none, and of ``weight``."""
    x, w = input._enter(), weight._enter()
    if w.rank != rank + 2 or x.rank not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{name}: expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input and a {rank + 2}D "
            f"weight, got input of size {list(x.shape)} and weight of size {list(w.shape)}"
        )
    return (ops.reshape(x, (1, *x.shape)) if x.rank == rank + 1 else x), w


def _check_channels(name: str, x: Node, weight: Node, groups: int) -> None:
    if x.dtype is not weight.dtype:
        raise RuntimeError(f"{name}: input ({x.dtype.name}) and weight ({weight.dtype.name}) must have one dtype")
    if groups < 1 or weight.shape[0] % groups:
        raise RuntimeError(
            f"{name}: groups={groups} must be positive and divide the output channels of weight {list(weight.shape)}"
        )
    if x.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"{name}: given groups={groups}, weight of size {list(weight.shape)}, expected "
            f"input{list(x.shape)} to have {weight.shape[1] * groups} channels, but got {x.shape[1]} "
            "channels instead"
        )


def _steps(name: str, rank: int, stride: Sizes, dilation: Sizes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    strides, dilations = per_axis(stride, rank, name), per_axis(dilation, rank, name)
    if min(strides) < 1 or min(dilations) < 1:
        raise RuntimeError(f"{name}: stride and dilation must be positive, got {list(strides)} and {list(dilations)}")
    return strides, dilations


def _finished(name: str, result: Node, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The tensor of ``result`` (N, C_out, *space) plus the bias, without the axis of images if ``input`` has none."""
    if bias is not None:
        b = bias._enter()
        if b.shape != (result.shape[1],):
            raise RuntimeError(f"{name}: expected bias of size {[result.shape[1]]}, got {list(b.shape)}")
        result = ops.add(result, per_channel(b, result.shape))
    if input.dim() < result.rank:
        result = ops.reshape(result, result.shape[1:])
    return wrap(result, input, weight, bias, name="Convolution")


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | Literal["same", "valid"] = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of sequences (N, C_in, L) with a weight (C_out, C_in / groups, K); see ``conv2d``.

    >>> import lazygrad as lg
    >>> conv1d(lg.tensor([[[1.0, 2.0, 4.0]]]), lg.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2.]]])
    """
    return _convolution(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | Literal["same", "valid"] = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of images with kernels.

    Args:
        input: (N, C_in, H, W) or (C_in, H, W).
        weight: (C_out, C_in / groups, kernel height, kernel width).
        bias: (C_out,), added to each output channel.
        stride: step between outputs.
        padding: zeros on both sides of each direction; "same" keeps H and W, "valid" is none.
        dilation: step between the kernel's points.
        groups: number of groups of channels that see nothing of each other.

    Returns:
        (N, C_out, H', W') with H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1.

    >>> import lazygrad as lg
    >>> conv2d(lg.ones(1, 1, 3, 3), lg.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    return _convolution(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | Literal["same", "valid"] = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of volumes: (N, C_in, D, H, W); see ``conv2d``.

    >>> import lazygrad as lg
    >>> conv3d(lg.ones(1, 1, 4, 4, 4), lg.ones(2, 1, 3, 3, 3)).shape
    lazygrad.Size([1, 2, 2, 2, 2])
    """
    return _convolution(3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of ``conv1d``; see ``conv_transpose2d``.

    >>> import lazygrad as lg
    >>> conv_transpose1d(lg.tensor([[[1.0, 2.0]]]), lg.tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of ``conv2d``: what its gradient does, spreading each input over a kernel's outputs.

    Args:
        input: (N, C_in, H, W) or (C_in, H, W).
        weight: (C_in, C_out / groups, kernel height, kernel width).
        bias: (C_out,).
        stride: step between the places where kernels are laid.
        padding: what is cut from both sides of the result.
        output_padding: rows and columns added at the end of the result.
        groups: number of groups of channels that see nothing of each other.
        dilation: step between the kernel's points.

    >>> import lazygrad as lg
    >>> conv_transpose2d(lg.ones(1, 3, 4, 4), lg.ones(3, 2, 2, 2), stride=2).shape
    lazygrad.Size([1, 2, 8, 8])
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)
