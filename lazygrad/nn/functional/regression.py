"""Losses that compare two tensors of one shape element by element, and how losses are reduced."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from lazygrad.tensor.handle import named

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


def resolved_reduction(name: str, reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """``reduction``, or what torch's two older arguments say."""
    if size_average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: {reduction} is not a valid value for reduction: use mean, sum or none")
    return reduction


def reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    """A loss for each element as their mean, their sum, or as it is."""
    if reduction == "mean":
        return named(loss.mean(), name)
    return named(loss.sum(), name) if reduction == "sum" else loss


def _compared(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(
            f"{name}: using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. Please "
            "ensure they have the same size.",
            stacklevel=4,
        )


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared difference.

    >>> import lazygrad as lg
    >>> mse_loss(lg.zeros(3), lg.full((3,), 2.0))
    tensor(4.)
    """
    reduction = resolved_reduction("mse_loss", reduction, size_average, reduce)
    _compared("mse_loss", input, target)
    loss = (input - target).square()
    return reduced(loss if weight is None else loss * weight, reduction, "MseLoss")


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute difference.

    >>> import lazygrad as lg
    >>> l1_loss(lg.zeros(2), lg.tensor([1.0, 3.0]))
    tensor(2.)
    """
    reduction = resolved_reduction("l1_loss", reduction, size_average, reduce)
    _compared("l1_loss", input, target)
    loss = (input - target).abs()
    return reduced(loss if weight is None else loss * weight, reduction, "Mean")


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared (over 2 beta) below a difference of ``beta``, absolute less beta / 2 above.

    >>> import lazygrad as lg
    >>> smooth_l1_loss(lg.zeros(2), lg.tensor([0.5, 3.0]), reduction="none")
    tensor([0.1250, 2.5000])
    """
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, size_average, reduce, reduction)
    reduction = resolved_reduction("smooth_l1_loss", reduction, size_average, reduce)
    _compared("smooth_l1_loss", input, target)
    distance = (input - target).abs()
    loss = (distance.square() * (0.5 / beta)).where(distance < beta, distance - 0.5 * beta)
    return reduced(loss, reduction, "SmoothL1Loss")


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Half the square below a difference of ``delta``, delta * (absolute - delta / 2) above.

    >>> import lazygrad as lg
    >>> huber_loss(lg.zeros(2), lg.tensor([0.5, 3.0]), reduction="none", delta=2.0)
    tensor([0.1250, 4.0000])
    """
    reduction = resolved_reduction("huber_loss", reduction, None, None)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    _compared("huber_loss", input, target)
    distance = (input - target).abs()
    loss = (distance.square() * 0.5).where(distance < delta, (distance - 0.5 * delta) * delta)
    return reduced(loss if weight is None else loss * weight, reduction, "HuberLoss")
