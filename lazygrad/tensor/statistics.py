"""Variance, deviation, norms and the logarithm of sums of exponentials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import DType
from lazygrad.ir.node import Node
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.operands import as_float, cast, spread
from lazygrad.tensor.reduction import Dims, axes_of, kept, mean_node

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def variance_node(x: Node, axes: tuple[int, ...], correction: float, mean: Node | None = None) -> Node:
    """The mean squared distance from the mean, in two passes; ``mean`` (kept extents) when it is known."""
    count = math.prod(x.shape[axis] for axis in axes)
    centre = kept(mean_node(x, axes), x.shape, axes, True) if mean is None else mean
    distance = ops.sub(x, spread(centre, x.shape))
    # torch divides by zero for too few elements: NaN of 0/0, or infinity.
    divisor = max(count - correction, 0)
    return ops.div(ops.sum_(ops.mul(distance, distance), axes), divisor)


def _correction(unbiased: bool | None, correction: float | None) -> float:
    if correction is not None:
        return correction
    return 0 if unbiased is False else 1


def var(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance: squared distances from the mean, summed and divided by their number less ``correction``.

    Args:
        input: shape (*), floats.
        dim: the dimensions to reduce; None for all.
        unbiased: torch's older name: True is ``correction=1`` (the default), False is 0.
        keepdim: whether the dimensions stay with extent 1.
        correction: what is taken from the number of elements.

    >>> import lazygrad as lg
    >>> lg.tensor([1.0, 2.0, 3.0]).var(), lg.tensor([1.0, 2.0, 3.0]).var(correction=0)
    (tensor(1.), tensor(0.6667))
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    x = _floats(input, "var")
    axes = axes_of(x, dim, "var")
    reduced = variance_node(x, axes, _correction(unbiased, correction))
    return wrap(kept(reduced, x.shape, axes, keepdim), input, name="Var")


def std(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation, the square root of ``var``; its gradient where it is zero is zero.

    >>> import lazygrad as lg
    >>> lg.tensor([1.0, 2.0, 3.0]).std()
    tensor(1.)
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    x = _floats(input, "std")
    axes = axes_of(x, dim, "std")
    reduced = _guarded_sqrt(variance_node(x, axes, _correction(unbiased, correction)))
    return wrap(kept(reduced, x.shape, axes, keepdim), input, name="Std")


def var_mean(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Variance and mean."""
    return var(input, dim, unbiased, keepdim, correction=correction), input.mean(dim, keepdim)


def std_mean(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean."""
    return std(input, dim, unbiased, keepdim, correction=correction), input.mean(dim, keepdim)


def _floats(input: Tensor, name: str) -> Node:
    x = input._enter()
    if not x.dtype.is_float:
        raise RuntimeError(f"{name}: only supports floating point dtypes, got {x.dtype.name}; convert with .float()")
    return x


def _guarded_sqrt(x: Node) -> Node:
    """The square root, with the derivative 0 rather than infinity at 0: torch's convention for norms."""
    zero = ops.eq(x, 0.0)
    return ops.where(zero, 0.0, ops.sqrt(ops.where(zero, 1.0, x)))


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """The vector norm over ``dim``: ``sum(|x| ** p) ** (1 / p)``.

    Args:
        input: shape (*), floats.
        p: the exponent; ``inf`` and ``-inf`` are the largest and smallest size, 0 counts what is not zero.
            "fro" is 2.
        dim: the dimensions that form one vector; None for all.
        keepdim: whether they stay with extent 1.
        dtype: convert to this first.

    >>> import lazygrad as lg
    >>> lg.tensor([3.0, 4.0]).norm(), lg.tensor([3.0, -4.0]).norm(1)
    (tensor(5.), tensor(7.))
    """
    x = _floats(input, "norm") if dtype is None else cast(input._enter(), dtype)
    axes = axes_of(x, dim, "norm")
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm: only 'fro' and numbers are supported for p, got {p!r}")
    order = 2.0 if p is None or isinstance(p, str) else float(p)
    if order == 2:
        reduced = _guarded_sqrt(ops.sum_(ops.mul(x, x), axes))
    elif order == math.inf:
        reduced = ops.max_(ops.abs_(x), axes)
    elif order == -math.inf:
        reduced = ops.min_(ops.abs_(x), axes)
    elif order == 0:
        reduced = ops.sum_(ops.cast(ops.ne(x, 0.0), x.dtype), axes)
    elif order == 1:
        reduced = ops.sum_(ops.abs_(x), axes)
    else:
        reduced = ops.pow_(ops.sum_(ops.pow_(ops.abs_(x), order), axes), 1 / order)
    return wrap(kept(reduced, x.shape, axes, keepdim), input, name="LinalgVectorNorm")


def shift_node(x: Node, axes: tuple[int, ...]) -> Node:
    """The largest value, which exponentials are taken relative to; 0 where it is infinite.

    Detached: it cancels in every result it is used for, so its derivative is zero.
    """
    top = ops.detach(ops.max_(x, axes))
    return ops.where(ops.lt(ops.abs_(top), math.inf), top, 0.0)


def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over ``dim`` without leaving the dtype's range.

    >>> import lazygrad as lg
    >>> lg.tensor([100.0, 100.0]).logsumexp(0)
    tensor(100.6931)
    """
    x = as_float(input._enter())
    axes = axes_of(x, dim, "logsumexp")
    top = shift_node(x, axes)
    shifted = ops.sub(x, spread(kept(top, x.shape, axes, True), x.shape))
    reduced = ops.add(ops.log(ops.sum_(ops.exp(shifted), axes)), top)
    return wrap(kept(reduced, x.shape, axes, keepdim), input, name="Logsumexp")
