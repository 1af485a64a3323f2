"""A schedule with its programs: runs on any leaves of its structure.

In: buffers for the leaves, numbers for the arguments, and which leaves nobody needs any more. Out: buffers of the
roots. All memory is there before the first launch: one arena for what nobody sees, planned in ``schedule.memory``, and
for each root memory of its own, or that of a leaf which it overwrites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import partial

from lazygrad.ir.node import Place
from lazygrad.ir.value import Number
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime.batch import Batch
from lazygrad.runtime.binding import Binding
from lazygrad.runtime.buffer import Allocation, Buffer, overwrite_all
from lazygrad.runtime.device import CompilingDevice, Program
from lazygrad.runtime.watching import Watch, watches
from lazygrad.schedule import Schedule
from lazygrad.schedule.memory import MemoryPlan, plan_memory
from lazygrad.schedule.overlap import waits
from lazygrad.schedule.schedule import SlotDeclaration

NOTHING: frozenset[int] = frozenset()
NOWHERE: Mapping[int, Buffer] = {}


class Executable:
    """Programs in the order of a schedule."""

    def __init__(self, schedule: Schedule, programs: Sequence[Program]) -> None:
        self.schedule = schedule
        self.programs = programs
        self.scratch_bytes = max((program.scratch_bytes for program in programs), default=0)
        self._bindings: dict[Set[int], Binding] = {}

    def standing(self) -> tuple[Executable, int]:
        """The programs that a run like the last one launches, and the bytes that earlier runs have left for them."""
        return self, 0

    def memory(self, device: CompilingDevice, donated: Set[int] = NOTHING) -> MemoryPlan:
        """Where everything lies if the leaves with the numbers ``donated`` may be overwritten."""
        return self.binding(device, donated).plan

    def donated_slots(self, device: CompilingDevice, donated: Set[int]) -> Set[int]:
        """The slots of results that take the memory of a leaf."""
        return {slot for slot, _, _ in self.binding(device, donated).donated}

    def binding(self, device: CompilingDevice, donated: Set[int]) -> Binding:
        """The binding for these donated leaves."""
        found = self._bindings.get(donated)
        if found is None:
            found = self._bindings[frozenset(donated)] = self._bound(device, donated)
        return found

    def _bound(self, device: CompilingDevice, donated: Set[int]) -> Binding:
        plan = plan_memory(self.schedule, donated, device.region_alignment)
        return Binding(self.schedule, plan, device.batch(self.programs, partial(waits, self.schedule, plan)))

    def take_binding(self, donated: Set[int]) -> Binding | None:
        """The binding for these donated leaves, if there is one, until it is given back.

        Nobody else finds it meanwhile: a finalizer, or a signal's handler, may run the same graph between launches.
        """
        return self._bindings.pop(donated, None)

    def give_back(self, donated: Set[int], binding: Binding) -> None:
        """Ends what ``take_binding`` began."""
        self._bindings[frozenset(donated)] = binding

    def begin_whole(self, device: CompilingDevice) -> bool:
        """Begins a run: whether it will launch all programs, whatever is in the leaves."""
        return True

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
        are ``kept``: these become the result themselves, if they are of its shape. An exception before the first
        launch (no memory) leaves
        everything as it was; one of a launch leaves the leaves as they were that no launch before has overwritten.
        ``into``: by slot buffers that nobody needs, no leaves; they become results to which nothing is donated.
        To be called within ``undivided``, together with whatever makes the results known.
        """
        binding = self.take_binding(donated) or self._bound(device, donated)
        try:
            into = {slot: into[slot] for slot, _ in binding.fresh if slot in into} if into else into
            binding.put(leaves, into)
            fresh = [(slot, made) for slot, made in binding.fresh if slot not in into]
            taken = [*[(slot, leaves[donor]) for slot, _, donor in binding.donated], *into.items()]
            new = self.launch(binding, device, numbers, fresh, taken, place, watches(device))
        finally:
            self.give_back(donated, binding)
        results: list[Buffer | None] = [*leaves, *[None] * len(self.schedule.slots)]
        for slot, buffer in (*into.items(), *new.items()):
            results[slot] = buffer
        for slot, made, donor in binding.donated:
            results[slot] = in_memory_of(leaves[donor], made, donor in kept, device, place)
        return [results[slot] for slot in self.schedule.roots]  # type: ignore[misc]

    def launch(
        self,
        binding: Binding,
        device: CompilingDevice,
        numbers: Sequence[Number],
        fresh: Sequence[tuple[int, SlotDeclaration]],
        taken: Sequence[tuple[int, Buffer]],
        place: Place | None,
        watching: Sequence[Watch],
    ) -> dict[int, Buffer]:
        """Launches every kernel, where a binding has the leaves already; returns buffers of the ``fresh`` slots.

        ``taken`` are the buffers whose memory is overwritten, by the slots that take it. ``watching`` see each launch.
        """
        binding.set_numbers(numbers)
        # Held until everything is submitted: who asks the pool afterwards comes later in the device's order.
        if self.scratch_bytes:
            device.reserve_scratch(self.scratch_bytes)
        arena = device.pool.take_undivided(binding.plan.arena, place) if binding.plan.arena else None
        if arena is not None:
            binding.put_arena(device, arena.memory)
        new = {slot: _new(device.pool.take_undivided(made.size, place), made, device) for slot, made in fresh}
        binding.put_fresh(new)
        batch = binding.batch
        # Whatever the launches do not need comes after them, while the device works.
        try:
            if watching:
                _submit_watched(watching, device, self.schedule, batch)
            else:
                batch.submit()
        except BaseException:
            touched = {slot for scheduled in self.schedule.kernels[: batch.submitted] for slot in scheduled.slots}
            for slot, buffer in taken:
                buffer.allocation.overwrite()
                if slot in touched:
                    buffer.overwrite(place)
            raise
        if taken:
            overwrite_all([buffer.allocation for _, buffer in taken])
        return new

    @property
    def kernels(self) -> list[Kernel]:
        """What is launched, in order."""
        return [scheduled.kernel for scheduled in self.schedule.kernels]


def in_memory_of(
    leaf: Buffer, made: SlotDeclaration, is_kept: bool, device: CompilingDevice, place: Place | None
) -> Buffer:
    """A result that has been written over a leaf: the leaf itself if it may be, else another buffer."""
    if is_kept and leaf.shape == made.shape and leaf.layout == made.layout and leaf.dtype is made.dtype:
        return leaf
    result = _new(leaf.allocation, made, device)
    leaf.overwrite(place)
    return result


def _new(allocation: Allocation, made: SlotDeclaration, device: CompilingDevice) -> Buffer:
    return Buffer(allocation, made.shape, made.dtype, device.name, made.layout)


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
