"""What a program need not compute again while some of its leaves stay the same.

In: a schedule, and the leaves that stay (weights, mostly). Out: two schedules. The first *prepares* values that depend
on these leaves alone and that kernels read which depend on more: packed weights, the scale that batch norm folds into.
The rest is given them as further leaves. Values that nobody else needs, numbers that are passed at launch and results
are no such values; what is much larger than what it comes from is cheaper to compute again than to keep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass

from lazygrad.schedule.cost import PREPARED_GROWTH
from lazygrad.schedule.schedule import Schedule, ScheduledKernel, last_uses


@dataclass(frozen=True)
class Division:
    """A schedule in two parts. Leaves of ``rest`` are those of the whole, followed by the roots of ``preparation``.

    ``prepared`` and ``remaining``: which kernels of the whole each part has, in order. Few are in both: what makes
    little of nothing, as constants are.
    """

    preparation: Schedule
    rest: Schedule
    prepared: tuple[int, ...]
    remaining: tuple[int, ...]


def divide(whole: Schedule, steady: Set[int]) -> Division | None:
    """The parts of a schedule whose leaves with the numbers ``steady`` stay the same; None if nothing is gained."""
    found = _Dependence(whole, steady)
    kept = found.worth_keeping()
    if not kept:
        return None
    prepared = _needed(whole, (), kept, frozenset())
    remaining = _needed(whole, found.running, whole.roots, frozenset(kept))
    return Division(
        _part(whole, prepared, (), kept), _part(whole, remaining, kept, whole.roots), prepared, remaining
    )  # fmt: skip


class _Dependence:
    """What each slot of a schedule depends on. ``running``: the kernels that depend on more than steady leaves."""

    def __init__(self, whole: Schedule, steady: Set[int]) -> None:
        self._whole = whole
        # By slot the steady leaves that it depends on, for those that depend on nothing else.
        self._sources: dict[int, frozenset[int]] = {leaf: frozenset({leaf}) for leaf in steady}
        self._writers: dict[int, int] = {}
        self.running: list[int] = []
        writers = Counter(slot for scheduled in whole.kernels for slot in _buffers(scheduled)[1])
        for position, scheduled in enumerate(whole.kernels):
            read, written = _buffers(scheduled)
            depends_on_more = scheduled.scalars or any(slot not in self._sources for slot in read)
            if depends_on_more or any(writers[slot] > 1 for slot in written):
                self.running.append(position)
                continue
            sources = frozenset().union(*(self._sources[slot] for slot in read))
            self._sources.update(dict.fromkeys(written, sources))
            self._writers.update(dict.fromkeys(written, position))

    def worth_keeping(self) -> tuple[int, ...]:
        """The slots that running kernels read and others write, in the order of their slots."""
        wanted = {slot for position in self.running for slot in _buffers(self._whole.kernels[position])[0]}
        writers = {self._writers[slot] for slot in wanted if slot in self._writers}
        # A kernel runs or does not: all that it writes is kept.
        return tuple(sorted(slot for position in writers if self._pays(position) for slot in self._written(position)))

    def _written(self, position: int) -> list[int]:
        return _buffers(self._whole.kernels[position])[1]

    def _pays(self, position: int) -> bool:
        written = self._written(position)
        made = sum(self._whole.slots[slot - self._whole.leaves].size for slot in written)
        given = sum(self._whole.leaf_sizes[leaf] for leaf in self._sources[written[0]])
        return made <= PREPARED_GROWTH * given and not any(slot in self._whole.roots for slot in written)


def _buffers(scheduled: ScheduledKernel) -> tuple[list[int], list[int]]:
    """The slots that a kernel reads, and those that it writes."""
    pairs = list(zip(scheduled.slots, scheduled.kernel.buffers, strict=True))
    return [slot for slot, each in pairs if not each.written], [slot for slot, each in pairs if each.written]


def _needed(
    whole: Schedule, kernels: Sequence[int], results: Collection[int], given: Set[int]
) -> tuple[int, ...]:  # fmt: skip
    """These kernels, and those that must run for them and for the results if the slots ``given`` are there."""
    chosen = set(kernels)
    wanted = set(results) - given
    for position in reversed(range(len(whole.kernels))):
        read, written = _buffers(whole.kernels[position])
        if position in chosen or not wanted.isdisjoint(written):
            chosen.add(position)
            wanted.update(slot for slot in read if slot not in given)
    return tuple(sorted(chosen))


def _part(whole: Schedule, positions: Sequence[int], given: Sequence[int], roots: Sequence[int]) -> Schedule:
    """A schedule of some of the kernels. Slots that are ``given`` become leaves behind those of the whole."""
    leaves = whole.leaves + len(given)
    renamed = {slot: whole.leaves + number for number, slot in enumerate(given)}
    declared: list[int] = []
    for position in positions:
        for slot in whole.kernels[position].slots:
            if slot >= whole.leaves and slot not in renamed:
                renamed[slot] = leaves + len(declared)
                declared.append(slot)
    kernels = tuple(whole.kernels[position].on(renamed) for position in positions)
    sizes = [whole.slots[slot - whole.leaves].size for slot in given]
    return Schedule(
        kernels,
        leaves,
        tuple(whole.slots[slot - whole.leaves] for slot in declared),
        tuple(renamed.get(slot, slot) for slot in roots),
        last_uses(kernels, leaves, len(declared)),
        (*whole.leaf_sizes, *sizes),
    )
