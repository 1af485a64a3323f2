"""The structure of a graph: what decides which kernels compute it, apart from which buffers and numbers it reads.

In: roots. Out: a key (equal for every graph that the same schedule serves), the buffers of the leaves and the
numbers of the arguments, both in the key's order. Leaves are abstracted to shape, dtype and layout; a slice of a
buffer is a leaf that starts at an offset, so that a batch loop over one big tensor has one structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lazygrad import ops
from lazygrad.ir.layout import strided
from lazygrad.ir.node import ORIGIN, Node, topological, with_inputs
from lazygrad.ir.op import Op
from lazygrad.ops.identity import DETACH, LEAF
from lazygrad.ops.padding import SLICE
from lazygrad.ops.recomputation import CHECKPOINT
from lazygrad.ops.source import ARGUMENT, BUFFER, ArgumentHandle
from lazygrad.runtime.buffer import Buffer
from lazygrad.schedule import LeafSlot


class Structure(NamedTuple):
    """A linearised graph. ``order`` lists its nodes, leaves and arguments included; ``steps`` is the key.

    ``defers``: there are deferred composites in it. What these stand for depends on the ``markers`` too, the operations
    of the nodes that are one step with their input, in order; and on what lies behind computed nodes, if there are any
    (``is_cut``).
    """

    order: list[Node]
    steps: tuple[Any, ...]
    leaves: list[Buffer]
    arguments: list[ArgumentHandle]
    defers: bool = False
    markers: tuple[Op, ...] = ()
    is_cut: bool = False


def linearize(roots: Sequence[Node]) -> Structure:
    """Walks the uncomputed graph behind ``roots``."""
    order = topological(roots, _edges)
    number: dict[Node, int] = {}
    number_of = number.__getitem__
    steps: list[Any] = []
    leaves: list[Buffer] = []
    leaf_numbers: dict[Any, int] = {}
    arguments: list[ArgumentHandle] = []
    markers: list[Op] = []
    defers = is_cut = False
    for position, current in enumerate(order):
        number[current] = position
        op = current.op
        buffer: Buffer | None = current.result
        if buffer is None and op is SLICE:
            buffer = window(current)
        elif buffer is not None and op is not BUFFER:
            is_cut = True
        if buffer is not None:
            steps.append(_leaf_step(buffer, leaves, leaf_numbers))
        elif op is ARGUMENT:
            steps.append(("argument", current.dtype))
            arguments.append(current.attributes.handle)
        elif op is LEAF or op is DETACH or op is CHECKPOINT:
            steps.append(number[current.inputs[0]])
            markers.append(op)
        elif op.is_deferred:
            steps.append((op, current.attributes.key, *map(number_of, current.inputs)))
            defers = True
        else:
            steps.append((op, current.attributes, *map(number_of, current.inputs)))
    steps.append(tuple(number[root] for root in roots))
    return Structure(order, tuple(steps), leaves, arguments, defers, tuple(markers), is_cut)


def leaf_key(buffer: Buffer) -> Any:
    """Equal for buffers that are one leaf."""
    return (id(buffer.allocation), buffer.offset, buffer.layout, buffer.dtype)


def _leaf_step(buffer: Buffer, leaves: list[Buffer], known: dict[Any, int]) -> tuple[Any, ...]:
    slot = known.setdefault(leaf_key(buffer), len(leaves))
    if slot == len(leaves):
        leaves.append(buffer)
    return ("leaf", slot, buffer.dtype, buffer.layout, buffer.is_window)


def _edges(of: Node) -> tuple[Node, ...]:
    return () if of.result is not None or (of.op is SLICE and window(of) is not None) else of.inputs


def window(of: Node) -> Buffer | None:
    """A slice of something computed, as a buffer of its own on the same memory."""
    whole: Buffer | None = of.inputs[0].result
    if whole is None or 0 in of.shape:
        return None
    strides = whole.layout.strides
    if strides is None:
        return None
    ranges = of.attributes.ranges
    offset = whole.offset + whole.layout.offset + sum(r.start * s for r, s in zip(ranges, strides, strict=True))
    layout = strided(of.shape, [r.step * s for r, s in zip(ranges, strides, strict=True)])
    return Buffer(whole.allocation, of.shape, of.dtype, whole.device, layout, offset, is_window=True)


def substitute(
    structure: Structure, leaves: Sequence[Buffer], numbers: Sequence[bool | int | float], device: str
) -> list[Node]:
    """The roots of the same graph over other leaves and numbers."""
    made: list[Node] = []
    values = iter(zip(structure.arguments, numbers, strict=True))
    for current, step in zip(structure.order, structure.steps, strict=False):
        if isinstance(step, int):
            made.append(made[step])
        elif step[0] == "leaf":
            made.append(ops.buffer(leaves[step[1]]))
        elif step[0] == "argument":
            handle, number = next(values)
            made.append(ops.argument(number, handle.dtype, device))
        elif current.inputs:
            made.append(with_inputs(current, tuple([made[i] for i in step[2:]])))
        else:
            made.append(current)
    return [ops.leaf(made[position]) for position in structure.steps[-1]]


class AbstractGraph(NamedTuple):
    """The same graph over placeholders: it holds no buffer."""

    roots: list[Node]
    leaves: dict[Node, LeafSlot]
    arguments: list[Node]


def abstract(structure: Structure, device: str) -> AbstractGraph:
    """Rebuilds the graph with leaves and arguments replaced by stand-ins, in the order of their numbers."""
    made: list[Node] = []
    leaves: dict[int, Node] = {}
    slots: dict[int, LeafSlot] = {}
    arguments: list[Node] = []
    outer = ORIGIN.place
    try:
        for current, step in zip(structure.order, structure.steps, strict=False):
            ORIGIN.place = current.place
            if isinstance(step, int):
                made.append(made[step])
            elif step[0] == "leaf":
                slot = step[1]
                if slot not in leaves:
                    leaves[slot] = ops.placeholder(current.shape, current.dtype, device)
                    slots[slot] = LeafSlot(step[3], step[4])
                made.append(leaves[slot])
            elif step[0] == "argument":
                made.append(ops.argument(0, current.dtype, device))
                arguments.append(made[-1])
            elif current.inputs:
                made.append(with_inputs(current, tuple([made[i] for i in step[2:]])))
            else:
                made.append(current)
    finally:
        ORIGIN.place = outer
    roots = [made[position] for position in structure.steps[-1]]
    return AbstractGraph(roots, {leaves[slot]: slots[slot] for slot in sorted(leaves)}, arguments)
