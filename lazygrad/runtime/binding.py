"""Bindings: a schedule's launches with the memory that they use, for one plan of where everything lies.

In: a batch of launches, then at each run the leaves' buffers, the arguments' values, and memory for the rest. The batch
hears only of what is different from the last time: steps of a loop use the same memory again and again, since the arena
comes back from the pool and updates are in place. So all memory is compared at once, by functions that run in C.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from lazygrad.ir.value import Number
from lazygrad.runtime.batch import Batch
from lazygrad.runtime.buffer import Buffer
from lazygrad.schedule import Schedule
from lazygrad.schedule.memory import MemoryPlan

if TYPE_CHECKING:
    from lazygrad.runtime.device import CompilingDevice

_MEMORY = attrgetter("allocation.memory")


class Known(NamedTuple):
    """What whoever runs a schedule again knows: with the same ``token`` as the last time nothing is elsewhere but these
    leaves, and these fresh slots among those for which there are buffers.
    """

    token: object
    leaves: Sequence[int]
    fresh: Sequence[int]


class Binding:
    """``fresh`` are the slots that get memory of their own, ``donated`` those that take that of a leaf."""

    def __init__(self, schedule: Schedule, plan: MemoryPlan, batch: Batch) -> None:
        self.plan = plan
        self.batch = batch
        declared = list(enumerate(zip(schedule.slots, plan.offsets, plan.donors, strict=True), start=schedule.leaves))
        outside = [(slot, made, donor) for slot, (made, offset, donor) in declared if offset is None]
        self.donated = [(slot, made, donor) for slot, made, donor in outside if donor is not None]
        self.fresh = [(slot, made) for slot, made, donor in outside if donor is None]
        self._inside = [(slot, offset, made.size) for slot, (made, offset, _) in declared if offset is not None]
        self._arena: Any = None
        self._leaves: list[Any] = [None] * schedule.leaves
        self._takers = {donor: slot for slot, _, donor in self.donated}
        self._token: object = None
        self._memories: dict[int, Any] = {}  # by fresh slot
        self._numbers: Sequence[Number] = ()
        # Which launch uses a slot, an offset or a number, and as which of its own.
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(schedule.leaves + len(schedule.slots))]
        self._offsets: dict[int, int] = {}
        self._offset_places: dict[int, list[tuple[int, int]]] = {}
        self._number_places: list[tuple[int, int, int]] = []
        for launch, scheduled in enumerate(schedule.kernels):
            movable = 0
            buffers = zip(scheduled.slots, scheduled.kernel.buffers, strict=True)
            for position, (slot, declaration) in enumerate(buffers):
                self._places[slot].append((launch, position))
                if declaration.movable:
                    self._offsets[slot] = 0
                    self._offset_places.setdefault(slot, []).append((launch, movable))
                    movable += 1
            for position, number in enumerate(scheduled.scalars, start=movable):
                self._number_places.append((number, launch, position))

    def put(self, leaves: Sequence[Buffer], into: Mapping[int, Buffer], known: Known | None) -> None:
        """Lets the leaves be where they are now, with what takes their memory; and so the fresh slots of ``into``."""
        if known is not None and known.token is self._token:
            memories = [(slot, leaves[slot].allocation.memory) for slot in known.leaves]
            changed = [(slot, memory) for slot, memory in memories if memory is not self._leaves[slot]]
            into = {slot: into[slot] for slot in known.fresh if slot in into}
        else:
            self._token = None if known is None else known.token
            pairs = zip(map(_MEMORY, leaves), self._leaves, strict=True)
            changed = [(slot, memory) for slot, (memory, old) in enumerate(pairs) if memory is not old]
        self.put_fresh(into)
        for slot, memory in changed:
            self._leaves[slot] = memory
            self._put(slot, memory)
            if slot in self._takers:
                self._put(self._takers[slot], memory)
        for slot, offset in self._offsets.items():
            now = leaves[slot].offset
            if now != offset:
                self._offsets[slot] = now
                for launch, position in self._offset_places[slot]:
                    self.batch.set(launch, position, now)

    def put_arena(self, device: CompilingDevice, memory: Any) -> None:
        """Lets everything that nobody sees be in ``memory``."""
        if self._arena is not memory:
            self._arena = memory
            for slot, offset, size in self._inside:
                self._put(slot, device.region(memory, offset, size))

    def put_fresh(self, buffers: Mapping[int, Buffer]) -> None:
        """Lets these fresh slots be where these are."""
        for slot, buffer in buffers.items():
            memory = buffer.allocation.memory
            if self._memories.get(slot) is not memory:
                self._memories[slot] = memory
                self._put(slot, memory)

    def _put(self, slot: int, memory: Any) -> None:
        for launch, position in self._places[slot]:
            self.batch.put(launch, position, memory)

    def set_numbers(self, numbers: Sequence[Number]) -> None:
        """Lets the arguments have these values."""
        if numbers == self._numbers and 0 not in numbers:  # which may have another sign
            return
        self._numbers = numbers
        for number, launch, position in self._number_places:
            self.batch.set(launch, position, numbers[number])
