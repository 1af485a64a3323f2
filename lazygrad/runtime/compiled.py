"""The compiled way: structure, schedule, programs, launches; and the memory of schedules by structure."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from lazygrad import environment
from lazygrad.ir.node import Node, Place, topological
from lazygrad.ir.printer import print_graph
from lazygrad.ir.shape import size_of
from lazygrad.runtime.buffer import Allocation, Buffer
from lazygrad.runtime.device import CompilingDevice, Program
from lazygrad.runtime.statistics import total
from lazygrad.runtime.structure import Structure, abstract, linearize
from lazygrad.runtime.tuning import chosen
from lazygrad.runtime.watching import Watch, watches
from lazygrad.schedule import Schedule, ScheduledKernel, plan

# How many structures each device remembers; the least recently used go first.
REMEMBERED_SCHEDULES = 256
# From this LAZYGRAD_DEBUG on, graphs are printed before they are scheduled.
GRAPH_LEVEL = 4


class _Launch(NamedTuple):
    """One launch of a schedule, as numbers of slots: leaves first, then what the schedule declares."""

    scheduled: ScheduledKernel
    program: Program
    taken: tuple[tuple[int, int], ...]  # slots that are written here first, and their bytes
    moved: tuple[int, ...]  # slots whose offset is passed
    dropped: tuple[int, ...]  # slots that no later launch and no root needs


class Executable:
    """A schedule with its programs: runs on any leaves of its structure."""

    def __init__(self, schedule: Schedule, programs: Sequence[Program]) -> None:
        self.schedule = schedule
        self.launches: list[_Launch] = []
        count = schedule.leaves
        roots = set(schedule.roots)
        known: set[int] = set()
        for position, (scheduled, program) in enumerate(zip(schedule.kernels, programs, strict=True)):
            declared = [slot for slot in scheduled.slots if slot >= count]
            taken = [(slot, schedule.slots[slot - count].size) for slot in declared if slot not in known]
            known.update(declared)
            buffers = zip(scheduled.slots, scheduled.kernel.buffers, strict=True)
            moved = tuple(slot for slot, declaration in buffers if declaration.movable)
            dropped = [s for s in declared if schedule.last_use[s - count] == position and s not in roots]
            self.launches.append(_Launch(scheduled, program, tuple(taken), moved, tuple(dropped)))

    def run(
        self,
        device: CompilingDevice,
        leaves: Sequence[Buffer],
        numbers: Sequence[bool | int | float],
        place: Place | None,
    ) -> list[Buffer]:
        """Launches every kernel and returns the roots' buffers."""
        held: list[Allocation | None] = [leaf.allocation for leaf in leaves] + [None] * len(self.schedule.slots)
        memories: list[Any] = [leaf.allocation.memory for leaf in leaves] + [None] * len(self.schedule.slots)
        watching = watches(device)
        for scheduled, program, taken, moved, dropped in self.launches:
            for slot, size in taken:
                allocation = held[slot] = device.pool.take(size, place)
                memories[slot] = allocation.memory
            used = [memories[slot] for slot in scheduled.slots]
            offsets = [leaves[slot].offset for slot in moved]
            scalars = [numbers[number] for number in scheduled.scalars]
            if watching:
                _launch_watched(watching, device, scheduled, program, used, offsets, scalars)
            else:
                program.launch(used, offsets, scalars)
            for slot in dropped:
                held[slot] = None
        return [self._root(slot, held, leaves, device) for slot in self.schedule.roots]

    def _root(
        self, slot: int, held: Sequence[Allocation | None], leaves: Sequence[Buffer], device: CompilingDevice
    ) -> Buffer:
        if slot < self.schedule.leaves:
            return leaves[slot]
        allocation = held[slot]
        assert allocation is not None
        made = self.schedule.slots[slot - self.schedule.leaves]
        return Buffer(allocation, made.shape, made.dtype, device.name, made.layout)


def _launch_watched(
    watching: Sequence[Watch],
    device: CompilingDevice,
    scheduled: ScheduledKernel,
    program: Program,
    memories: Sequence[Any],
    offsets: Sequence[int],
    scalars: Sequence[bool | int | float],
) -> None:
    device.synchronize()
    for watch in watching:
        watch.before(scheduled, memories, offsets)
    program.launch(memories, offsets, scalars)
    device.synchronize()
    for watch in watching:
        watch.after(scheduled, memories, scalars)


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
        computed, executable.run(device, structure.leaves, numbers, computed[0].place), strict=True
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
    made = Executable(schedule, device.compile_alternatives(kernels, chosen(device, kernels)))
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
