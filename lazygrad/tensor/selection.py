"""Choosing elements by condition or by position: where, masks, gather and scatter, triangles and
diagonals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import bool_, int64
from lazygrad.ir.node import Node
from lazygrad.ir.shape import normalize_axis
from lazygrad.ops.indexing import Mode
from lazygrad.ops.movement import Padding, Range
from lazygrad.tensor.assignment import put, value_node
from lazygrad.tensor.creation import diagonal_mask
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.index_merge import take
from lazygrad.tensor.indexing import nonzero
from lazygrad.tensor.inplace import in_place
from lazygrad.tensor.movement import part_of
from lazygrad.tensor.operands import Number, Operand, cast, common_shape, result_type, several, spread

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
    test = cast(condition._enter(), bool_)
    if isinstance(input, Handle) or isinstance(other, Handle):
        yes, no = several("where", input, other)
    else:
        yes, no = (ops.constant(value, test.shape, result_type(input, other), test.device) for value in (input, other))
    shape = common_shape("where", test.shape, yes.shape)
    return wrap(ops.where(spread(test, shape), spread(yes, shape), spread(no, shape)), condition, input, other)


def masked_fill(input: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """``input`` with ``value`` where ``mask`` holds; the mask broadcasts."""
    x, test = input._enter(), cast(mask._enter(), bool_)
    shape = common_shape("masked_fill", x.shape, test.shape)
    filled = value_node(value, shape, x.dtype, x.device)
    return wrap(ops.where(spread(test, shape), filled, spread(x, shape)), input, value, name="MaskedFill")


def _index(index: Tensor, name: str) -> Node:
    node = index._enter()
    if node.dtype.is_float or node.dtype is bool_:
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, got {node.dtype.name}; convert with .long()")
    return cast(node, int64)


def _cut(x: Node, shape: tuple[int, ...], keep: int) -> Node:
    """The first ``shape`` positions of each axis but ``keep``."""
    return ops.slice_(
        x, tuple(Range(0, e if a == keep else s) for a, (e, s) in enumerate(zip(x.shape, shape, strict=True)))
    )


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """``out[i][j] = input[index[i][j]][j]`` for ``dim`` 0, and so on: positions along one dimension as data.

    Args:
        input: shape (*).
        dim: the dimension that is indexed.
        index: int64, of the same rank; its other extents are at most those of ``input``.

    >>> import lazygrad as lg
    >>> lg.gather(lg.tensor([[1, 2], [3, 4]]), 1, lg.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    x, where_ = input._enter(), _index(index, "gather")
    if not x.rank:
        return wrap(ops.reshape(x, where_.shape), input)
    axis = normalize_axis(dim, x.rank, "gather")
    _check_index(x, where_, axis, "gather")
    return wrap(ops.gather(_cut(x, where_.shape, axis), where_, axis), input, name="Gather")


def _check_index(x: Node, index: Node, axis: int, name: str) -> None:
    if index.rank != x.rank:
        raise RuntimeError(
            f"{name}: index tensor must have the same number of dimensions as input tensor: "
            f"{list(index.shape)} and {list(x.shape)}"
        )
    if any(a != axis and index.shape[a] > x.shape[a] for a in range(x.rank)):
        raise RuntimeError(
            f"{name}: size does not match at an axis other than {axis}: expected index {list(index.shape)} "
            f"to be no larger than self {list(x.shape)} apart from dimension {axis}"
        )


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Operand | None = None, *, value: Number | None = None
) -> Tensor:
    """``input`` with ``src`` put at the positions ``index`` along ``dim``: the reverse of ``gather``.

    Of several sources for one position the last wins.
    """
    return _scattered(input, dim, index, value if src is None else src, "set", "scatter")  # type: ignore[arg-type]


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``input`` with ``src`` added at the positions that ``index`` gives along ``dim``; repeats add up."""
    return _scattered(input, dim, index, src, "add", "scatter_add")


def _scattered(input: Tensor, dim: int, index: Tensor, src: Operand, mode: Mode, name: str) -> Tensor:
    x, where_ = input._enter(), _index(index, name)
    axis = normalize_axis(dim, x.rank, name)
    _check_index(x, where_, axis, name)
    if isinstance(src, Handle):
        source = src._enter()
        if source.dtype is not x.dtype:
            raise RuntimeError(
                f"{name}(): Expected self.dtype to be equal to src.dtype, got {x.dtype.name} and {source.dtype.name}"
            )
        source = _cut(source, where_.shape, -1)
    else:
        source = value_node(src, where_.shape, x.dtype, x.device)
    ranges = tuple(Range(0, e if a == axis else where_.shape[a]) for a, e in enumerate(x.shape))
    changed = ops.scatter(ops.slice_(x, ranges), where_, source, axis, mode)
    return wrap(put(x, ranges, changed), input, src, name="ScatterAdd" if mode == "add" else "Scatter")


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of ``input`` along ``dim`` at the positions of the vector ``index``."""
    x, where_ = input._enter(), _index(index, "index_select")
    axis = normalize_axis(dim, x.rank, "index_select")
    if where_.rank > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    return wrap(take(x, {axis: ops.reshape(where_, (index.numel(),))}), input, name="IndexSelect")


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Number = 1) -> Tensor:
    """``input`` with ``alpha * source`` added to the slices along ``dim`` at the positions ``index``."""
    return _indexed(input, dim, index, source if alpha == 1 else source * alpha, "add", "index_add")


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``input`` with the slices along ``dim`` at the positions ``index`` replaced by those of ``source``."""
    return _indexed(input, dim, index, source, "set", "index_copy")


def _indexed(input: Tensor, dim: int, index: Tensor, source: Tensor, mode: Mode, name: str) -> Tensor:
    x, where_, values = input._enter(), _index(index, name), source._enter()
    axis = normalize_axis(dim, x.rank, name)
    expected = tuple(where_.shape[0] if a == axis else e for a, e in enumerate(x.shape))
    if values.shape != expected:
        raise RuntimeError(f"{name}(): source must have the shape {list(expected)}, got {list(values.shape)}")
    line = tuple(-1 if a == axis else 1 for a in range(x.rank))
    spread_index = ops.expand(ops.reshape(where_, tuple(where_.shape[0] if e == -1 else 1 for e in line)), expected)
    return wrap(ops.scatter(x, spread_index, values, axis, mode), input, source, name="IndexAdd")


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """``gather``, with ``input`` and ``indices`` broadcast against each other outside ``dim``."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    x, where_ = input._enter(), _index(indices, "take_along_dim")
    axis = normalize_axis(dim, x.rank, "take_along_dim")
    if x.rank != where_.rank:
        raise RuntimeError("take_along_dim(): input and indices should have the same number of dimensions")
    flat = common_shape(
        "take_along_dim",
        tuple(1 if a == axis else e for a, e in enumerate(x.shape)),
        tuple(1 if a == axis else e for a, e in enumerate(where_.shape)),
    )
    wide = tuple(x.shape[axis] if a == axis else e for a, e in enumerate(flat))
    thin = tuple(where_.shape[axis] if a == axis else e for a, e in enumerate(flat))
    return wrap(ops.gather(spread(x, wide), spread(where_, thin), axis), input, name="Gather")


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """The positions from ``start`` to ``start + length`` of one dimension."""
    x = input._enter()
    axis = normalize_axis(dim, x.rank, "narrow")
    extent = x.shape[axis]
    begin = start + extent if start < 0 else start
    if length < 0 or begin < 0 or begin + length > extent:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({extent}).")
    return wrap(part_of(x, axis, begin, begin + length), input, name="Slice")


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at position ``index`` of one dimension, without that dimension."""
    x = input._enter()
    axis = normalize_axis(dim, x.rank, "select")
    extent = x.shape[axis]
    if not -extent <= index < extent:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(x.shape)} at dimension {dim}")
    part = part_of(x, axis, index % extent, index % extent + 1)
    return wrap(ops.reshape(part, (*x.shape[:axis], *x.shape[axis + 1 :])), input, name="Select")


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of ``size`` along one dimension, ``step`` apart, as a new last dimension."""
    from lazygrad.ops.movement import Window

    x = input._enter()
    axis = normalize_axis(dimension, x.rank, "unfold")
    if step < 1 or not 0 < size <= x.shape[axis]:
        raise RuntimeError(f"unfold: size {size} and step {step} do not fit dimension {axis} of {list(x.shape)}")
    return wrap(ops.windows(x, (Window(axis, size, step),)), input, name="Unfold")


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices (*, n, m), zeros above the diagonal."""
    return _triangle(input, diagonal, lower=True)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices (*, n, m), zeros below the diagonal."""
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
    """The diagonal of two dimensions, which becomes the last one."""
    x = input._enter()
    first, second = normalize_axis(dim1, x.rank, "diagonal"), normalize_axis(dim2, x.rank, "diagonal")
    if first == second:
        raise RuntimeError(f"diagonal: dimensions cannot be identical {dim1}, {dim2}")
    return wrap(diagonal_node(x, first, second, offset), input, name="Diagonal")


def diagonal_node(x: Node, first: int, second: int, offset: int = 0) -> Node:
    """A diagonal as views: flattened, every (columns + 1)th element."""
    rest = tuple(a for a in range(x.rank) if a not in (first, second))
    moved = ops.permute(x, (*rest, first, second))
    rows, columns = moved.shape[-2:]
    top, left = max(-offset, 0), max(offset, 0)
    length = max(min(rows - top, columns - left), 0)
    outer = tuple(Range(0, e) for e in moved.shape[:-2])
    if not length:
        top = left = 0
    square = ops.slice_(moved, (*outer, Range(top, top + length), Range(left, left + length)))
    flat = ops.reshape(square, (*moved.shape[:-2], length * length))
    return ops.slice_(flat, (*outer, Range(0, length * length, length + 1)))


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
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


masked_fill_, scatter_, scatter_add_ = in_place(masked_fill), in_place(scatter), in_place(scatter_add)
index_add_, index_copy_ = in_place(index_add), in_place(index_copy)
tril_, triu_ = in_place(tril), in_place(triu)
