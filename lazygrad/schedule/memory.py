"""Where the values of a schedule lie: one arena for all that nobody sees, planned from when each is needed.

In: a schedule, and the leaves whose memory may be overwritten because nobody needs their old elements. Out: a
``MemoryPlan``. What holds: two slots share memory only if the last kernel that touches one comes before the first that
touches the other, or if one kernel reads the one and writes the other in place.

Offsets are assigned greedily, largest first, at the lowest free place (the offset variant of "greedy by size",
Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from lazygrad.schedule.schedule import Schedule


@dataclass(frozen=True)
class MemoryPlan:
    """``arena``: bytes for everything that nobody sees. For each declared slot: ``offsets``, where it begins in the
    arena, None if it has memory of its own because it is a result; ``donors``, the leaf whose memory a result takes.
    """

    arena: int
    offsets: tuple[int | None, ...]
    donors: tuple[int | None, ...]


class Block(NamedTuple):
    """Slots that share one place, and the kernels between which they need it."""

    size: int
    first: int
    last: int
    slots: tuple[int, ...]


def plan_memory(schedule: Schedule, donated: Set[int], alignment: int) -> MemoryPlan:
    """The plan, if the leaves with the numbers ``donated`` may be overwritten.

    ``alignment``: where in the arena a slot may begin, in bytes.
    """
    blocks, donors = lifetimes(schedule, donated, alignment)
    arena, placed = _place(blocks)
    count = len(schedule.slots)
    offsets = tuple(placed.get(slot) for slot in range(count))
    return MemoryPlan(arena, offsets, tuple(donors.get(slot) for slot in range(count)))


def lifetimes(schedule: Schedule, donated: Set[int], alignment: int) -> tuple[list[Block], dict[int, int]]:
    """What lies in the arena, and when; and the leaves whose memory results take. Arguments as of ``plan_memory``."""
    leaves, count = schedule.leaves, len(schedule.slots)
    roots = {slot - leaves for slot in schedule.roots if slot >= leaves}
    first = [len(schedule.kernels)] * count
    leaf_last: dict[int, int] = {}
    for position, scheduled in enumerate(schedule.kernels):
        for slot in scheduled.slots:
            if slot < leaves:
                leaf_last[slot] = position
            else:
                first[slot - leaves] = min(first[slot - leaves], position)

    shared, donors = _shared(schedule, donated, leaf_last, roots)
    _donate_rest(schedule, donated, leaf_last, first, donors)
    chains: dict[int, list[int]] = {}
    for slot in range(count):
        if slot not in roots:
            chains.setdefault(_origin(slot, shared), []).append(slot)
    blocks = [
        Block(
            -(-schedule.slots[slots[0]].size // alignment) * alignment,
            min(first[slot] for slot in slots),
            max(schedule.last_use[slot] for slot in slots),
            tuple(slots),
        )
        for slots in chains.values()
    ]
    return blocks, donors


def _shared(
    schedule: Schedule, donated: Set[int], leaf_last: dict[int, int], roots: Set[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """What is written in place: from slots to the slots, and to the leaves, whose memory they take."""
    leaves = schedule.leaves
    shared: dict[int, int] = {}
    donors: dict[int, int] = {}

    def fits(source: int, target: int, position: int) -> bool:
        if source < leaves:
            return target in roots and source in donated and leaf_last[source] == position
        made = source - leaves
        ends_here = schedule.last_use[made] == position
        same = schedule.slots[made].size == schedule.slots[target].size
        return target not in roots and made not in roots and ends_here and same

    for position, scheduled in enumerate(schedule.kernels):
        sources: dict[int, list[int]] = {}
        for read, written in scheduled.in_place:
            source, target = scheduled.slots[read], scheduled.slots[written] - leaves
            if fits(source, target, position):
                sources.setdefault(target, []).append(source)
        taken: set[int] = set()
        # Adam's parameter could take the memory of its moments too, which can take their own only.
        for target in sorted(sources, key=lambda target: len(sources[target])):
            free = [source for source in sources[target] if source not in taken]
            if free:
                taken.add(free[0])
                if free[0] < leaves:
                    donors[target] = free[0]
                else:
                    shared[target] = free[0] - leaves
    return shared, donors


def _donate_rest(
    schedule: Schedule, donated: Set[int], leaf_last: dict[int, int], first: list[int], donors: dict[int, int]
) -> None:
    """Results that begin after the last use of a donated leaf of their size take its memory too."""
    free: dict[int, list[int]] = {}
    for leaf in sorted(donated - set(donors.values()), key=lambda leaf: leaf_last.get(leaf, -1), reverse=True):
        size = schedule.leaf_sizes[leaf]
        free.setdefault(size, []).append(leaf)
    for root in dict.fromkeys(schedule.roots):
        slot = root - schedule.leaves
        if slot < 0 or slot in donors:
            continue
        waiting = free.get(schedule.slots[slot].size)
        if waiting and leaf_last.get(waiting[-1], -1) < first[slot]:
            donors[slot] = waiting.pop()


def _origin(slot: int, shared: dict[int, int]) -> int:
    while slot in shared:
        slot = shared[slot]
    return slot


def _place(blocks: list[Block]) -> tuple[int, dict[int, int]]:
    """The size of the arena, and where each slot begins."""
    placed: list[tuple[int, Block]] = []  # by offset
    offsets: dict[int, int] = {}
    arena = 0
    for block in sorted(blocks, key=lambda b: (-b.size, b.first, b.slots)):
        start = 0
        for offset, other in placed:
            if other.first <= block.last and block.first <= other.last:
                if offset - start >= block.size:
                    break
                start = max(start, offset + other.size)
        placed.append((start, block))
        placed.sort(key=lambda entry: entry[0])
        arena = max(arena, start + block.size)
        offsets.update(dict.fromkeys(block.slots, start))
    return arena, offsets


def lines_at_peak(schedule: Schedule) -> tuple[tuple[str, int], ...]:
    """The user's lines whose intermediate values are there when most bytes are, with those bytes, the largest first."""
    leaves = schedule.leaves
    roots = {slot - leaves for slot in schedule.roots}
    made: dict[int, tuple[int, str]] = {}  # by slot the first kernel that touches it, and the line
    for position, scheduled in enumerate(schedule.kernels):
        for slot in scheduled.slots:
            if slot >= leaves:
                made.setdefault(slot - leaves, (position, str(scheduled.place or "an unknown line")))
    change = [0] * (len(schedule.kernels) + 1)
    for slot, (position, _) in made.items():
        if slot not in roots:
            change[position] += schedule.slots[slot].size
            change[schedule.last_use[slot] + 1] -= schedule.slots[slot].size
    live = list(accumulate(change))
    if not made:
        return ()
    peak = max(range(len(live)), key=live.__getitem__)
    lines: dict[str, int] = {}
    for slot, (position, line) in made.items():
        if slot not in roots and position <= peak <= schedule.last_use[slot]:
            lines[line] = lines.get(line, 0) + schedule.slots[slot].size
    return tuple(sorted(lines.items(), key=lambda entry: (-entry[1], entry[0])))
