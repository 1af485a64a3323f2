"""A schedule with its programs as bytes, and back.

In: a schedule, what the device remembers of each program, and the nodes of the graph that it was made for. Out: one
line of JSON with all that launching needs, followed by the kernels' bodies (see ``recalled_kernel``). A kernel's place,
the user's line for messages, is kept as the number of a node that has it: another process has that node, with its own
line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lazygrad.ir.dtype import BY_NAME
from lazygrad.ir.layout import Layout, Part
from lazygrad.ir.node import Node, Place
from lazygrad.kernel.kernel import BufferDeclaration, Kernel
from lazygrad.runtime.recalled_kernel import PackedBodies, RecalledKernel, pack_bodies
from lazygrad.schedule import Schedule, ScheduledKernel, SlotDeclaration

# Part of every key: raise it when records are written otherwise.
FORMAT = "schedule 1"


class Recalled(NamedTuple):
    """A schedule from disk; for each of its different kernels the kernel and what the device remembers of it."""

    schedule: Schedule
    kernels: list[Kernel]
    programs: list[Any]
    numbers: list[int]  # for each launch, which of the kernels it is
    premises: list[Any]


def write_record(
    schedule: Schedule, remembered: Callable[[int], Any], order: Sequence[Node], premises: Sequence[Any] = ()
) -> bytes:
    """``remembered`` tells what the device remembers of the program of the launch with a number.

    ``premises`` are plain data that must still hold where the record is used.
    """
    numbers: dict[Kernel, int] = {}
    kernels: list[Any] = []
    programs: list[Any] = []
    nodes: dict[tuple[int, int], int] = {}
    for number, each in enumerate(order):
        if each.place is not None:
            nodes.setdefault(_key(each.place), number)
    launches = []
    for position, scheduled in enumerate(schedule.kernels):
        if scheduled.kernel not in numbers:
            numbers[scheduled.kernel] = len(numbers)
            kernels.append(_write_kernel(scheduled))
            programs.append(remembered(position))
        place = scheduled.place
        node = len(order) - 1 if place is None else nodes.get(_key(place), len(order) - 1)
        launches.append([numbers[scheduled.kernel], scheduled.slots, scheduled.scalars, node])
    head = {
        "kernels": kernels,
        "programs": programs,
        "premises": premises,
        "launches": launches,
        "leaves": schedule.leaves,
        "slots": [[slot.shape, slot.dtype.name, slot.layout] for slot in schedule.slots],
        "roots": schedule.roots,
        "last_use": schedule.last_use,
        "leaf_sizes": schedule.leaf_sizes,
    }
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + pack_bodies(list(numbers))


def _key(place: Place) -> tuple[int, int]:
    return id(place.code), place.instruction


def _write_kernel(scheduled: ScheduledKernel) -> list[Any]:
    kernel = scheduled.kernel
    buffers = [[b.dtype.name, b.size, b.written, b.movable] for b in kernel.buffers]
    return [kernel.name, buffers, [dtype.name for dtype in kernel.scalars], scheduled.in_place]


def read_record(data: bytes, order: Sequence[Node]) -> Recalled:
    """The inverse of ``write_record``, for a graph of the same structure."""
    end = data.index(b"\n")
    head = json.loads(data[:end])
    packed = PackedBodies(data[end + 1 :])
    kernels: list[Kernel] = []
    pairs: list[tuple[tuple[int, int], ...]] = []
    for number, (name, buffers, scalars, in_place) in enumerate(head["kernels"]):
        declared = tuple([BufferDeclaration(BY_NAME[dtype], *rest) for dtype, *rest in buffers])
        kernels.append(RecalledKernel(name, declared, tuple([BY_NAME[each] for each in scalars]), packed, number))
        pairs.append(tuple([(read, written) for read, written in in_place]))
    launches: list[ScheduledKernel] = []
    numbers: list[int] = []
    for number, slots, arguments, node in head["launches"]:
        made = ScheduledKernel(kernels[number], tuple(slots), tuple(arguments), order[node].place if order else None)
        made.__dict__["in_place"] = pairs[number]  # where the cached property would keep it
        launches.append(made)
        numbers.append(number)
    layouts = [
        SlotDeclaration(tuple(shape), BY_NAME[dtype], _layout(*layout)) for shape, dtype, layout in head["slots"]
    ]
    schedule = Schedule(
        tuple(launches), head["leaves"], tuple(layouts), tuple(head["roots"]), tuple(head["last_use"]),
        tuple(head["leaf_sizes"]),
    )  # fmt: skip
    return Recalled(schedule, kernels, head["programs"], numbers, head["premises"])


def _layout(shape: Sequence[int], parts: Sequence[Sequence[int]], size: int, offset: int) -> Layout:
    return Layout(tuple(shape), tuple([Part(*part) for part in parts]), size, offset)
