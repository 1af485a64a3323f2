"""Normalisation: standardise over the batch, the last dimensions, or groups of channels; unit vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lazygrad import ops
from lazygrad.ir.dtype import accumulator
from lazygrad.ir.node import Node
from lazygrad.nn.functional.channels import per_channel
from lazygrad.ops.standardization import squared_distances, standardise
from lazygrad.tensor.deferred_update import update
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.operands import cast, spread
from lazygrad.tensor.reduction import mean_node

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Standardise each channel, by the batch's mean and variance (training) or by running ones.

    Args:
        input: (N, C, *).
        running_mean: (C,); in training it moves towards the batch's mean, in place.
        running_var: (C,); in training it moves towards the batch's variance (divided by one less), in place.
        weight: (C,), what the result is multiplied with.
        bias: (C,), what is added then.
        training: which mean and variance to use.
        momentum: the batch's weight in the running values: a number, or a tensor of shape ().
        eps: added to the variance.

    Statistics of half-width floats are computed in float32.

    >>> import lazygrad as lg
    >>> x = lg.tensor([[1.0], [3.0]])
    >>> batch_norm(x, None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    x = input._enter()
    if x.rank < 2:
        raise RuntimeError(f"batch_norm: expected input (N, C, *) of at least 2 dimensions, got {list(x.shape)}")
    count = math.prod(x.shape) // x.shape[1] if x.shape[1] else 0
    wide = accumulator(x.dtype)
    values = ops.cast(x, wide)
    for name, tensor in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if tensor is not None and tensor.numel() != x.shape[1]:
            raise RuntimeError(f"batch_norm: {name} should contain {x.shape[1]} elements not {tensor.numel()}")
    axes = (0, *range(2, x.rank))
    if training:
        if count <= 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(x.shape)}")
        mean = mean_node(values, axes)
        variance = ops.div(squared_distances(values, mean, axes), count)
        _move(running_mean, mean, momentum, 1.0)
        _move(running_var, variance, momentum, count / (count - 1))
    else:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm: expected running_mean and running_var to be defined when training=False")
        mean, variance = cast(running_mean._enter(), wide), cast(running_var._enter(), wide)
    scale = ops.rsqrt(ops.add(variance, eps))
    if weight is not None:
        scale = ops.mul(scale, cast(weight._enter(), wide))
    if training:
        result = standardise(values, mean, scale, axes)
    else:
        result = ops.mul(ops.sub(values, per_channel(mean, x.shape)), per_channel(scale, x.shape))
    if bias is not None:
        result = ops.add(result, per_channel(cast(bias._enter(), wide), x.shape))
    return wrap(ops.cast(result, x.dtype), input, weight, bias, name="NativeBatchNorm")


def _move(running: Tensor | None, value: Node, momentum: float | Tensor, factor: float) -> None:
    """``running += momentum * (factor * value - running)``, in place and without history."""
    if running is None:
        return
    outer, SWITCH.enabled = SWITCH.enabled, False
    try:
        found = wrap(ops.detach(value))
        if isinstance(momentum, Handle):
            running.copy_(MovingAverage(momentum, factor)([running], found, {})[0])
        else:
            update(MovingAverage(momentum, factor), [running], found, {})
    finally:
        SWITCH.enabled = outer


class MovingAverage(NamedTuple):
    """How running statistics follow those of a batch, which are multiplied with ``factor``."""

    momentum: float | Tensor
    factor: float

    def __call__(self, values: Sequence[Tensor], source: Tensor, numbers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """The new running statistics."""
        (running,) = values
        fresh = (source if self.factor == 1 else source * self.factor).to(running.dtype)
        return [running * (1 - self.momentum) + fresh * self.momentum]


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """Standardise over the last dimensions, then multiply by ``weight`` and add ``bias``.

    Args:
        input: (*, *normalized_shape).
        normalized_shape: the extents to standardise over.
        weight: of shape ``normalized_shape``.
        bias: of shape ``normalized_shape``.
        eps: added to the variance.

    >>> import lazygrad as lg
    >>> layer_norm(lg.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    x = input._enter()
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or x.shape[x.rank - len(shape) :] != shape:
        raise RuntimeError(
            f"layer_norm: given normalized_shape={list(shape)}, expected input with shape [*, "
            f"{', '.join(map(str, shape))}], but got input of size {list(x.shape)}"
        )
    axes = tuple(range(x.rank - len(shape), x.rank))
    result = _standardised(ops.cast(x, accumulator(x.dtype)), axes, eps)
    for tensor, apply in ((weight, ops.mul), (bias, ops.add)):
        if tensor is not None:
            if tuple(tensor.shape) != shape:
                raise RuntimeError(
                    f"layer_norm: weight and bias must have the shape {list(shape)}, got {list(tensor.shape)}"
                )
            result = apply(result, spread(cast(tensor._enter(), result.dtype), x.shape))
    return wrap(ops.cast(result, x.dtype), input, weight, bias, name="NativeLayerNorm")


def _standardised(x: Node, axes: tuple[int, ...], eps: float) -> Node:
    mean = mean_node(x, axes)
    count = math.prod(x.shape[axis] for axis in axes)
    scale = ops.rsqrt(ops.add(ops.div(squared_distances(x, mean, axes), count), eps))
    return standardise(x, mean, scale, axes)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """Standardise groups of channels of each example of (N, C, *), then multiply and shift channels.

    >>> import lazygrad as lg
    >>> group_norm(lg.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    x = input._enter()
    if x.rank < 2 or x.shape[1] % num_groups:
        raise RuntimeError(
            "group_norm: expected number of channels in input to be divisible by num_groups, but got input "
            f"of shape {list(x.shape)} and num_groups={num_groups}"
        )
    grouped = ops.reshape(
        ops.cast(x, accumulator(x.dtype)), (x.shape[0], num_groups, math.prod(x.shape[1:]) // num_groups)
    )
    result = ops.reshape(_standardised(grouped, (2,), eps), x.shape)
    if weight is not None:
        result = ops.mul(result, per_channel(cast(weight._enter(), result.dtype), x.shape))
    if bias is not None:
        result = ops.add(result, per_channel(cast(bias._enter(), result.dtype), x.shape))
    return wrap(ops.cast(result, x.dtype), input, weight, bias, name="NativeGroupNorm")


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Standardise each channel of each example of (N, C, *).

    >>> import lazygrad as lg
    >>> instance_norm(lg.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    if not use_input_stats or running_mean is not None or running_var is not None:
        raise NotImplementedError("instance_norm: running statistics are not supported")
    return group_norm(input, input.shape[1], weight, bias, eps)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Divided by the norm along ``dim`` (but not by less than ``eps``).

    >>> import lazygrad as lg
    >>> normalize(lg.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return input / input.norm(p, dim, keepdim=True).clamp_min(eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along ``dim``; their norms are taken to be at least ``eps``.

    >>> import lazygrad as lg
    >>> cosine_similarity(lg.tensor([[1.0, 0.0]]), lg.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    return (
        x1 / x1.norm(2, dim, keepdim=True).clamp_min(eps) * (x2 / x2.norm(2, dim, keepdim=True).clamp_min(eps))
    ).sum(dim)
