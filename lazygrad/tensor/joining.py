"""Several tensors into one, one into several, and one cut and joined in another order (roll)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.node import Node
from lazygrad.ir.shape import normalize_axis, size_of
from lazygrad.ops.movement import Padding
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.movement import part_of
from lazygrad.tensor.operands import cast, result_type

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


# More parts than this are joined pairwise first: a chain of k selections costs each element k comparisons.
_CHAIN_LIMIT = 16


def cat_nodes(nodes: Sequence[Node], axis: int) -> Node:
    """The nodes one after the other along ``axis``: each padded to its place, then selected by position.

    Selected rather than added to the padding's zeros, so that -0.0 and the gradient of NaN stay in their
    place.
    """
    while len(nodes) > _CHAIN_LIMIT:
        nodes = [_chain(nodes[i : i + _CHAIN_LIMIT], axis) for i in range(0, len(nodes), _CHAIN_LIMIT)]
    return _chain(nodes, axis)


def _chain(nodes: Sequence[Node], axis: int) -> Node:
    if len(nodes) == 1:
        return nodes[0]
    total = sum(node.shape[axis] for node in nodes)
    start = 0
    placed: list[Node] = []
    ends: list[int] = []
    for node in nodes:
        after = total - start - node.shape[axis]
        place = Padding(start, after)
        placed.append(ops.pad(node, tuple(place if a == axis else Padding(0, 0) for a in range(node.rank))))
        start = total - after
        ends.append(start)
    shape = placed[0].shape
    position = ops.arange(total, nodes[0].device)
    position = ops.expand(ops.reshape(position, tuple(total if a == axis else 1 for a in range(len(shape)))), shape)
    result = placed[-1]
    for node, end in zip(reversed(placed[:-1]), reversed(ends[:-1]), strict=True):
        result = ops.where(ops.lt(position, end), node, result)
    return result


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after the other along ``dim``; all other extents must agree. dtypes are promoted.

    >>> import lazygrad as lg
    >>> lg.cat([lg.tensor([1, 2]), lg.tensor([3.5])])
    tensor([1.0000, 2.0000, 3.5000])
    """
    given = list(tensors)
    if not given:
        raise RuntimeError("cat: expected a non-empty list of Tensors")
    # torch passes over tensors of shape (0,) for old times' sake.
    parts = [tensor for tensor in given if tensor._cell.node.shape != (0,)] or given[:1]
    first = parts[0]._cell.node
    if not first.rank:
        raise RuntimeError("cat: zero-dimensional tensor (at position 0) cannot be concatenated; use stack")
    axis = normalize_axis(dim, first.rank, "cat")
    for position, part in enumerate(parts):
        shape = part._cell.node.shape
        if len(shape) != first.rank or any(a != axis and extent != first.shape[a] for a, extent in enumerate(shape)):
            raise RuntimeError(
                f"cat: sizes of tensors must match except in dimension {axis}. Expected the shape "
                f"{list(first.shape)} but got {list(shape)} for tensor number {position} in the list."
            )
    dtype = result_type(*given)
    return wrap(cat_nodes([cast(part._enter(), dtype) for part in parts], axis), *parts, name="Cat")


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new dimension.

    >>> import lazygrad as lg
    >>> lg.stack([lg.tensor([1, 2]), lg.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    given = list(tensors)
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = given[0]._cell.node.shape
    for position, tensor in enumerate(given):
        if tensor._cell.node.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(tensor._cell.node.shape)} at entry {position}"
            )
    axis = normalize_axis(dim, len(shape) + 1, "stack")
    dtype = result_type(*given)
    single = (*shape[:axis], 1, *shape[axis:])
    nodes = [ops.reshape(cast(tensor._enter(), dtype), single) for tensor in given]
    return wrap(cat_nodes(nodes, axis), *given, name="Stack")


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors side by side: along dimension 1, vectors along dimension 0.

    >>> import lazygrad as lg
    >>> lg.hstack([lg.tensor([1, 2]), lg.tensor([3])])
    tensor([1, 2, 3])
    """
    flat = [tensor.reshape(1) if tensor.dim() == 0 else tensor for tensor in tensors]
    return cat(flat, 0 if flat[0].dim() == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors below each other: along dimension 0, vectors as rows.

    >>> import lazygrad as lg
    >>> lg.vstack([lg.tensor([1, 2]), lg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([tensor.reshape(1, -1) if tensor.dim() < 2 else tensor for tensor in tensors], 0)


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts along ``dim``: of one size, the last perhaps smaller, or of the given sizes.

    >>> import lazygrad as lg
    >>> lg.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    shape = tensor._cell.node.shape
    axis = normalize_axis(dim, len(shape), "split")
    extent = shape[axis]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and extent):
            raise RuntimeError(f"split expects split_size be positive, but got split_size={size}")
        sizes = [min(size, extent - start) for start in range(0, extent, size)] if extent else [0]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != extent or min(sizes, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {extent} (input tensor's size at "
                f"dimension {dim}), but got split_sizes={sizes}"
            )
    x = tensor._enter()
    return tuple(
        wrap(part_of(x, axis, stop - size, stop), tensor, name="Split")
        for size, stop in zip(sizes, accumulate(sizes), strict=True)
    )


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` parts along ``dim``, all of one size but the last.

    >>> import lazygrad as lg
    >>> lg.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    extent = input._cell.node.shape[normalize_axis(dim, input._cell.node.rank, "chunk")]
    return split(input, max(-(-extent // chunks), 1), dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along ``dim``, without that dimension.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    x = input._enter()
    if not x.rank:
        raise RuntimeError("unbind: dimension specified as 0 but tensor has no dimensions")
    axis = normalize_axis(dim, x.rank, "unbind")
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return tuple(
        wrap(ops.reshape(part_of(x, axis, position, position + 1), shape), input, name="Unbind")
        for position in range(x.shape[axis])
    )


def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Each vector spread over the grid that all vectors span; ``indexing`` "ij" or "xy".

    >>> import lazygrad as lg
    >>> rows, columns = lg.meshgrid(lg.arange(2), lg.arange(3))
    >>> rows, columns
    (tensor([[0, 0, 0],
            [1, 1, 1]]), tensor([[0, 1, 2],
            [0, 1, 2]]))
    """
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: {indexing}")
    vectors = list(tensors)
    if indexing == "xy" and len(vectors) > 1:
        vectors[:2] = vectors[1::-1]
    shape = tuple(vector.numel() for vector in vectors)
    grids = [
        vector.reshape([-1 if a == axis else 1 for a in range(len(shape))]).expand(shape)
        for axis, vector in enumerate(vectors)
    ]
    if indexing == "xy" and len(grids) > 1:
        grids[:2] = grids[1::-1]
    return tuple(grids)


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Elements moved forward by ``shifts``; those that leave at the end enter at the front.

    >>> import lazygrad as lg
    >>> lg.arange(5).roll(2)
    tensor([3, 4, 0, 1, 2])
    """
    x = input._enter()
    amounts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None:
        if len(amounts) != 1:
            raise RuntimeError("roll: shifts and dimensions must align")
        flat = _rolled(ops.reshape(x, (size_of(x.shape),)), amounts[0], 0)
        return wrap(ops.reshape(flat, x.shape), input, name="Roll")
    axes = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(axes) != len(amounts):
        raise RuntimeError(f"roll: shifts and dimensions must align. shifts: {len(amounts)}, dims:{len(axes)}")
    for amount, axis in zip(amounts, axes, strict=True):
        x = _rolled(x, amount, normalize_axis(axis, x.rank, "roll"))
    return wrap(x, input, name="Roll")


def _rolled(x: Node, amount: int, axis: int) -> Node:
    extent = x.shape[axis]
    cut = extent - amount % extent if extent else 0
    if cut == extent:
        return x
    return cat_nodes([part_of(x, axis, cut, extent), part_of(x, axis, 0, cut)], axis)
