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
    moved: tuple[int, ...]  # slots whose offset is passed
    scalars: tuple[int, ...]


class _Binding:
    """The memories that each launch uses, as lists that change only where a slot has another memory than before.

    Steps of a loop use the same memory again and again: the arena comes back from the pool, and updates are in place.
    """

    def __init__(self, schedule: Schedule, plan: MemoryPlan) -> None:
        self.plan = plan
        self.arena: Any = None
        self.memories: list[Any] = [None] * (schedule.leaves + len(schedule.slots))  # by slot; read only outside
        self.used: list[list[Any]] = [[None] * len(kernel.slots) for kernel in schedule.kernels]
        self._places: list[list[tuple[list[Any], int]]] = [[] for _ in self.memories]
        for kernel, used in zip(schedule.kernels, self.used, strict=True):
            for position, slot in enumerate(kernel.slots):
                self._places[slot].append((used, position))
        declared = list(enumerate(zip(schedule.slots, plan.offsets, plan.donors, strict=True), start=schedule.leaves))
        self.inside = [(slot, offset, made.size) for slot, (made, offset, _) in declared if offset is not None]
        self.outside = [(slot, made, donor) for slot, (made, offset, donor) in declared if offset is None]

    def put(self, slot: int, memory: Any) -> None:
        """Lets a slot be in ``memory``."""
        if self.memories[slot] is not memory:
            self.memories[slot] = memory
            for used, position in self._places[slot]:
                used[position] = memory

    def put_arena(self, device: CompilingDevice, memory: Any) -> None:
        """Lets everything that nobody sees be in ``memory``."""
        if self.arena is not memory:
            self.arena = memory
            for slot, offset, size in self.inside:
                self.put(slot, device.region(memory, offset, size))


class Executable:
    """Programs in the order of a schedule."""

    def __init__(self, schedule: Schedule, programs: Sequence[Program]) -> None:
        self.schedule = schedule
        self.launches: list[_Launch] = []
        for scheduled, program in zip(schedule.kernels, programs, strict=True):
            buffers = zip(scheduled.slots, scheduled.kernel.buffers, strict=True)
            moved = tuple(slot for slot, declaration in buffers if declaration.movable)
            self.launches.append(_Launch(scheduled, program, moved, scheduled.scalars))
        self.scratch_bytes = max((program.scratch_bytes for program in programs), default=0)
        self._bindings: dict[Set[int], _Binding] = {}

    def standing(self) -> tuple[Executable, int]:
        """The programs that a run like the last one launches, and the bytes that earlier runs have left for them."""
        return self, 0

    def memory(self, device: CompilingDevice, donated: Set[int] = NOTHING) -> MemoryPlan:
        """Where everything lies if the leaves with the numbers ``donated`` may be overwritten."""
        return self._binding(device, donated).plan

    def _binding(self, device: CompilingDevice, donated: Set[int]) -> _Binding:
        found = self._bindings.get(donated)
        if found is None:
            plan = plan_memory(self.schedule, donated, device.region_alignment)
            found = self._bindings[frozenset(donated)] = _Binding(self.schedule, plan)
        return found

    def run(
        self,
        device: CompilingDevice,
        leaves: Sequence[Buffer],
        numbers: Sequence[bool | int | float],
        place: Place | None,
        donated: Set[int] = NOTHING,
        kept: Set[int] = NOTHING,
    ) -> list[Buffer]:
        """Launches every kernel and returns the roots' buffers.

        ``donated`` leaves may be overwritten: they know afterwards that they were (see ``Buffer``), except those that
        are ``kept``: these become the result themselves. An exception before the first launch (no memory) leaves
        everything as it was; one of a launch leaves the leaves as they were that no launch before has overwritten. To
        be called within ``undivided``, together with whatever makes the results known.
        """
        binding = self._binding(device, donated)
        # Nobody else finds it meanwhile: a finalizer, or a signal's handler, may run the same graph between launches.
        key = frozenset(donated)
        del self._bindings[key]
        try:
            return self._run(binding, device, leaves, numbers, place, kept)
        finally:
            self._bindings[key] = binding

    def _run(
        self,
        binding: _Binding,
        device: CompilingDevice,
        leaves: Sequence[Buffer],
        numbers: Sequence[bool | int | float],
        place: Place | None,
        kept: Set[int],
    ) -> list[Buffer]:
        for slot, (leaf, bound) in enumerate(zip(leaves, binding.memories, strict=False)):
            memory = leaf.allocation.memory
            if memory is not bound:
                binding.put(slot, memory)
        results: dict[int, Buffer] = {}
        overwritten: dict[int, Buffer] = {}  # by the slot that takes the memory
        # Held until everything is submitted: who asks the pool afterwards comes later in the device's order.
        device.reserve_scratch(self.scratch_bytes)
        arena = device.pool.take(binding.plan.arena, place) if binding.plan.arena else None
        if arena is not None:
            binding.put_arena(device, arena.memory)
        for slot, made, donor in binding.outside:
            if donor is None:
                allocation = device.pool.take(made.size, place)
            else:
                allocation = leaves[donor].allocation
                allocation.overwrite()
                overwritten[slot] = leaves[donor]
            binding.put(slot, allocation.memory)
            if donor is not None and donor in kept:
                results[slot] = leaves[donor]
            else:
                results[slot] = Buffer(allocation, made.shape, made.dtype, device.name, made.layout)
        watching = watches(device)
        launched = 0
        try:
            for (scheduled, program, moved, scalars), used in zip(self.launches, binding.used, strict=True):
                offsets = [leaves[slot].offset for slot in moved] if moved else ()
                values = [numbers[number] for number in scalars] if scalars else ()
                launched += 1
                if watching:
                    _launch_watched(watching, device, scheduled, program, used, offsets, values)
                else:
                    program.launch(used, offsets, values)
        except BaseException:
            touched = {slot for launch in self.launches[:launched] for slot in launch.scheduled.slots}
            for slot, leaf in overwritten.items():
                if slot in touched:
                    leaf.overwrite(place)
            raise
        for slot, leaf in overwritten.items():
            if results[slot] is not leaf:
                leaf.overwrite(place)
        return [results[slot] if slot in results else leaves[slot] for slot in self.schedule.roots]

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
