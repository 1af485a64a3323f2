"""Reductions: sums, products, means, truth. The named dimensions disappear, or stay with extent 1.

In: a tensor of shape (*), ``dim`` (None for all, one, or several). Out: a lazy tensor without these
dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from lazygrad import ops
from lazygrad.ir.dtype import DType, accumulator, bool_, int64, uint8
from lazygrad.ir.node import Node
from lazygrad.ir.shape import normalize_axes
from lazygrad.ops.movement import Padding, Range
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.operands import cast

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

Dims: TypeAlias = int | Sequence[int] | None


def kept(reduced: Node, shape: tuple[int, ...], axes: tuple[int, ...], keepdim: bool) -> Node:
    """A reduction's node, with its dimensions back as extents of 1 when ``keepdim``."""
    if not keepdim or not axes:
        return reduced
    return ops.reshape(reduced, tuple(1 if axis in axes else extent for axis, extent in enumerate(shape)))


def axes_of(x: Node, dim: Dims, name: str) -> tuple[int, ...]:
    """The dimensions to reduce; torch takes an empty sequence for all of them."""
    if dim is not None and not isinstance(dim, int) and len(dim) == 0:
        dim = None
    return normalize_axes(dim, x.rank, name) if x.rank else _checked_scalar(x, dim, name)


def _checked_scalar(x: Node, dim: Dims, name: str) -> tuple[int, ...]:
    normalize_axes(dim, x.rank, name)
    return ()


def _promoted(x: Node, dtype: DType | None) -> Node:
    """Sums and products of integers and bools are int64."""
    return cast(x, dtype or (x.dtype if x.dtype.is_float else int64))


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """The sum. Integers and bools give int64; half-width floats are accumulated in float32.

    >>> import lazygrad as lg
    >>> lg.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(0)
    tensor([4., 6.])
    """
    x = _promoted(input._enter(), dtype)
    axes = axes_of(x, dim, "sum")
    return wrap(kept(ops.sum_(x, axes), x.shape, axes, keepdim), input, name="Sum" if dim is None else "Sum/1")


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """The product; dtypes as for ``sum``.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 2], [3, 4]]).prod(1)
    tensor([ 2, 12])
    """
    x = _promoted(input._enter(), dtype)
    axes = axes_of(x, dim, "prod")
    return wrap(kept(ops.prod(x, axes), x.shape, axes, keepdim), input, name="Prod" if dim is None else "Prod/1")


def mean_node(x: Node, axes: tuple[int, ...]) -> Node:
    """The mean over ``axes``; half-width floats are divided before they are rounded back."""
    count = math.prod(x.shape[axis] for axis in axes)
    wide = accumulator(x.dtype)
    return ops.cast(ops.div(ops.sum_(ops.cast(x, wide), axes), count), x.dtype)


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """The mean of a float tensor.

    >>> import lazygrad as lg
    >>> lg.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(1, keepdim=True)
    tensor([[1.5000],
            [3.5000]])
    """
    x = input._enter()
    if dtype is not None:
        x = cast(x, dtype)
    if not x.dtype.is_float:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be a floating point dtype. Got: "
            f"{x.dtype.name}; convert with .float() or pass dtype="
        )
    axes = axes_of(x, dim, "mean")
    return wrap(kept(mean_node(x, axes), x.shape, axes, keepdim), input, name="Mean" if dim is None else "Mean/1")


def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """The sum with NaN taken for zero.

    >>> import lazygrad as lg
    >>> lg.tensor([1.0, float("nan")]).nansum()
    tensor(1.)
    """
    x = input._enter()
    clean = wrap(ops.where(ops.ne(x, x), 0, x) if x.dtype.is_float else x, input)
    return sum(clean, dim, keepdim, dtype=dtype)


