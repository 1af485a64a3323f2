"""What an index expression means: ints, slices, None, Ellipsis, masks and integer tensors, in any mixture.

In: a tensor's node and the expression between its brackets. Out: a plan: the slice and the reshape for everything
that is known, and index nodes for the dimensions that integer tensors index.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy

from lazygrad import ops, runtime
from lazygrad.ir.dtype import bool_, int64
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape
from lazygrad.ops.movement import Range
from lazygrad.tensor.handle import Handle
from lazygrad.tensor.operands import cast, common_shape, spread
from lazygrad.tensor.realization import to_host

Array = numpy.ndarray[Any, Any]


class Plan(NamedTuple):
    """An index, read: ``ranges`` for one slice, ``shape`` for one reshape, ``advanced`` for one gather.

    ``advanced`` maps dimensions of the reshaped view to index nodes (int64, already broadcast to one shape).
    """

    ranges: tuple[Range, ...]
    shape: Shape
    advanced: dict[int, Node]


def read(x: Node, index: Any) -> Plan:
    """What ``index`` means for ``x``. Bool masks are computed here: the shape depends on them.

    Raises:
        IndexError: too many indices, or a position out of range.
        TypeError: something that cannot be an index.
        ValueError: a slice with a step that is not positive.
    """
    entries = [_entry(entry) for entry in _as_entries(index)]
    consumed = sum(_dimensions(entry) for entry in entries)
    if consumed > x.rank:
        raise IndexError(f"too many indices for tensor of dimension {x.rank} (got {consumed})")
    ellipses = sum(entry is Ellipsis for entry in entries)
    if ellipses > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if not ellipses:
        entries.append(Ellipsis)

    ranges: list[Range] = []
    shape: list[int] = []
    advanced: dict[int, Node] = {}
    for entry in entries:
        axis = len(ranges)
        match entry:
            case None:
                shape.append(1)
            case int():
                position = _position(entry, x.shape[axis], axis)
                ranges.append(Range(position, position + 1))
            case slice():
                chosen = _range(entry, x.shape[axis])
                ranges.append(chosen)
                shape.append(chosen.length)
            case Node() | numpy.ndarray():
                for part in _positions(entry, x, axis):
                    advanced[len(shape)] = part
                    extent = x.shape[len(ranges)]
                    shape.append(extent)
                    ranges.append(Range(0, extent))
            case _:
                for extent in x.shape[axis : axis + x.rank - consumed]:
                    ranges.append(Range(0, extent))
                    shape.append(extent)
    if advanced:
        common = common_shape("index", *(node.shape for node in advanced.values()))
        advanced = {axis: spread(node, common) for axis, node in advanced.items()}
    return Plan(tuple(ranges), tuple(shape), advanced)


def _as_entries(index: Any) -> list[Any]:
    """The parts of an index. torch takes a list that holds more than numbers for a tuple."""
    if isinstance(index, tuple):
        return list(index)
    if isinstance(index, list) and any(
        part is None or part is Ellipsis or isinstance(part, (list, tuple, slice, Handle, numpy.ndarray))
        for part in index
    ):
        return index
    return [index]


def _entry(entry: Any) -> Any:
    """One part of an index: None, Ellipsis, int, slice, a host array, or the node of an integer tensor."""
    if entry is None or entry is Ellipsis or isinstance(entry, slice):
        return entry
    if isinstance(entry, bool):
        raise IndexError("a bool as an index is not supported: use None for x[True], and x[:0] for x[False]")
    if isinstance(entry, int):
        return entry
    if isinstance(entry, (list, numpy.ndarray)):
        array = numpy.asarray(entry)
        if not array.size and not isinstance(entry, numpy.ndarray):
            array = array.astype(numpy.int64)
        if array.dtype.kind not in "biu":
            raise IndexError(f"tensors used as indices must be integer or bool, got {array.dtype.name}")
        return array
    if isinstance(entry, Handle):
        dtype = entry._cell.node.dtype
        if dtype.is_float:
            raise IndexError(
                f"tensors used as indices must be integer or bool tensors, got {dtype.name}; convert with .long()"
            )
        return to_host(entry) if dtype is bool_ else entry._enter()
    if hasattr(entry, "__index__"):
        return operator.index(entry)
    raise TypeError(
        f"an index must be an int, slice, None, Ellipsis, list or integer or bool tensor, got {type(entry).__name__}"
    )


def _dimensions(entry: Any) -> int:
    """How many dimensions an entry takes up."""
    if isinstance(entry, numpy.ndarray):
        return entry.ndim if entry.dtype.kind == "b" else 1
    return 0 if entry is None or entry is Ellipsis else 1


def _position(position: int, extent: int, axis: int) -> int:
    if not -extent <= position < extent:
        raise IndexError(f"index {position} is out of bounds for dimension {axis} with size {extent}")
    return position % extent


def _range(entry: slice, extent: int) -> Range:
    bounds = (
        int(to_host(part).item()) if isinstance(part, Handle) else part
        for part in (entry.start, entry.stop, entry.step)
    )
    start, stop, step = slice(*bounds).indices(extent)
    if step < 1:
        raise ValueError("slice step must be positive; use flip for the opposite order")
    return Range(start, max(start, stop), step)


def _positions(entry: Node | Array, x: Node, axis: int) -> list[Node]:
    """Index nodes, one for each dimension that the entry takes up; none is negative."""
    if isinstance(entry, Node):
        position = cast(entry, int64)
        return [ops.where(ops.lt(position, 0), ops.add(position, x.shape[axis]), position)]
    if entry.dtype.kind == "b":
        if entry.shape != x.shape[axis : axis + entry.ndim]:
            raise IndexError(
                f"the shape of the mask {list(entry.shape)} at index {axis} does not match the shape of the "
                f"indexed tensor {list(x.shape)}"
            )
        return host_positions(entry, x.device)
    extent = x.shape[axis]
    outside = entry[(entry < -extent) | (entry >= extent)]
    if outside.size:
        _position(int(outside.flat[0]), extent, axis)
    return [_buffer(numpy.where(entry < 0, entry + extent, entry), x.device)]


def host_positions(mask: Array, device: str) -> list[Node]:
    """The positions of what is not zero, one node for each dimension."""
    return [_buffer(part, device) for part in numpy.nonzero(mask)]


def _buffer(positions: Array, device: str) -> Node:
    return ops.buffer(runtime.from_host(positions, int64, device))
