"""``x[index]``: what an index expression means, and reading by it.

In: ints, slices, None, Ellipsis, bool masks and integer tensors, in any mixture. Out: first one slice and one
reshape for everything that is known (so a batch ``X[i*B:(i+1)*B]`` stays one slice of X), then, where integer
tensors index, one gather along the flattened axis of the dimensions they index.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from lazygrad import ops, runtime
from lazygrad.ir.dtype import bool_, int64
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.movement import Range
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.operands import cast, common_shape, spread
from lazygrad.tensor.realization import to_host

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


class Plan(NamedTuple):
    """An index, read: ``ranges`` for one slice, ``shape`` for one reshape, ``advanced`` for one gather.

    ``advanced`` maps dimensions of the reshaped view to index nodes (int64, already broadcast to one shape).
    """

    ranges: tuple[Range, ...]
    shape: Shape
    advanced: dict[int, Node]


def getitem(self: Tensor, index: Any) -> Tensor:
    """``self[index]``, by torch's rules. A bool mask is computed at once: the shape depends on it.

    Positions in index tensors are not checked, that would wait for the device; one out of range reads as
    zero.

    >>> import lazygrad as lg
    >>> x = lg.arange(12).reshape(3, 4)
    >>> x[1], x[:, -1], x[[0, 2], 1:3]
    (tensor([4, 5, 6, 7]), tensor([ 3,  7, 11]), tensor([[ 1,  2],
            [ 9, 10]]))
    """
    x = self._enter()
    plan = read(x, index)
    view = ops.reshape(ops.slice_(x, plan.ranges), plan.shape)
    if not plan.advanced:
        return wrap(view, self, name="Slice" if view.rank == x.rank else "Select")
    return wrap(take(view, plan.advanced), self, name="Index")


def read(x: Node, index: Any) -> Plan:
    """What ``index`` means for ``x``.

    Raises:
        IndexError: too many indices, or a position out of range.
        TypeError: something that cannot be an index.
    """
    entries = [_entry(entry, x.device) for entry in _as_entries(index)]
    consumed = 0
    for entry in entries:
        consumed += _dimensions(entry)
    if consumed > x.rank:
        raise IndexError(f"too many indices for tensor of dimension {x.rank} (got {consumed})")
    if sum(entry is Ellipsis for entry in entries) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if Ellipsis not in [entry for entry in entries if not isinstance(entry, Node)]:
        entries.append(Ellipsis)

    ranges: list[Range] = []
    shape: list[int] = []
    tensors: dict[int, Node] = {}
    for entry in entries:
        axis = len(ranges)
        match entry:
            case None:
                shape.append(1)
            case bool():
                shape.append(1 if entry else 0)
                if not entry:
                    raise IndexError("indexing with False is not supported; use x[:0]")
            case int():
                position = _position(entry, x.shape[axis], axis)
                ranges.append(Range(position, position + 1))
            case slice():
                chosen = _range(entry, x.shape[axis])
                ranges.append(chosen)
                shape.append(chosen.count)
            case Node():
                for part in _positions(entry, x.shape, axis):
                    tensors[len(shape)] = part
                    shape.append(x.shape[len(ranges)])
                    ranges.append(Range(0, x.shape[len(ranges)]))
            case _:
                for extent in x.shape[axis : axis + x.rank - consumed]:
                    ranges.append(Range(0, extent))
                    shape.append(extent)
    if tensors:
        common = common_shape("index", *(node.shape for node in tensors.values()))
        tensors = {axis: spread(node, common) for axis, node in tensors.items()}
    return Plan(tuple(ranges), tuple(shape), tensors)


def _as_entries(index: Any) -> list[Any]:
    return list(index) if isinstance(index, tuple) else [index]


def _entry(entry: Any, device: str) -> Any:
    """One part of an index: None, Ellipsis, bool, int, slice, or the node of a tensor."""
    if entry is None or entry is Ellipsis or isinstance(entry, (bool, int, slice)):
        return entry
    if isinstance(entry, (list, numpy.ndarray)):
        array = numpy.asarray(entry)
        if array.size == 0 and array.dtype.kind == "f":
            array = array.astype(numpy.int64)
        if array.dtype.kind not in "biu":
            raise IndexError(f"tensors used as indices must be integer or bool, got {array.dtype.name}")
        dtype = bool_ if array.dtype.kind == "b" else int64
        return ops.buffer(runtime.from_host(array, dtype, device))
    if isinstance(entry, Handle):
        node = entry._enter()
        if node.dtype.is_float:
            raise IndexError(
                f"tensors used as indices must be integer or bool tensors, got {node.dtype.name}; convert "
                "with .long()"
            )
        return node
    if hasattr(entry, "__index__"):
        return operator.index(entry)
    raise TypeError(
        "an index must be an int, slice, None, Ellipsis, list or integer or bool tensor, got "
        f"{type(entry).__name__}"
    )


def _dimensions(entry: Any) -> int:
    """How many dimensions an entry takes up."""
    if isinstance(entry, Node):
        return entry.rank if entry.dtype is bool_ else 1
    return 0 if entry is None or entry is Ellipsis or isinstance(entry, bool) else 1


def _position(position: int, extent: int, axis: int) -> int:
    if not -extent <= position < extent:
        raise IndexError(f"index {position} is out of bounds for dimension {axis} with size {extent}")
    return position % extent


def _range(entry: slice, extent: int) -> Range:
    bounds = (
        int(to_host(part).item()) if isinstance(part, Handle) else part
        for part in (entry.start, entry.stop, entry.step)
    )
    start, stop, step = (
        slice(*bounds).indices(extent) if entry.step is None or int(entry.step) > 0 else (0, 0, 0)
    )
    if step < 1:
        raise ValueError("slice step must be positive; use flip for the opposite order")
    return Range(start, max(start, stop), step)


def _positions(entry: Node, shape: Shape, axis: int) -> list[Node]:
    """Index nodes, one for each dimension that the entry takes up; none is negative."""
    if entry.dtype is bool_:
        if entry.shape != shape[axis : axis + entry.rank]:
            raise IndexError(
                f"the shape of the mask {list(entry.shape)} at index {axis} does not match the shape of the "
                f"indexed tensor {list(shape)}"
            )
        return nonzero_nodes(entry)
    extent = shape[axis]
    position = cast(entry, int64)
    return [ops.where(ops.lt(position, 0), ops.add(position, extent), position)]


def nonzero_nodes(mask: Node) -> list[Node]:
    """The positions of what is not zero, one node for each dimension. Computes the mask, and waits."""
    array = to_host(wrap(mask))
    return [
        ops.buffer(runtime.from_host(part, int64, mask.device))
        for part in numpy.nonzero(array.reshape(mask.shape))
    ]


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The positions of elements that are not zero: (number, rank), or one vector for each dimension.

    The shape depends on data, so the tensor is computed now.
    """
    parts = tuple(wrap(part) for part in nonzero_nodes(input._enter()))
    if as_tuple:
        return parts
    from lazygrad.tensor.joining import stack

    return stack(parts, 1)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask`` holds, as a vector. The mask is computed now."""
    shape = common_shape("masked_select", input._cell.node.shape, mask._cell.node.shape)
    return getitem(input.expand(shape), mask.expand(shape))


class Merged(NamedTuple):
    """The dimensions that index tensors index, moved together and flattened to one.

    ``order`` moves them (they come to lie from ``at`` on), ``before``, ``inner`` and ``after`` are the
    extents around and within; ``position`` is the flat position, of the index tensors' common shape.
    """

    order: tuple[int, ...]
    at: int
    before: Shape
    inner: Shape
    after: Shape
    position: Node

    @property
    def flat_shape(self) -> Shape:
        """The tensor's, with the indexed dimensions as one."""
        return (*self.before, size_of(self.inner), *self.after)

    @property
    def index_shape(self) -> Shape:
        """What is gathered, with the index tensors' dimensions as one."""
        return (*self.before, size_of(self.position.shape), *self.after)

    @property
    def result_shape(self) -> Shape:
        """What is gathered."""
        return (*self.before, *self.position.shape, *self.after)

    def spread_position(self) -> Node:
        """The position spread over the other dimensions, as gather and scatter along ``at`` want it."""
        count = size_of(self.position.shape)
        line = (*(1 for _ in self.before), count, *(1 for _ in self.after))
        return ops.expand(ops.reshape(self.position, line), self.index_shape)


