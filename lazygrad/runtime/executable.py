"""A schedule with its programs: runs on any leaves of its structure.

In: buffers for the leaves, numbers for the arguments, and which leaves nobody needs any more. Out: buffers of the
roots. All memory is there before the first launch: one arena for what nobody sees, planned in ``schedule.memory``, and
for each root memory of its own, or that of a leaf which it overwrites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from lazygrad.ir.node import Place
from lazygrad.ir.value import Number
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime.batch import Batch
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.device import CompilingDevice, Program
from lazygrad.runtime.watching import Watch, watches
from lazygrad.schedule import Schedule
from lazygrad.schedule.memory import MemoryPlan, plan_memory
from lazygrad.schedule.overlap import waits

NOTHING: frozenset[int] = frozenset()
NOWHERE: Mapping[int, Buffer] = {}


class _Binding:
    """Launches with the memory plan of one set of donated leaves: a batch that changes where a slot has another memory,
    or an offset or a number another value, than before.

    Steps of a loop use the same memory again and again: the arena comes back from the pool, and updates are in place.
    """

    def __init__(self, device: CompilingDevice, executable: Executable, donated: Set[int]) -> None:
        schedule = executable.schedule
        self.plan = plan = plan_memory(schedule, donated, device.region_alignment)
        self.batch = device.batch(executable.programs, waits(schedule, plan))
        self.arena: Any = None
        self.memories: list[Any] = [None] * (schedule.leaves + len(schedule.slots))  # by slot; read only outside
        self.offsets: dict[int, int] = {}  # by the slots whose offset is passed
        self._places: list[list[tuple[int, int]]] = [[] for _ in self.memories]
        self._offset_places: dict[int, list[tuple[int, int]]] = {}
        self._number_places: list[tuple[int, int, int]] = []
        for launch, scheduled in enumerate(schedule.kernels):
            movable = 0
            buffers = zip(scheduled.slots, scheduled.kernel.buffers, strict=True)
            for position, (slot, declaration) in enumerate(buffers):
                self._places[slot].append((launch, position))
                if declaration.movable:
                    self.offsets[slot] = 0
                    self._offset_places.setdefault(slot, []).append((launch, movable))
                    movable += 1
            for position, number in enumerate(scheduled.scalars, start=movable):
                self._number_places.append((number, launch, position))
        declared = list(enumerate(zip(schedule.slots, plan.offsets, plan.donors, strict=True), start=schedule.leaves))
        self.inside = [(slot, offset, made.size) for slot, (made, offset, _) in declared if offset is not None]
        self.outside = [(slot, made, donor) for slot, (made, offset, donor) in declared if offset is None]

    def put(self, slot: int, memory: Any) -> None:
        """Lets a slot be in ``memory``."""
        if self.memories[slot] is not memory:
            self.memories[slot] = memory
            for launch, position in self._places[slot]:
                self.batch.put(launch, position, memory)

    def put_arena(self, device: CompilingDevice, memory: Any) -> None:
        """Lets everything that nobody sees be in ``memory``."""
        if self.arena is not memory:
            self.arena = memory
            for slot, offset, size in self.inside:
                self.put(slot, device.region(memory, offset, size))

    def put_leaves(self, leaves: Sequence[Buffer]) -> None:
        """Lets the leaves be where they are now."""
        for slot, (leaf, bound) in enumerate(zip(leaves, self.memories, strict=False)):
            memory = leaf.allocation.memory
            if memory is not bound:
                self.put(slot, memory)
        for slot, before in self.offsets.items():
            offset = leaves[slot].offset
            if offset != before:
                self.offsets[slot] = offset
                for launch, position in self._offset_places[slot]:
                    self.batch.set(launch, position, offset)

    def set_numbers(self, numbers: Sequence[Number]) -> None:
        """Lets the arguments have these values."""
        for number, launch, position in self._number_places:
            self.batch.set(launch, position, numbers[number])


class Executable:
    """Programs in the order of a schedule."""

    def __init__(self, schedule: Schedule, programs: Sequence[Program]) -> None:
        self.schedule = schedule
        self.programs = programs
        self.scratch_bytes = max((program.scratch_bytes for program in programs), default=0)
        self._bindings: dict[Set[int], _Binding] = {}

    def memory(self, device: CompilingDevice, donated: Set[int] = NOTHING) -> MemoryPlan:
        """Where everything lies if the leaves with the numbers ``donated`` may be overwritten."""
        return self._binding(device, donated).plan

    def _binding(self, device: CompilingDevice, donated: Set[int]) -> _Binding:
        found = self._bindings.get(donated)
        if found is None:
            found = self._bindings[frozenset(donated)] = _Binding(device, self, donated)
        return found

    def run(
        self,
        device: CompilingDevice,
        leaves: Sequence[Buffer],
        numbers: Sequence[Number],
        place: Place | None,
        donated: Set[int] = NOTHING,
        kept: Set[int] = NOTHING,
        into: Mapping[int, Buffer] = NOWHERE,
    ) -> list[Buffer]:
        """Launches every kernel and returns the roots' buffers.

        ``donated`` leaves may be overwritten: they know afterwards that they were (see ``Buffer``), except those that
        are ``kept``: these become the result themselves. An exception before the first launch (no memory) leaves
        everything as it was; one of a launch leaves the leaves as they were that no launch before has overwritten.
        ``into``: by slot buffers that nobody needs, no leaves, that become results if nothing is donated to these. To be
        called within ``undivided``, together with whatever makes the results known.
        """
        binding = self._binding(device, donated)
        # Nobody else finds it meanwhile: a finalizer, or a signal's handler, may run the same graph between launches.
        key = frozenset(donated)
        del self._bindings[key]
        try:
            return self._run(binding, device, leaves, numbers, place, kept, into)
        finally:
            self._bindings[key] = binding

    def _run(
        self,
        binding: _Binding,
        device: CompilingDevice,
        leaves: Sequence[Buffer],
        numbers: Sequence[Number],
        place: Place | None,
        kept: Set[int],
        into: Mapping[int, Buffer],
    ) -> list[Buffer]:
        binding.put_leaves(leaves)
        binding.set_numbers(numbers)
        results: dict[int, Buffer] = {}
        overwritten: dict[int, Buffer] = {}  # by the slot that takes the memory
        # Held until everything is submitted: who asks the pool afterwards comes later in the device's order.
        device.reserve_scratch(self.scratch_bytes)
        arena = device.pool.take(binding.plan.arena, place) if binding.plan.arena else None
        if arena is not None:
            binding.put_arena(device, arena.memory)
        for slot, made, donor in binding.outside:
            if donor is None and slot in into:
                results[slot] = overwritten[slot] = into[slot]
                binding.put(slot, into[slot].allocation.memory)
                continue
            if donor is None:
                allocation = device.pool.take(made.size, place)
            else:
                allocation = leaves[donor].allocation
                overwritten[slot] = leaves[donor]
            binding.put(slot, allocation.memory)
            if donor is not None and donor in kept:
                results[slot] = leaves[donor]
            else:
                results[slot] = Buffer(allocation, made.shape, made.dtype, device.name, made.layout)
        watching = watches(device)
        batch = binding.batch
        try:
            if watching:
                _submit_watched(watching, device, self.schedule, batch)
            else:
                batch.submit()
        except BaseException:
            touched = {slot for scheduled in self.schedule.kernels[: batch.submitted] for slot in scheduled.slots}
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
        return [scheduled.kernel for scheduled in self.schedule.kernels]


def _submit_watched(watching: Sequence[Watch], device: CompilingDevice, schedule: Schedule, batch: Batch) -> None:
    batch.submitted = 0
    for scheduled, launch in zip(schedule.kernels, batch.launches, strict=True):
        device.synchronize()
        for watch in watching:
            watch.before(scheduled, launch.memories, launch.offsets)
        batch.submitted += 1
        launch.submit()
        device.synchronize()
        for watch in watching:
            watch.after(scheduled, launch.memories, launch.scalars)
