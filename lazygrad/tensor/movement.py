"""Views: the same elements under other shapes and orders. None of these moves an element.

In: a tensor. Out: a lazy tensor. Unlike in torch a view does not alias: an in-place change of one is not seen
through the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape, normalize_axes, normalize_axis, size_of
from lazygrad.ops.movement import Range
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.operands import as_shape, common_shape, spread

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def completed(shape: Shape, size: int, name: str = "reshape") -> Shape:
    """``shape`` with an extent of -1 put in place, for a tensor of ``size`` elements."""
    unknown = [axis for axis, extent in enumerate(shape) if extent == -1]
    if len(unknown) > 1:
        raise RuntimeError(f"{name}: only one dimension can be inferred, got {list(shape)}")
    if any(extent < -1 for extent in shape):
        raise RuntimeError(f"{name}: invalid shape dimension in {list(shape)}; extents are not negative")
    known = math.prod(extent for extent in shape if extent != -1)
    if unknown:
        if known == 0 or size % known:
            raise RuntimeError(f"{name}: shape '{list(shape)}' is invalid for input of size {size}")
        return tuple(size // known if extent == -1 else extent for extent in shape)
    if known != size:
        raise RuntimeError(f"{name}: shape '{list(shape)}' is invalid for input of size {size}")
    return shape


def reshape(input: Tensor, *shape: int | Sequence[int]) -> Tensor:
    """The elements in row-major order under another shape; one extent may be -1.

    >>> import lazygrad as lg
    >>> lg.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    x = input._enter()
    return wrap(ops.reshape(x, completed(as_shape(shape), size_of(x.shape))), input, name="View")


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` reshaped to the shape of ``other``."""
    return reshape(input, other._cell.node.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from ``start_dim`` to ``end_dim`` joined into one.

    >>> import lazygrad as lg
    >>> lg.zeros(2, 3, 4).flatten(1).shape
    lazygrad.Size([2, 12])
    """
    x = input._enter()
    if not x.rank:
        return wrap(ops.reshape(x, (1,)), input, name="View")
    start, end = normalize_axis(start_dim, x.rank, "flatten"), normalize_axis(end_dim, x.rank, "flatten")
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    joined = math.prod(x.shape[start : end + 1])
    return wrap(ops.reshape(x, (*x.shape[:start], joined, *x.shape[end + 1 :])), input, name="View")


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension ``dim`` split into ``sizes``, of which one may be -1.

    >>> import lazygrad as lg
    >>> lg.zeros(2, 12).unflatten(1, (3, -1)).shape
    lazygrad.Size([2, 3, 4])
    """
    x = input._enter()
    axis = normalize_axis(dim, x.rank, "unflatten")
    inner = completed(as_shape((tuple(sizes),)), x.shape[axis], "unflatten")
    return wrap(ops.reshape(x, (*x.shape[:axis], *inner, *x.shape[axis + 1 :])), input, name="View")


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without the dimensions of extent 1 (all of them, or those named).

    >>> import lazygrad as lg
    >>> lg.zeros(1, 3, 1).squeeze().shape, lg.zeros(1, 3, 1).squeeze(0).shape
    (lazygrad.Size([3]), lazygrad.Size([3, 1]))
    """
    x = input._enter()
    axes = normalize_axes(dim, x.rank, "squeeze") if x.rank else ()
    shape = tuple(e for a, e in enumerate(x.shape) if e != 1 or a not in axes)
    return wrap(ops.reshape(x, shape), input, name="Squeeze")


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of extent 1 at ``dim``.

    >>> import lazygrad as lg
    >>> lg.zeros(3).unsqueeze(0).shape
    lazygrad.Size([1, 3])
    """
    x = input._enter()
    axis = normalize_axis(dim, x.rank + 1, "unsqueeze")
    return wrap(ops.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:])), input, name="Unsqueeze")


def permute(input: Tensor, *dims: int | Sequence[int]) -> Tensor:
    """The dimensions in another order: dimension i of the result is ``dims[i]`` of the input.

    >>> import lazygrad as lg
    >>> lg.zeros(2, 3, 4).permute(2, 0, 1).shape
    lazygrad.Size([4, 2, 3])
    """
    x = input._enter()
    order = as_shape(dims)
    if len(order) != x.rank:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the "
            f"desired ordering of dimensions i.e. input.dim() = {x.rank} is not equal to len(dims) = "
            f"{len(order)}"
        )
    axes = tuple(normalize_axis(axis, x.rank, "permute") for axis in order)
    return wrap(ops.permute(x, axes), input, name="Permute")


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged.

    >>> import lazygrad as lg
    >>> lg.arange(6).reshape(2, 3).transpose(0, 1).shape
    lazygrad.Size([3, 2])
    """
    x = input._enter()
    first, second = normalize_axis(dim0, x.rank, "transpose"), normalize_axis(dim1, x.rank, "transpose")
    order = list(range(x.rank))
    if x.rank:
        order[first], order[second] = second, first
    return wrap(ops.permute(x, tuple(order)), input, name="Transpose")


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a vector stays as it is."""
    rank = input._cell.node.rank
    if rank > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {rank}D")
    return transpose(input, 0, 1) if rank == 2 else wrap(input._enter(), input)


def reversed_axes(input: Tensor) -> Tensor:
    """All dimensions in the opposite order: what ``.T`` is."""
    x = input._enter()
    return wrap(ops.permute(x, tuple(reversed(range(x.rank)))), input, name="Permute")


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Dimensions ``source`` moved to ``destination``; the others keep their order.

    >>> import lazygrad as lg
    >>> lg.zeros(2, 3, 4).movedim(0, -1).shape
    lazygrad.Size([3, 4, 2])
    """
    x = input._enter()
    origins = (source,) if isinstance(source, int) else tuple(source)
    targets = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(origins) != len(targets):
        raise RuntimeError("movedim: source and destination must have the same number of elements")
    froms = [normalize_axis(axis, x.rank, "movedim") for axis in origins]
    tos = [normalize_axis(axis, x.rank, "movedim") for axis in targets]
    if len(set(froms)) != len(froms) or len(set(tos)) != len(tos):
        raise RuntimeError(f"movedim: repeated dim in {list(origins)} or {list(targets)}")
    placed = dict(zip(tos, froms, strict=True))
    others = iter(axis for axis in range(x.rank) if axis not in froms)
    order = tuple(placed[axis] if axis in placed else next(others) for axis in range(x.rank))
    return wrap(ops.permute(x, order), input, name="Permute")


def expand(input: Tensor, *sizes: int | Sequence[int]) -> Tensor:
    """Dimensions of extent 1 repeated to ``sizes``; -1 keeps an extent, new dimensions come in front.

    >>> import lazygrad as lg
    >>> lg.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    x = input._enter()
    wanted = as_shape(sizes)
    missing = len(wanted) - x.rank
    if missing < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(wanted)}) must be greater or equal to the number of "
            f"dimensions in the tensor ({x.rank})"
        )
    own = (1,) * missing + x.shape
    shape = tuple(o if w == -1 else w for o, w in zip(own, wanted, strict=True))
    for axis, (o, s) in enumerate(zip(own, shape, strict=True)):
        if o not in (1, s):
            raise RuntimeError(
                f"expand: the expanded size of the tensor ({s}) must match the existing size ({o}) at "
                f"non-singleton dimension {axis}. Target sizes: {list(shape)}. Tensor sizes: {list(x.shape)}"
            )
    return wrap(spread(x, shape), input, name="Expand")


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` expanded to the shape of ``other``."""
    return expand(input, other._cell.node.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """``input`` expanded to ``size``."""
    return expand(input, *size)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape.

    >>> import lazygrad as lg
    >>> a, b = lg.broadcast_tensors(lg.zeros(3, 1), lg.zeros(4))
    >>> a.shape, b.shape
    (lazygrad.Size([3, 4]), lazygrad.Size([3, 4]))
    """
    shape = common_shape("broadcast_tensors", *(tensor._cell.node.shape for tensor in tensors))
    return tuple(expand(tensor, shape) for tensor in tensors)


