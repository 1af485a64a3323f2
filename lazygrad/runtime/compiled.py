"""The compiled way: structure, schedule, programs, launches; and the memory of schedules by structure."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from lazygrad import environment
from lazygrad.ir.node import Node, Place, topological
from lazygrad.ir.printer import print_graph
from lazygrad.ir.shape import size_of
from lazygrad.runtime.buffer import Allocation, Buffer
from lazygrad.runtime.device import CompilingDevice, Program
from lazygrad.runtime.statistics import total
from lazygrad.runtime.structure import Structure, abstract, linearize
from lazygrad.runtime.tuning import chosen
from lazygrad.runtime.watching import watches
from lazygrad.schedule import Schedule, plan

# How many structures each device remembers; the least recently used go first.
REMEMBERED_SCHEDULES = 256
# From this LAZYGRAD_DEBUG on, graphs are printed before they are scheduled.
GRAPH_LEVEL = 4


@dataclass(frozen=True)
class Executable:
    """A schedule with its programs: runs on any leaves of its structure."""

    schedule: Schedule
    programs: tuple[Program, ...]

    def run(
        self, device: CompilingDevice, leaves: Sequence[Buffer], numbers: Sequence[bool | int | float],
        places: Sequence[Place | None],
    ) -> list[Buffer]:  # fmt: skip
        """Launches every kernel and returns the roots' buffers."""
        schedule = self.schedule
        count = schedule.leaves
        allocations: list[Allocation | None] = [None] * len(schedule.slots)
        watching = watches(device)
        kept = {slot - count for slot in schedule.roots if slot >= count}
        for position, (scheduled, program) in enumerate(zip(schedule.kernels, self.programs, strict=True)):
            memories = []
            offsets = []
            for slot, declaration in zip(scheduled.slots, scheduled.kernel.buffers, strict=True):
                if slot < count:
                    memories.append(leaves[slot].allocation.memory)
                    if declaration.movable:
                        offsets.append(leaves[slot].offset)
                else:
                    held = allocations[slot - count]
                    if held is None:
                        wanted = schedule.slots[slot - count]
                        held = device.pool.take(wanted.layout.size * wanted.dtype.itemsize, places[0])
                        allocations[slot - count] = held
                    memories.append(held.memory)
            scalars = [numbers[number] for number in scheduled.scalars]
            if watching:
                device.synchronize()
                for watch in watching:
                    watch.before(scheduled, memories, offsets)
            program.launch(memories, offsets, scalars)
            if watching:
                device.synchronize()
                for watch in watching:
                    watch.after(scheduled, memories, scalars)
            for slot in scheduled.slots:
                if slot >= count and schedule.last_use[slot - count] == position and slot - count not in kept:
                    allocations[slot - count] = None
        roots = []
        for slot in schedule.roots:
            if slot < count:
                roots.append(leaves[slot])
                continue
            held = allocations[slot - count]
            assert held is not None
            made = schedule.slots[slot - count]
            roots.append(Buffer(held, made.shape, made.dtype, device.name, made.layout))
        return roots


_EXECUTABLES: dict[str, OrderedDict[object, Executable]] = {}


def realize_compiled(device: CompilingDevice, roots: Sequence[Node]) -> None:
    """Fills ``result`` of every root."""
    computed = []
    for root in roots:
        if size_of(root.shape):
            computed.append(root)
        else:
            root.result = device.empty(root.shape, root.dtype)
    if not computed:
        return
    if environment.level("LAZYGRAD_DEBUG") >= GRAPH_LEVEL:
        print(print_graph(computed), file=sys.stderr)
    structure = linearize(computed)
    executable = _find(device, structure)
    numbers = [handle.value for handle in structure.arguments]
    for root, buffer in zip(
        computed, executable.run(device, structure.leaves, numbers, [computed[0].place]), strict=True
    ):
        root.result = buffer


def _find(device: CompilingDevice, structure: Structure) -> Executable:
    known = _EXECUTABLES.setdefault(device.name, OrderedDict())
    found = known.get(structure.steps)
    if found is not None:
        known.move_to_end(structure.steps)
        return found
    total.schedules_made += 1
    graph = abstract(structure, device.name)
    _check_dtypes(device, graph.roots)
    capabilities = device.capabilities
    schedule = plan(graph.roots, graph.leaves, graph.arguments, capabilities.machine, capabilities.argument_limit)
    kernels = [scheduled.kernel for scheduled in schedule.kernels]
    made = Executable(schedule, tuple(device.compile_alternatives(kernels, chosen(device, kernels))))
    known[structure.steps] = made
    if len(known) > REMEMBERED_SCHEDULES:
        known.popitem(last=False)
    return made


def _check_dtypes(device: CompilingDevice, roots: Sequence[Node]) -> None:
    """TypeError where an operation needs a type that the device does not have; nothing falls back silently."""
    for current in topological(roots):
        if current.dtype not in device.dtypes:
            raise TypeError(
                f"{current.op.name}: {device.name} ({device.information.description}) has no {current.dtype.name}; it "
                f"supports {', '.join(sorted(d.name for d in device.dtypes))}. Convert with .to(dtype) before. "
                f"Needed at {current.place}"
            )
