"""``x[index] = value``: the tensor is bound to one that differs at the indexed positions.

In: an index as for reading, and a value that broadcasts to what reading would give. Out: the same tensor,
bound to a selection between old and new by position, or to a scatter where integer tensors index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazygrad import ops
from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape
from lazygrad.ops.indexing import Mode
from lazygrad.ops.movement import Padding, Range
from lazygrad.ops.source import constant_value
from lazygrad.tensor.creation import tensor
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.index_merge import merge
from lazygrad.tensor.index_plan import read
from lazygrad.tensor.inplace import check_writable, in_place, rebind_node
from lazygrad.tensor.operands import Operand, cast, constant, number, spread

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """``self[index] = value``, by torch's rules; the value is converted to this tensor's dtype.

    >>> import lazygrad as lg
    >>> x = lg.zeros(2, 3)
    >>> x[:, 1] = lg.tensor([1.0, 2.0])
    >>> x[x == 0] = -1
    >>> x
    tensor([[-1.,  1., -1.],
            [-1.,  2., -1.]])
    """
    check_writable(self)
    if not isinstance(value, Handle) and not isinstance(value, (bool, int, float)):
        value = tensor(value, device=self._cell.node.device)
    x = self._enter()
    single = not isinstance(value, Handle) or value._cell.node.shape == ()
    if isinstance(index, Handle) and index._cell.node.dtype is bool_ and single:
        mask = index._enter()
        if mask.shape != x.shape[: mask.rank]:
            raise IndexError(f"the shape of the mask {list(mask.shape)} does not match the tensor's {list(x.shape)}")
        mask = ops.reshape(mask, (*mask.shape, *(1 for _ in x.shape[mask.rank :])))
        result = ops.where(spread(mask, x.shape), value_node(value, x.shape, x.dtype, x.device), x)
    else:
        result = placed(x, index, value, None)
    rebind_node(self, result, wrap(result, self, value))


def placed(x: Node, index: Any, value: Operand, mode: Mode | None) -> Node:
    """``x`` with ``value`` put at ``index``, or with ``mode`` "add" added there."""
    plan = read(x, index)
    if not plan.advanced:
        region = tuple(r.length for r in plan.ranges)
        node = ops.reshape(value_node(value, plan.shape, x.dtype, x.device), region)
        if mode == "add":
            node = ops.add(ops.slice_(x, plan.ranges), node)
        return put(x, plan.ranges, node)
    view = ops.reshape(ops.slice_(x, plan.ranges), plan.shape)
    merged = merge(view.shape, plan.advanced)
    flat = ops.reshape(ops.permute(view, merged.order), merged.flat_shape)
    source = ops.reshape(value_node(value, merged.result_shape, x.dtype, x.device), merged.index_shape)
    changed = ops.scatter(flat, merged.spread_position(), source, merged.at, mode or "set")
    moved = ops.reshape(changed, tuple(view.shape[axis] for axis in merged.order))
    inverse = tuple(merged.order.index(axis) for axis in range(view.rank))
    region = tuple(r.length for r in plan.ranges)
    return put(x, plan.ranges, ops.reshape(ops.permute(moved, inverse), region))


def put(x: Node, ranges: tuple[Range, ...], region: Node) -> Node:
    """``x`` with ``region`` at the positions of ``ranges``."""
    if region.shape == x.shape:
        return region
    paddings = tuple(
        Padding(r.start, extent - r.start - ((r.length - 1) * r.step + 1 if r.length else 0), r.step - 1)
        for r, extent in zip(ranges, x.shape, strict=True)
    )
    inside = ops.pad(ops.constant(True, region.shape, bool_, x.device), paddings)
    value = constant_value(region)
    if value is not None:
        return ops.where(inside, ops.constant(value, x.shape, x.dtype, x.device), x)
    return ops.where(inside, ops.pad(region, paddings), x)


def value_node(value: Operand, shape: Shape, dtype: DType, device: str) -> Node:
    """A value to be assigned, of the shape of what it is assigned to; leading extents of 1 are dropped."""
    if not isinstance(value, Handle):
        return constant(number(value), shape, dtype, device)
    node = value._enter()
    if node.device != device and node.rank == 0 and node.result is not None:
        value = value.to(device)
        node = value._enter()
    own = node.shape
    while len(own) > len(shape) and own[0] == 1:
        own = own[1:]
    fits = len(own) <= len(shape) and all(a in (1, b) for a, b in zip(reversed(own), reversed(shape), strict=False))
    if not fits:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(node.shape)} cannot be broadcast to indexing "
            f"result of shape {list(shape)}"
        )
    return spread(cast(ops.reshape(node, own), dtype), shape)


def index_put(input: Tensor, indices: tuple[Tensor | None, ...], values: Tensor, accumulate: bool = False) -> Tensor:
    """``input`` with ``values`` put at the indexed positions, or with ``accumulate`` added.

    >>> import lazygrad as lg
    >>> lg.zeros(3).index_put((lg.tensor([0, 0]),), lg.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    index = tuple(slice(None) if part is None else part for part in indices)
    return wrap(placed(input._enter(), index, values, "add" if accumulate else "set"), input, values, name="IndexPut")


index_put_ = in_place(index_put)
