"""Bound gradients before an optimizer's step.

In: parameters whose `.grad` is filled. Out: the same gradients, rebound to their clipped values; nothing
runs, the clipping becomes part of the step's graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import lazygrad
from lazygrad.tensor import Tensor

# torch's guard against division by a zero norm.
_NORM_GUARD = 1e-6


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Return the norm (shape ()) of all tensors, taken as one long vector.

    Args:
        tensors: tensors of any shapes.
        norm_type: the exponent; `inf` is the largest absolute value.
        error_if_nonfinite: raise a RuntimeError for a NaN or infinite norm; this waits for the device.

    Example:
        >>> import lazygrad as lg
        >>> print(get_total_norm([lg.tensor([3.0]), lg.tensor([0.0, 4.0])]))
        tensor(5.)
    """
    listed = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not listed:
        return lazygrad.tensor(0.0)
    if norm_type == math.inf:
        total = lazygrad.stack([tensor.abs().amax() for tensor in listed]).amax()
    elif norm_type == 2.0:
        total = lazygrad.stack([(tensor * tensor).sum() for tensor in listed]).sum().sqrt()
    else:
        powers = lazygrad.stack([(tensor.abs() ** norm_type).sum() for tensor in listed])
        total = powers.sum() ** (1.0 / norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite norm "
            "anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor, so that their total norm is at most `max_norm`.

    Args:
        parameters: tensors; those without a gradient are passed over.
        max_norm: the bound.
        norm_type: see `get_total_norm`.
        error_if_nonfinite: see `get_total_norm`.
        foreach: admitted for torch's sake; the updates are merged in any case.

    Returns:
        The total norm before clipping, shape ().

    Example:
        >>> import lazygrad as lg
        >>> x = lg.zeros(2, requires_grad=True)
        >>> (x * lg.tensor([3.0, 4.0])).sum().backward()
        >>> clip_grad_norm_([x], 1.0), x.grad
        (tensor(5.), tensor([0.6000, 0.8000]))
    """
    gradients = _gradients(parameters)
    with lazygrad.no_grad():
        total = get_total_norm(gradients, norm_type, error_if_nonfinite)
        factor = (max_norm / (total + _NORM_GUARD)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Bound each element of each gradient to [-clip_value, clip_value].

    Args:
        parameters: tensors; those without a gradient are passed over.
        clip_value: the bound.
        foreach: admitted for torch's sake; the updates are merged in any case.

    Example:
        >>> import lazygrad as lg
        >>> x = lg.zeros(2, requires_grad=True)
        >>> (x * lg.tensor([3.0, -0.5])).sum().backward()
        >>> clip_grad_value_([x], 1.0)
        >>> x.grad
        tensor([ 1.0000, -0.5000])
    """
    with lazygrad.no_grad():
        for gradient in _gradients(parameters):
            gradient.copy_(gradient.clamp(-clip_value, clip_value))


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else parameters
    return [parameter.grad for parameter in listed if parameter.grad is not None]
