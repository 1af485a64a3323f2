"""Which kernels may run at once: for each, how many of the first ones must have ended before it begins.

In: a schedule, and where its slots lie. Out: a number for each kernel, at most its position. What holds: among the
kernels from there to its own position, no one writes memory that it touches, and it writes none that they touch.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.schedule.memory import MemoryPlan
from lazygrad.schedule.schedule import Schedule, ScheduledKernel

_ARENA = -1


class _Access(NamedTuple):
    """Bytes that a kernel touches: of the arena, or of all the memory of a slot that has its own."""

    memory: int
    start: int
    end: int
    is_written: bool


def waits(schedule: Schedule, plan: MemoryPlan) -> list[int]:
    """The numbers, for a plan of where everything lies."""
    touched: list[list[_Access]] = []
    found = []
    for kernel in schedule.kernels:
        accesses = _accesses(schedule, plan, kernel)
        first = len(touched)
        while first and not _collide(touched[first - 1], accesses):
            first -= 1
        found.append(first)
        touched.append(accesses)
    return found


def _accesses(schedule: Schedule, plan: MemoryPlan, kernel: ScheduledKernel) -> list[_Access]:
    found = []
    for slot, declaration in zip(kernel.slots, kernel.kernel.buffers, strict=True):
        made = slot - schedule.leaves
        offset = plan.offsets[made] if made >= 0 else None
        donor = plan.donors[made] if made >= 0 else None
        if offset is not None:
            end = offset + schedule.slots[made].size
            found.append(_Access(_ARENA, offset, end, declaration.written))
        else:
            found.append(_Access(slot if donor is None else donor, 0, 1, declaration.written))
    return found


def _collide(first: list[_Access], second: list[_Access]) -> bool:
    return any(
        (one.is_written or other.is_written)
        and one.memory == other.memory
        and one.start < other.end
        and other.start < one.end
        for one in first
        for other in second
    )
