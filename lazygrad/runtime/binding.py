"""Bindings: a schedule's launches with the memory that they use, for one plan of where everything lies.

In: a batch of launches, then at each run the leaves' buffers, the arguments' values, and memory for the rest. The batch
hears only of what is different from the last time: steps of a loop use the same memory again and again, since the arena
comes back from the pool and updates are in place. So all memory is compared at once, by functions that run in C.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lazygrad.ir.value import Number
from lazygrad.runtime.batch import Batch
from lazygrad.runtime.buffer import Buffer
from lazygrad.schedule import Schedule
from lazygrad.schedule.memory import MemoryPlan

if TYPE_CHECKING:
    from lazygrad.runtime.device import CompilingDevice

_MEMORY = attrgetter("allocation.memory")


class Binding:
    """``fresh`` are the slots that get memory of their own, ``donated`` those that take that of a leaf.

    ``token`` is that of whoever put leaves and fresh slots last, to know whether anybody else has since.
    """

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
        self.token: object = None
        self._memories: dict[int, Any] = {}  # by fresh slot
        self._numbers: list[Number | None] = []
        # Which launch uses a slot, an offset or a number, and as which of its own.
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(schedule.leaves + len(schedule.slots))]
        self._offsets: dict[int, int] = {}
        self._offset_places: dict[int, list[tuple[int, int]]] = {}
        self._number_places: dict[int, list[tuple[int, int]]] = {}
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
                self._number_places.setdefault(number, []).append((launch, position))

    def put(self, leaves: Sequence[Buffer], into: Mapping[int, Buffer], token: object = None) -> None:
        """Lets the leaves be where they are now, with what takes their memory; and so the fresh slots of ``into``."""
        self.token = token
        self.put_fresh(into)
        pairs = zip(map(_MEMORY, leaves), self._leaves, strict=True)
        changed = [slot for slot, (memory, old) in enumerate(pairs) if memory is not old]
        self.put_leaves([(slot, leaves[slot]) for slot in dict.fromkeys((*changed, *self._offsets))])

    def put_leaves(self, leaves: Iterable[tuple[int, Buffer]]) -> None:
        """Lets these leaves be where they are now, with what takes their memory."""
        for slot, leaf in leaves:
            memory = leaf.allocation.memory
            if memory is not self._leaves[slot]:
                self._leaves[slot] = memory
                self._put(slot, memory)
                if slot in self._takers:
                    self._put(self._takers[slot], memory)
            if slot in self._offsets and leaf.offset != self._offsets[slot]:
                self._offsets[slot] = leaf.offset
                for launch, position in self._offset_places[slot]:
                    self.batch.set(launch, position, leaf.offset)

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
        if not numbers:
            return
        before = self._numbers or [None] * len(numbers)
        self._numbers = list(numbers)
        for number, (now, old) in enumerate(zip(numbers, before, strict=True)):
            if now != old or not now:  # zero may have another sign
                for launch, position in self._number_places.get(number, ()):
                    self.batch.set(launch, position, now)