def merge(shape: Shape, advanced: dict[int, Node]) -> Merged:
    """How index tensors at dimensions ``advanced`` of a tensor of ``shape`` become one index along one axis.

    By torch's rule the result's index dimensions stand where the first of them was when all are neighbours,
    and in front otherwise.
    """
    axes = tuple(advanced)
    together = axes == tuple(range(axes[0], axes[0] + len(axes)))
    others = tuple(axis for axis in range(len(shape)) if axis not in advanced)
    at = axes[0] if together else 0
    position: Node | None = None
    for axis in axes:
        step = advanced[axis]
        position = step if position is None else ops.add(ops.mul(position, shape[axis]), step)
    assert position is not None
    return Merged(
        (*others[:at], *axes, *others[at:]),
        at,
        tuple(shape[axis] for axis in others[:at]),
        tuple(shape[axis] for axis in axes),
        tuple(shape[axis] for axis in others[at:]),
        position,
    )


def take(x: Node, advanced: dict[int, Node]) -> Node:
    """The elements of ``x`` at the positions that index nodes give for some of its dimensions."""
    merged = merge(x.shape, advanced)
    flat = ops.reshape(ops.permute(x, merged.order), merged.flat_shape)
    return ops.reshape(ops.gather(flat, merged.spread_position(), merged.at), merged.result_shape)
