"""A schedule with its programs: runs on any leaves of its structure.

In: buffers for the leaves, numbers for the arguments, and which leaves nobody needs any more. Out: buffers of the
roots. All memory is there before the first launch: one arena for what nobody sees, planned in ``schedule.memory``, and
for each root memory of its own, or that of a leaf which it overwrites.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NamedTuple

from lazygrad.ir.node import Place
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.device import CompilingDevice, Program
from lazygrad.runtime.watching import Watch, watches
from lazygrad.schedule import Schedule, ScheduledKernel
from lazygrad.schedule.memory import MemoryPlan, plan_memory

NOTHING: frozenset[int] = frozenset()


class _Launch(NamedTuple):
    """One launch of a schedule, as numbers of slots: leaves first, then what the schedule declares."""

    scheduled: ScheduledKernel
    program: Program
    slots: tuple[int, ...]
    moved: tuple[int, ...]  # slots whose offset is passed
    scalars: tuple[int, ...]


class Executable:
    """Programs in the order of a schedule."""

    def __init__(self, schedule: Schedule, programs: Sequence[Program]) -> None:
        self.schedule = schedule
        self.launches: list[_Launch] = []
        for scheduled, program in zip(schedule.kernels, programs, strict=True):
            buffers = zip(scheduled.slots, scheduled.kernel.buffers, strict=True)
            moved = tuple(slot for slot, declaration in buffers if declaration.movable)
            self.launches.append(_Launch(scheduled, program, scheduled.slots, moved, scheduled.scalars))
        self._plans: dict[tuple[Set[int], int], MemoryPlan] = {}

    def memory(self, device: CompilingDevice, donated: Set[int] = NOTHING) -> MemoryPlan:
        """Where everything lies if the leaves with the numbers ``donated`` may be overwritten."""
        key = (frozenset(donated), device.region_alignment)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = plan_memory(self.schedule, donated, device.region_alignment)
        return plan

    def run(
        self,
        device: CompilingDevice,
        leaves: Sequence[Buffer],
        numbers: Sequence[bool | int | float],
        place: Place | None,
        donated: Set[int] = NOTHING,
    ) -> list[Buffer]:
        """Launches every kernel and returns the roots' buffers.

        ``donated`` leaves may be overwritten: they know afterwards that they were (see ``Buffer``). An
        exception before the first launch (no memory) leaves everything as it was; one of a launch leaves the leaves as
        they were that no launch before has overwritten. To be called within ``undivided``, together with whatever makes
        the results known.
        """
        schedule, plan = self.schedule, self.memory(device, donated)
        memories: list[Any] = [leaf.allocation.memory for leaf in leaves]
        results: dict[int, Buffer] = {}
        overwritten: dict[int, Buffer] = {}  # by the slot that takes the memory
        # Held until everything is submitted: who asks the pool afterwards comes later in the device's order.
        arena = device.pool.take(plan.arena, place) if plan.arena else None
        for slot, offset, donor in zip(schedule.slots, plan.offsets, plan.donors, strict=True):
            if offset is not None:
                assert arena is not None
                memories.append(device.region(arena.memory, offset, slot.size))
                continue
            if donor is None:
                allocation = device.pool.take(slot.size, place)
            else:
                allocation = leaves[donor].allocation
                overwritten[len(memories)] = leaves[donor]
            memories.append(allocation.memory)
            results[len(memories) - 1] = Buffer(allocation, slot.shape, slot.dtype, device.name, slot.layout)
        watching = watches(device)
        remaining = iter(self.launches)
        try:
            for scheduled, program, slots, moved, scalars in remaining:
                used = [memories[slot] for slot in slots]
                offsets = [leaves[slot].offset for slot in moved]
                values = [numbers[number] for number in scalars]
                if watching:
                    _launch_watched(watching, device, scheduled, program, used, offsets, values)
                else:
                    program.launch(used, offsets, values)
        except BaseException:
            launched = self.launches[: len(self.launches) - len(list(remaining))]
            touched = {number for launch in launched for number in launch.slots}
            for number, leaf in overwritten.items():
                if number in touched:
                    leaf.overwrite(place)
            raise
        for leaf in overwritten.values():
            leaf.overwrite(place)
        return [results[slot] if slot in results else leaves[slot] for slot in schedule.roots]

    @property
    def kernels(self) -> list[Kernel]:
        """What is launched, in order."""
        return [launch.scheduled.kernel for launch in self.launches]


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
