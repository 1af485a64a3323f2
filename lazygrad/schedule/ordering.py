"""The order of kernels: as planned, but what gives memory back runs as soon as it can.

In: kernels in an order that respects their dependencies. Out: the same kernels in another such order, at whose peak
less is stored. The plan's order follows the graph: all gradients by activations before all gradients by weights, which
would keep every activation to the end. Here a kernel that frees at least as much as it makes goes first. And one that
could write in the place of a leaf (a parameter) waits, where it can, for the others that read that leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazygrad.schedule.schedule import ScheduledKernel


@dataclass
class _Unit:
    """Kernels that stay together: one, and those before it that make something for it alone."""

    kernels: list[ScheduledKernel]
    waits_for: set[int] = field(default_factory=set)
    users: list[int] = field(default_factory=list)
    made: int = 0  # bytes of values that only later units need
    reads: tuple[int, ...] = ()  # slots of others' values


def in_memory_order(
    kernels: Sequence[ScheduledKernel], leaves: int, sizes: Mapping[int, int], waits: Mapping[int, Set[int]]
) -> list[ScheduledKernel]:
    """The kernels in a better order.

    Slots below ``leaves`` are given; ``sizes`` has the bytes of the slots whose memory is free after their last use.
    ``waits``: by the position of a kernel those of others of which it reads nothing, but that have to run before.
    """
    units = _units(kernels, sizes, waits)
    _wait_for_readers(units, leaves)
    readers: dict[int, int] = {}
    for unit in units:
        for slot in unit.reads:
            readers[slot] = readers.get(slot, 0) + 1

    def gain(unit: _Unit) -> int:
        return sum(sizes.get(slot, 0) for slot in unit.reads if readers[slot] == 1) - unit.made

    missing = [len(unit.waits_for) for unit in units]
    done = [False] * len(units)
    ready = {number for number, count in enumerate(missing) if not count}
    order: list[ScheduledKernel] = []

    def run(number: int) -> None:
        unit = units[number]
        done[number] = True
        ready.discard(number)
        order.extend(unit.kernels)
        for slot in unit.reads:
            readers[slot] -= 1
        for user in unit.users:
            missing[user] -= 1
            if not missing[user]:
                ready.add(user)

    while ready:
        best = max(ready, key=lambda number: (gain(units[number]), -number))
        run(best if gain(units[best]) >= 0 else min(ready))
    assert all(done), "kernels wait for each other in a circle"
    return order


def _wait_for_readers(units: Sequence[_Unit], leaves: int) -> None:
    """Lets units that may overwrite a leaf come after its other readers, unless one of these depends on them."""
    readers: dict[int, list[int]] = {}
    overwriting: list[tuple[int, int]] = []
    for number, unit in enumerate(units):
        for kernel in unit.kernels:
            for slot in dict.fromkeys(slot for slot in kernel.slots if slot < leaves):
                readers.setdefault(slot, []).append(number)
            for read, _ in kernel.in_place:
                if kernel.slots[read] < leaves:
                    overwriting.append((number, kernel.slots[read]))
    for number, slot in overwriting:
        for other in readers[slot]:
            waits = other == number or other in units[number].waits_for
            if not waits and not _depends(units, other, number):
                units[number].waits_for.add(other)
                units[other].users.append(number)


def _depends(units: Sequence[_Unit], later: int, earlier: int) -> bool:
    seen = {later}
    stack = [later]
    while stack:
        for other in units[stack.pop()].waits_for:
            if other == earlier:
                return True
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return False


def _units(kernels: Sequence[ScheduledKernel], sizes: Mapping[int, int], waits: Mapping[int, Set[int]]) -> list[_Unit]:
    reading: dict[int, set[int]] = {}  # by slot the positions of kernels that read it
    for position, kernel in enumerate(kernels):
        for slot, declared in zip(kernel.slots, kernel.kernel.buffers, strict=True):
            if not declared.written:
                reading.setdefault(slot, set()).add(position)
    unit_of: list[int] = []
    units: list[_Unit] = []
    for position, kernel in enumerate(kernels):
        private = position > 0 and _is_made_for(kernels[position - 1], position, reading, sizes)
        if not private:
            units.append(_Unit([]))
        units[-1].kernels.append(kernel)
        unit_of.append(len(units) - 1)
    writer: dict[int, int] = {}
    for position, kernel in enumerate(kernels):
        number = unit_of[position]
        unit = units[number]
        for slot, declared in zip(kernel.slots, kernel.kernel.buffers, strict=True):
            if slot in writer and writer[slot] != number:
                unit.waits_for.add(writer[slot])
            if declared.written:
                writer[slot] = number
                if any(unit_of[user] != number for user in reading.get(slot, ())):
                    unit.made += sizes.get(slot, 0)
        unit.waits_for |= {unit_of[first] for first in waits.get(position, ())} - {number}
    for number, unit in enumerate(units):
        slots = {slot for kernel in unit.kernels for slot in kernel.slots}
        unit.reads = tuple(sorted(slot for slot in slots if slot in sizes and writer.get(slot) != number))
        for other in unit.waits_for:
            units[other].users.append(number)
    return units


def _is_made_for(
    kernel: ScheduledKernel, position: int, reading: Mapping[int, set[int]], sizes: Mapping[int, int]
) -> bool:
    """Whether all that a kernel writes is for the kernel at ``position`` alone."""
    written = [s for s, declared in zip(kernel.slots, kernel.kernel.buffers, strict=True) if declared.written]
    return all(slot in sizes and reading.get(slot, set()) == {position} for slot in written)