def _truth(name: str, reduce: Callable[[Node, tuple[int, ...]], Node], empty: bool) -> Callable[..., Tensor]:
    def function(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        x = cast(input._enter(), bool_)
        axes = axes_of(x, dim, name)
        if _is_empty(x, axes):
            shape = tuple(extent for axis, extent in enumerate(x.shape) if axis not in axes)
            reduced = ops.constant(empty, shape, bool_, x.device)
        else:
            reduced = reduce(x, axes)
        # torch's answer for uint8 is uint8, from the time when that was its type of truth values.
        answer = cast(reduced, uint8) if input._cell.node.dtype is uint8 else reduced
        return wrap(kept(answer, x.shape, axes, keepdim), input)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Whether {name} element is not zero, as bool (of uint8 as uint8); of no elements, {empty}."
    return function


def _is_empty(x: Node, axes: tuple[int, ...]) -> bool:
    """Whether a reduction over ``axes`` has nothing to reduce."""
    return 0 in [x.shape[axis] for axis in axes]


any = _truth("any", ops.max_, False)
all = _truth("all", ops.min_, True)


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements are not zero, as int64.

    >>> import lazygrad as lg
    >>> lg.tensor([[0, 1], [2, 3]]).count_nonzero(dim=0)
    tensor([1, 2])
    """
    x = cast(cast(input._enter(), bool_), int64)
    return wrap(ops.sum_(x, axes_of(x, dim, "count_nonzero")), input)


# A running sum adds up what lies before each element for so many; longer axes are summed block by block.
_CUMSUM_BLOCK = 16


def cumsum(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """Running sums along ``dim``: element i is the sum of elements 0 to i.

    >>> import lazygrad as lg
    >>> lg.tensor([1.0, 2.0, 3.0]).cumsum(0)
    tensor([1., 3., 6.])
    """
    x = _promoted(input._enter(), dtype)
    if not x.rank:
        axes_of(x, dim, "cumsum")
        return wrap(x, input)
    (axis,) = axes_of(x, dim, "cumsum")
    return wrap(_running_sum(x, axis), input, name="Cumsum")


def _running_sum(x: Node, axis: int) -> Node:
    """In blocks, to each of which the running sum of the blocks before is added."""
    extent = x.shape[axis]
    if extent <= _CUMSUM_BLOCK:
        return _sums_before(x, axis)
    blocks = -(-extent // _CUMSUM_BLOCK)
    outer, inner = x.shape[:axis], x.shape[axis + 1 :]
    around, behind = [Padding(0, 0) for _ in outer], [Padding(0, 0) for _ in inner]
    padded = ops.pad(x, (*around, Padding(0, blocks * _CUMSUM_BLOCK - extent), *behind))
    within = _sums_before(ops.reshape(padded, (*outer, blocks, _CUMSUM_BLOCK, *inner)), axis + 1)
    first, last = [Range(0, e) for e in outer], [Range(0, e) for e in inner]
    ends = ops.slice_(within, (*first, Range(0, blocks), Range(_CUMSUM_BLOCK - 1, _CUMSUM_BLOCK), *last))
    totals = _running_sum(
        ops.reshape(ops.slice_(ends, (*first, Range(0, blocks - 1), Range(0, 1), *last)), (*outer, blocks - 1, *inner)),
        axis,
    )
    before = ops.reshape(ops.pad(totals, (*around, Padding(1, 0), *behind)), (*outer, blocks, 1, *inner))
    flat = ops.reshape(ops.add(within, ops.expand(before, within.shape)), padded.shape)
    return ops.slice_(flat, (*first, Range(0, extent), *last))


def _sums_before(x: Node, axis: int) -> Node:
    extent = x.shape[axis]
    position = ops.arange(extent, x.device)
    table = (extent, extent)
    element = ops.expand(ops.reshape(position, (extent, 1)), table)
    return chosen_sums(x, axis, ops.le(element, ops.expand(ops.reshape(position, (1, extent)), table)))


def chosen_sums(x: Node, axis: int, chosen: Node) -> Node:
    """Sums along an axis of the elements that each column of ``chosen`` [extent, sums] names, in the axis's place.

    What is not named is left out, not multiplied by 0: infinity and nan go into no other sums.
    """
    outer, inner = x.shape[:axis], x.shape[axis + 1 :]
    extent, count = chosen.shape
    table = ops.reshape(chosen, (*(1 for _ in outer), extent, count, *(1 for _ in inner)))
    every = (*outer, extent, count, *inner)
    each = ops.expand(ops.reshape(x, (*outer, extent, 1, *inner)), every)
    return ops.sum_(ops.where(ops.expand(table, every), each, 0), (axis,))
