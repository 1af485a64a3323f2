"""Choosing elements by condition or by known position: where, masks, slices, windows, triangles and diagonals.

Positions that are data, given by index tensors, are in ``gathering``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import bool_
from lazygrad.ir.shape import normalize_axis
from lazygrad.ops.diagonal import diagonal as diagonal_node
from lazygrad.ops.movement import Padding, Range, Window
from lazygrad.tensor.assignment import value_node
from lazygrad.tensor.creation import diagonal_mask
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.indexing import nonzero
from lazygrad.tensor.inplace import in_place
from lazygrad.tensor.movement import part_of
from lazygrad.tensor.operands import Operand, cast, common_shape, result_type, several, spread

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def where(condition: Tensor, input: Operand | None = None, other: Operand | None = None) -> Tensor | tuple[Tensor, ...]:
    """``input`` where the condition holds, else ``other``; ``where(c)`` is ``nonzero(as_tuple=True)``.

    >>> import lazygrad as lg
    >>> x = lg.tensor([-1.0, 2.0])
    >>> lg.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is None or other is None:
        found = nonzero(condition, as_tuple=True)
        assert isinstance(found, tuple)
        return found
    return _chosen(condition, input, other)


def where_method(self: Tensor, condition: Tensor, other: Operand) -> Tensor:
    """This tensor where the condition holds, else ``other``."""
    return _chosen(condition, self, other)


def _chosen(condition: Tensor, input: Operand, other: Operand) -> Tensor:
    test = cast(condition._enter(), bool_)
    if isinstance(input, Handle) or isinstance(other, Handle):
        yes, no = several("where", input, other)
    else:
        yes, no = (ops.constant(value, test.shape, result_type(input, other), test.device) for value in (input, other))
    shape = common_shape("where", test.shape, yes.shape)
    return wrap(ops.where(spread(test, shape), spread(yes, shape), spread(no, shape)), condition, input, other)


def masked_fill(input: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """``input`` with ``value`` where ``mask`` holds; the mask broadcasts.

    >>> import lazygrad as lg
    >>> x = lg.tensor([-1.0, 2.0])
    >>> x.masked_fill(x < 0, 0.0)
    tensor([0., 2.])
    """
    x, test = input._enter(), cast(mask._enter(), bool_)
    shape = common_shape("masked_fill", x.shape, test.shape)
    filled = value_node(value, shape, x.dtype, x.device)
    return wrap(ops.where(spread(test, shape), filled, spread(x, shape)), input, value, name="MaskedFill")


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """The positions from ``start`` to ``start + length`` of one dimension.

    >>> import lazygrad as lg
    >>> lg.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    x = input._enter()
    axis = normalize_axis(dim, x.rank, "narrow")
    extent = x.shape[axis]
    begin = start + extent if start < 0 else start
    if length < 0 or begin < 0 or begin + length > extent:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({extent}).")
    return wrap(part_of(x, axis, begin, begin + length), input, name="Slice")


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at position ``index`` of one dimension, without that dimension.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    x = input._enter()
    axis = normalize_axis(dim, x.rank, "select")
    extent = x.shape[axis]
    if not -extent <= index < extent:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(x.shape)} at dimension {dim}")
    part = part_of(x, axis, index % extent, index % extent + 1)
    return wrap(ops.reshape(part, (*x.shape[:axis], *x.shape[axis + 1 :])), input, name="Select")


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of ``size`` along one dimension, ``step`` apart, as a new last dimension.

    >>> import lazygrad as lg
    >>> lg.arange(5).unfold(0, 3, 1)
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    x = input._enter()
    axis = normalize_axis(dimension, x.rank, "unfold")
    if step < 1 or not 0 < size <= x.shape[axis]:
        raise RuntimeError(f"unfold: size {size} and step {step} do not fit dimension {axis} of {list(x.shape)}")
    return wrap(ops.windows(x, (Window(axis, size, step),)), input, name="Unfold")


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices (*, n, m), zeros above the diagonal.

    >>> import lazygrad as lg
    >>> lg.ones(2, 3).tril()
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return _triangle(input, diagonal, lower=True)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices (*, n, m), zeros below the diagonal.

    >>> import lazygrad as lg
    >>> lg.ones(2, 3).triu(1)
    tensor([[0., 1., 1.],
            [0., 0., 1.]])
    """
    return _triangle(input, diagonal, lower=False)


def _triangle(input: Tensor, diagonal: int, lower: bool) -> Tensor:
    x = input._enter()
    name = "tril" if lower else "triu"
    if x.rank < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got {list(x.shape)}")
    rows, columns = x.shape[-2:]
    if lower:
        mask = diagonal_mask(rows, columns, diagonal, x.device, lambda row, column: ops.le(column, row))
    else:
        mask = diagonal_mask(rows, columns, diagonal, x.device, ops.le)
    zero = ops.constant(0, x.shape, x.dtype, x.device)
    return wrap(ops.where(spread(mask, x.shape), x, zero), input, name=name.capitalize())


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, which becomes the last one.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 2], [3, 4]]).diagonal()
    tensor([1, 4])
    """
    x = input._enter()
    first, second = normalize_axis(dim1, x.rank, "diagonal"), normalize_axis(dim2, x.rank, "diagonal")
    if first == second:
        raise RuntimeError(f"diagonal: dimensions cannot be identical {dim1}, {dim2}")
    return wrap(diagonal_node(x, first, second, offset), input, name="Diagonal")


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal.

    >>> import lazygrad as lg
    >>> lg.diag(lg.tensor([1, 2])), lg.diag(lg.tensor([[1, 2], [3, 4]]))
    (tensor([[1, 0],
            [0, 2]]), tensor([1, 4]))
    """
    x = input._enter()
    if x.rank == 2:
        return wrap(diagonal_node(x, 0, 1, diagonal), input, name="Diag")
    if x.rank != 1:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {x.rank}D")
    (n,) = x.shape
    none, gap = Padding(0, 0), n + 1
    spaced = ops.pad(ops.reshape(x, (n, 1)), (none, Padding(0, n)))
    square = ops.slice_(ops.reshape(spaced, (n * gap,)), (Range(0, n * n),))
    top, left = max(-diagonal, 0), max(diagonal, 0)
    square = ops.reshape(square, (n, n))
    return wrap(ops.pad(square, (Padding(top, left), Padding(left, top))), input, name="Diag")


masked_fill_, tril_, triu_ = in_place(masked_fill), in_place(tril), in_place(triu)
