"""Reading and writing at positions that are data: gather, scatter and the functions named index_*.

In: a tensor, and integer tensors that hold positions along one of its dimensions. Out: a lazy tensor. Positions are
not checked, that would wait for the device: one out of range reads as zero, and nothing is written there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import bool_, int64
from lazygrad.ir.node import Node
from lazygrad.ir.shape import normalize_axis
from lazygrad.ops.indexing import Mode
from lazygrad.ops.movement import Range
from lazygrad.tensor.assignment import put, value_node
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.index_merge import take
from lazygrad.tensor.inplace import in_place
from lazygrad.tensor.operands import Number, Operand, cast, common_shape, spread

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


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
    x, positions = input._enter(), _index(index, "gather")
    if not x.rank:
        return wrap(ops.reshape(x, positions.shape), input)
    axis = normalize_axis(dim, x.rank, "gather")
    _check_index(x, positions, axis, "gather")
    return wrap(ops.gather(_cut(x, positions.shape, axis), positions, axis), input, name="Gather")


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

    >>> import lazygrad as lg
    >>> lg.zeros(3).scatter(0, lg.tensor([2, 0]), lg.tensor([5.0, 7.0]))
    tensor([7., 0., 5.])
    """
    return _scattered(input, dim, index, value if src is None else src, "set", "scatter")  # type: ignore[arg-type]


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``input`` with ``src`` added at the positions that ``index`` gives along ``dim``; repeats add up.

    >>> import lazygrad as lg
    >>> lg.zeros(3).scatter_add(0, lg.tensor([2, 2]), lg.tensor([5.0, 7.0]))
    tensor([ 0.,  0., 12.])
    """
    return _scattered(input, dim, index, src, "add", "scatter_add")


def _scattered(input: Tensor, dim: int, index: Tensor, src: Operand, mode: Mode, name: str) -> Tensor:
    x, positions = input._enter(), _index(index, name)
    axis = normalize_axis(dim, x.rank, name)
    _check_index(x, positions, axis, name)
    if isinstance(src, Handle):
        source = src._enter()
        if source.dtype is not x.dtype:
            raise RuntimeError(
                f"{name}(): Expected self.dtype to be equal to src.dtype, got {x.dtype.name} and {source.dtype.name}"
            )
        source = _cut(source, positions.shape, -1)
    else:
        source = value_node(src, positions.shape, x.dtype, x.device)
    ranges = tuple(Range(0, e if a == axis else positions.shape[a]) for a, e in enumerate(x.shape))
    changed = ops.scatter(ops.slice_(x, ranges), positions, source, axis, mode)
    return wrap(put(x, ranges, changed), input, src, name="ScatterAdd" if mode == "add" else "Scatter")


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of ``input`` along ``dim`` at the positions of the vector ``index``.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 2], [3, 4]]).index_select(1, lg.tensor([1, 0, 1]))
    tensor([[2, 1, 2],
            [4, 3, 4]])
    """
    x, positions = input._enter(), _index(index, "index_select")
    axis = normalize_axis(dim, x.rank, "index_select")
    if positions.rank > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    return wrap(take(x, {axis: ops.reshape(positions, (index.numel(),))}), input, name="IndexSelect")


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Number = 1) -> Tensor:
    """``input`` with ``alpha * source`` added to the slices along ``dim`` at the positions ``index``.

    >>> import lazygrad as lg
    >>> lg.zeros(2, 2).index_add(0, lg.tensor([1, 1]), lg.ones(2, 2))
    tensor([[0., 0.],
            [2., 2.]])
    """
    return _indexed(input, dim, index, source if alpha == 1 else source * alpha, "add", "index_add")


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``input`` with the slices along ``dim`` at the positions ``index`` replaced by those of ``source``.

    >>> import lazygrad as lg
    >>> lg.zeros(2, 2).index_copy(0, lg.tensor([1]), lg.ones(1, 2))
    tensor([[0., 0.],
            [1., 1.]])
    """
    return _indexed(input, dim, index, source, "set", "index_copy")


def _indexed(input: Tensor, dim: int, index: Tensor, source: Tensor, mode: Mode, name: str) -> Tensor:
    x, positions, values = input._enter(), _index(index, name), source._enter()
    axis = normalize_axis(dim, x.rank, name)
    expected = tuple(positions.shape[0] if a == axis else e for a, e in enumerate(x.shape))
    if values.shape != expected:
        raise RuntimeError(f"{name}(): source must have the shape {list(expected)}, got {list(values.shape)}")
    line = tuple(extent if a == axis else 1 for a, extent in enumerate(expected))
    spread_positions = ops.expand(ops.reshape(positions, line), expected)
    return wrap(ops.scatter(x, spread_positions, values, axis, mode), input, source, name="IndexAdd")


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """``gather``, with ``input`` and ``indices`` broadcast against each other outside ``dim``.

    >>> import lazygrad as lg
    >>> x = lg.tensor([[3, 1], [2, 4]])
    >>> lg.take_along_dim(x, x.argmax(1, keepdim=True), 1)
    tensor([[3],
            [4]])
    """
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    x, positions = input._enter(), _index(indices, "take_along_dim")
    axis = normalize_axis(dim, x.rank, "take_along_dim")
    if x.rank != positions.rank:
        raise RuntimeError("take_along_dim(): input and indices should have the same number of dimensions")
    flat = common_shape(
        "take_along_dim",
        tuple(1 if a == axis else e for a, e in enumerate(x.shape)),
        tuple(1 if a == axis else e for a, e in enumerate(positions.shape)),
    )
    wide = tuple(x.shape[axis] if a == axis else e for a, e in enumerate(flat))
    thin = tuple(positions.shape[axis] if a == axis else e for a, e in enumerate(flat))
    return wrap(ops.gather(spread(x, wide), spread(positions, thin), axis), input, name="Gather")


scatter_, scatter_add_ = in_place(scatter), in_place(scatter_add)
index_add_, index_copy_ = in_place(index_add), in_place(index_copy)
