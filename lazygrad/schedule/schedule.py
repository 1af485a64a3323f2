"""What scheduling gives: kernels over numbered slots, in the order in which they run.

Holds no node and no buffer, so that it serves every later graph of the same structure, and imports nothing of the
scheduler, which a process does not load that finds its schedules on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from lazygrad.ir.dtype import DType
from lazygrad.ir.layout import Layout
from lazygrad.ir.node import Place
from lazygrad.ir.shape import Shape
from lazygrad.kernel.kernel import Kernel


@dataclass(frozen=True)
class LeafSlot:
    """A buffer that is given at run time: how it lies, and whether it starts at an offset."""

    layout: Layout
    movable: bool = False


@dataclass(frozen=True)
class ScheduledKernel:
    """One launch: the kernel, the slot of each of its buffers, the number of each of its scalar arguments."""

    kernel: Kernel
    slots: tuple[int, ...]
    scalars: tuple[int, ...]
    place: Place | None = None  # the user's line of what it computes, for messages

    @cached_property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """Which buffers that it writes may lie in the memory of which it reads (see ``kernel.in_place``)."""
        from lazygrad.kernel.in_place import in_place_pairs

        return in_place_pairs(self.kernel)

    def on(self, renamed: Mapping[int, int]) -> ScheduledKernel:
        """The same launch on other slots."""
        slots = tuple([renamed.get(slot, slot) for slot in self.slots])
        if slots == self.slots:
            return self
        made = replace(self, slots=slots)
        made.__dict__["in_place"] = self.in_place  # where the cached property keeps it
        return made


@dataclass(frozen=True)
class SlotDeclaration:
    """An intermediate or output buffer that the schedule allocates."""

    shape: Shape
    dtype: DType
    layout: Layout

    @property
    def size(self) -> int:
        """Bytes."""
        return self.layout.size * self.dtype.itemsize


def last_uses(kernels: Sequence[ScheduledKernel], leaves: int, count: int) -> tuple[int, ...]:
    """For each of ``count`` declared slots the position of the last kernel that touches it."""
    last = [len(kernels)] * count
    for position, kernel in enumerate(kernels):
        for slot in kernel.slots:
            if slot >= leaves:
                last[slot - leaves] = position
    return tuple(last)


@dataclass(frozen=True)
class Schedule:
    """Kernels in order. Slots 0 .. leaves-1 are the given leaves, the rest is declared here."""

    kernels: tuple[ScheduledKernel, ...]
    leaves: int
    slots: tuple[SlotDeclaration, ...]
    roots: tuple[int, ...]  # the slot of each root
    last_use: tuple[int, ...]  # for each declared slot the position of the last kernel that touches it
    leaf_sizes: tuple[int, ...]  # bytes of each leaf
