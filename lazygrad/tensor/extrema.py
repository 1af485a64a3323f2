"""Largest and smallest values, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from lazygrad import ops
from lazygrad.ir.dtype import int64
from lazygrad.ir.node import Node
from lazygrad.ir.shape import normalize_axis, size_of
from lazygrad.tensor.arithmetic import maximum, minimum
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.operands import spread
from lazygrad.tensor.reduction import Dims, axes_of, kept

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


class Max(NamedTuple):
    """What ``max(dim)`` returns: the values, and their positions (int64)."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return f"lazygrad.return_types.max(\nvalues={self.values!r},\nindices={self.indices!r})"


class Min(NamedTuple):
    """What ``min(dim)`` returns: the values, and their positions (int64)."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return f"lazygrad.return_types.min(\nvalues={self.values!r},\nindices={self.indices!r})"


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The largest value; equal ones share the gradient evenly.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 4], [3, 2]]).amax(dim=1)
    tensor([4, 3])
    """
    return _extremum(input, dim, keepdim, "amax", ops.max_)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The smallest value; equal ones share the gradient evenly."""
    return _extremum(input, dim, keepdim, "amin", ops.min_)


def _extremum(
    input: Tensor, dim: Dims, keepdim: bool, name: str, reduce: Callable[[Node, tuple[int, ...]], Node]
) -> Tensor:
    x = input._enter()
    axes = axes_of(x, dim, name)
    # torch's max() of everything and max(dim) are two functions of one name; this is the first.
    known_as = name.capitalize() + ("/1" if name in ("max", "min") else "")
    return wrap(kept(reduce(x, axes), x.shape, axes, keepdim), input, name=known_as)


def max(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False) -> Tensor | Max:
    """The largest value of all; with ``dim`` an int, values and indices along it; with a tensor, ``maximum``.

    With ``dim`` the gradient goes to the element at ``indices``.

    >>> import lazygrad as lg
    >>> values, indices = lg.tensor([[1.0, 3.0], [5.0, 2.0]]).max(dim=1)
    >>> values, indices
    (tensor([3., 5.]), tensor([1, 0]))
    """
    if isinstance(dim, Handle):
        return maximum(input, dim)
    if dim is None:
        return _extremum(input, None, keepdim, "max", ops.max_)
    return Max(*_with_positions(input, dim, keepdim, "max", ops.argmax, ops.max_))


def min(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False) -> Tensor | Min:
    """The smallest value, as ``max``."""
    if isinstance(dim, Handle):
        return minimum(input, dim)
    if dim is None:
        return _extremum(input, None, keepdim, "min", ops.min_)
    return Min(*_with_positions(input, dim, keepdim, "min", ops.argmin, ops.min_))


def _with_positions(
    input: Tensor,
    dim: int,
    keepdim: bool,
    name: str,
    position: Callable[[Node, int], Node],
    reduce: Callable[[Node, tuple[int, ...]], Node],
) -> tuple[Tensor, Tensor]:
    x = input._enter()
    axis = normalize_axis(dim, x.rank, name)
    if not x.rank:
        where = ops.constant(0, (), int64, x.device)
        return wrap(x, input), wrap(where, input)
    where = position(x, axis)
    spread_where = kept(where, x.shape, (axis,), True)
    if input._requires_grad and SWITCH.enabled:
        # Selected by a mask and summed, the derivative is a mask again, and no scatter.
        line = tuple(extent if a == axis else 1 for a, extent in enumerate(x.shape))
        steps = ops.reshape(ops.arange(x.shape[axis], x.device), line)
        chosen = ops.eq(spread(steps, x.shape), spread(spread_where, x.shape))
        values = ops.sum_(ops.where(chosen, x, 0), (axis,))
    else:
        values = reduce(x, (axis,))
    indices = spread_where if keepdim else where
    return (
        wrap(kept(values, x.shape, (axis,), keepdim), input, name=name.capitalize()),
        wrap(indices, input),
    )


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The position (int64) of the first largest value along ``dim``, or in the flattened tensor.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 4], [3, 2]]).argmax(dim=1), lg.tensor([[1, 4], [3, 2]]).argmax()
    (tensor([1, 0]), tensor(1))
    """
    return _position(input, dim, keepdim, "argmax", ops.argmax)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The position (int64) of the first smallest value along ``dim``, or in the flattened tensor."""
    return _position(input, dim, keepdim, "argmin", ops.argmin)


def _position(
    input: Tensor, dim: int | None, keepdim: bool, name: str, position: Callable[[Node, int], Node]
) -> Tensor:
    x = input._enter()
    if dim is None:
        flat = position(ops.reshape(x, (size_of(x.shape),)), 0)
        return wrap(ops.reshape(flat, (1,) * x.rank) if keepdim else flat, input)
    axis = normalize_axis(dim, x.rank, name)
    if not x.rank:
        return wrap(ops.constant(0, (), int64, x.device), input)
    return wrap(kept(position(x, axis), x.shape, (axis,), keepdim), input)