def repeat(input: Tensor, *repeats: int | Sequence[int]) -> Tensor:
    """The tensor laid out ``repeats`` times along each dimension; new dimensions come in front.

    >>> import lazygrad as lg
    >>> lg.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    x = input._enter()
    times = as_shape(repeats)
    if len(times) < x.rank:
        raise RuntimeError(
            "repeat: number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    own = (1,) * (len(times) - x.rank) + x.shape
    paired = tuple(extent for time, extent in zip(times, own, strict=True) for extent in (time, extent))
    single = tuple(extent for extent in own for extent in (1, extent))
    laid = ops.expand(ops.reshape(x, single), paired)
    shape = tuple(time * extent for time, extent in zip(times, own, strict=True))
    return wrap(ops.reshape(laid, shape), input, name="Repeat")


def tile(input: Tensor, *dims: int | Sequence[int]) -> Tensor:
    """``repeat``, with missing repeats in front taken for 1."""
    times = as_shape(dims)
    return repeat(input, (1,) * (input._cell.node.rank - len(times)) + times)


def repeat_interleave(input: Tensor, repeats: int, dim: int | None = None) -> Tensor:
    """Each element ``repeats`` times in a row, along ``dim`` or in the flattened tensor.

    >>> import lazygrad as lg
    >>> lg.tensor([1, 2]).repeat_interleave(2)
    tensor([1, 1, 2, 2])
    """
    if not isinstance(repeats, int):
        raise TypeError("repeat_interleave: repeats must be an int here, since shapes are known before values")
    x = input._enter()
    if dim is None:
        x, dim = ops.reshape(x, (size_of(x.shape),)), 0
    after = normalize_axis(dim, x.rank, "repeat_interleave") + 1
    laid = ops.expand(
        ops.reshape(x, (*x.shape[:after], 1, *x.shape[after:])), (*x.shape[:after], repeats, *x.shape[after:])
    )
    shape = (*x.shape[: after - 1], x.shape[after - 1] * repeats, *x.shape[after:])
    return wrap(ops.reshape(laid, shape), input, name="RepeatInterleave")


def flip(input: Tensor, *dims: int | Sequence[int]) -> Tensor:
    """The order of elements reversed along ``dims``.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 2], [3, 4]]).flip(0)
    tensor([[3, 4],
            [1, 2]])
    """
    x = input._enter()
    return wrap(ops.flip(x, normalize_axes(as_shape(dims), x.rank, "flip") if x.rank else ()), input)


def part_of(x: Node, axis: int, start: int, stop: int) -> Node:
    """The positions from start to stop - 1 of one axis."""
    return ops.slice_(x, tuple(Range(start, stop) if a == axis else Range(0, e) for a, e in enumerate(x.shape)))
