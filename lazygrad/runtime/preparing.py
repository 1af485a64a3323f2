"""Programs of which a part is not launched again while some leaves stay the same: weights are packed once.

In: the runs of one schedule, with their leaves. Out: the same results. Which leaves are parameters no structure tells,
so it is observed: leaves that hold the same elements in two runs one after the other, while the program depends on more
than these, are *steady*. What is computed from steady leaves alone is then prepared once, and only the rest of the
programs is launched (``schedule.preparing``). Where all leaves change, as in training, they are looked at ever less
often.

A prepared value belongs to the largest leaf that it comes from (``Allocation.derived``): it is forgotten when that is
updated and goes when that goes, so no cache has to be kept up to date. Programs of other structures that compute the
same from the same leaf find it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from lazygrad.ir.node import Place
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.device import CompilingDevice, Program
from lazygrad.runtime.errors import OutOfMemoryError
from lazygrad.runtime.executable import NOTHING, NOWHERE, Executable
from lazygrad.schedule import Schedule
from lazygrad.schedule.preparing import Division, divide

# The values prepared from one leaf take at most this many times its memory; the oldest go first. A weight may be packed
# for its contraction, for that contraction's gradient, and for batches of other sizes.
MOST_DERIVED = 8
# So many looks in a row that find nothing steady cost nothing. After each further one leaves are not looked at for
# twice as many runs, up to the second number: looking costs microseconds, of steps that take milliseconds.
PATIENCE = 2
LONGEST_REST = 64
# Preparing costs about what two runs save (memory is taken for it). It stops where it does not pay: a program has this
# much credit at first, and at most the second number.
PREPARING_COST = 2
FIRST_CREDIT = 6
MOST_CREDIT = 16
# While a program finds what it wants it looks so rarely whether more leaves stay.
LOOK_AGAIN = 64
# Of how many sets of steady leaves a program remembers its parts.
REMEMBERED_DIVISIONS = 4

# Tells the elements of a leaf from all others: the number of its allocation's contents, and where it begins in it.
Stamp: TypeAlias = tuple[int, int]


class PreparingExecutable(Executable):
    """Programs in the order of a schedule, the same ones launched once only where their leaves stay the same."""

    def __init__(self, schedule: Schedule, programs: Sequence[Program]) -> None:
        super().__init__(schedule, programs)
        self._divided: dict[Set[int], _Divided | None] = {}
        self._current: _Divided | None = None
        self._stamps: list[Stamp] = []  # of the leaves, at the last run at which they were looked at
        self._hits = 0  # runs that have found everything prepared
        self._misses = 0  # looks in a row that have found nothing
        self._rest = 0  # runs until leaves are looked at again
        self._credit = FIRST_CREDIT

    def run(
        self,
        device: CompilingDevice,
        leaves: Sequence[Buffer],
        numbers: Sequence[bool | int | float],
        place: Place | None,
        donated: Set[int] = NOTHING,
        kept: Set[int] = NOTHING,
        into: Mapping[int, Buffer] = NOWHERE,
    ) -> list[Buffer]:
        if not self.begin_whole(device):
            found = self._prepared(device, leaves, place)
            if found is not None:
                divided, values = found
                into = {slot: into[root] for root, slot in divided.root_slots if root in into}
                return divided.rest.run(device, [*leaves, *values], numbers, place, donated, kept, into)
        return super().run(device, leaves, numbers, place, donated, kept, into)

    def begin_whole(self, device: CompilingDevice) -> bool:
        if self._rest:
            self._rest -= 1
            return True
        return device.is_recording

    def standing(self) -> tuple[Executable, int]:
        """The programs that a run like the last one launches; and the bytes of prepared values that they read."""
        if self._current is None:
            return self, 0
        return self._current.rest, self._current.size

    def _prepared(
        self, device: CompilingDevice, leaves: Sequence[Buffer], place: Place | None
    ) -> tuple[_Divided, list[Buffer]] | None:
        """The parts of this program for these leaves, and the values that are prepared; None where it runs whole."""
        current = self._current
        values = None if current is None else current.known(leaves)
        if current is not None and values is not None:
            self._hits += 1
            self._misses = 0
            self._credit = min(self._credit + 1, MOST_CREDIT)
            if self._hits % LOOK_AGAIN:
                return current, values
        elif current is not None:
            # A leaf has changed. Which ones stay is to be seen from this run and the next.
            self._current = None
            self._stamps = []
        parts = self._look(leaves)
        if current is not None and values is not None and (parts is None or parts.size <= current.size):
            return current, values
        if parts is None or not self._affords():
            return None
        try:
            values = parts.prepare(device, leaves, place)
        except OutOfMemoryError:  # the whole needs less
            self._pause(LONGEST_REST)
            return None
        self._current = parts
        return parts, values

    def _look(self, leaves: Sequence[Buffer]) -> _Divided | None:
        """The parts of the program for the leaves that are the same as when they were looked at before."""
        before, self._stamps = self._stamps, [_stamp(leaf) for leaf in leaves]
        if not before:
            return None
        pairs = zip(before, self._stamps, strict=True)
        steady = frozenset([slot for slot, (was, now) in enumerate(pairs) if was == now])
        if steady not in self._divided:
            while len(self._divided) >= REMEMBERED_DIVISIONS:
                del self._divided[next(iter(self._divided))]
            division = divide(self.schedule, steady)
            self._divided[steady] = None if division is None else _Divided(self, division)
        found = self._divided[steady]
        if found is None:
            self._misses += 1
            if self._misses > PATIENCE:
                self._pause(1 << min(self._misses, LONGEST_REST.bit_length()))
        return found

    def _affords(self) -> bool:
        """Whether preparing has paid so far, or may yet."""
        self._credit -= PREPARING_COST
        if self._credit >= 0:
            return True
        self._credit = FIRST_CREDIT
        self._pause(LONGEST_REST)
        return False

    def _pause(self, runs: int) -> None:
        self._rest = min(runs, LONGEST_REST)
        self._stamps = []


class _Divided:
    """The two parts of a program for one set of steady leaves."""

    def __init__(self, whole: Executable, division: Division) -> None:
        programs = whole.programs
        first = [programs[position] for position in division.prepared]
        schedule = division.preparation
        self.preparation = Executable(schedule, first)
        self.rest = Executable(division.rest, [programs[position] for position in division.remaining])
        # The slot of each root in the whole, and in the rest.
        self.root_slots = tuple(zip(whole.schedule.roots, division.rest.roots, strict=True))
        sizes = schedule.leaf_sizes
        self._values = [
            (recipe, max(recipe.leaves, key=lambda leaf: (sizes[leaf], -leaf))) for recipe in _recipes(schedule, first)
        ]
        self.size = sum(schedule.slots[root - schedule.leaves].size for root in schedule.roots)

    def known(self, leaves: Sequence[Buffer]) -> list[Buffer] | None:
        """The prepared values if they are all there."""
        found = []
        for (number, sources), owner in self._values:
            derived = leaves[owner].allocation.derived
            value = derived.get((number, *[_stamp(leaves[leaf]) for leaf in sources])) if derived else None
            if value is None:
                return None
            found.append(value)
        return found

    def prepare(self, device: CompilingDevice, leaves: Sequence[Buffer], place: Place | None) -> list[Buffer]:
        """The prepared values, computed where they are not there yet."""
        known = self.known(leaves)
        if known is not None:
            return known
        made = self.preparation.run(device, leaves, (), None if place is None else PreparedPlace(place))
        for ((number, sources), owner), value in zip(self._values, made, strict=True):
            leaves[owner].allocation.derive((number, *[_stamp(leaves[leaf]) for leaf in sources]), value, MOST_DERIVED)
        return made


class PreparedPlace(Place):
    """The line of a user who needs a value that is kept for later runs."""

    __slots__ = ()

    def __init__(self, place: Place) -> None:
        super().__init__(place.code, place.instruction)

    def __str__(self) -> str:
        return f"prepared for further runs of {super().__str__()}"


def _stamp(leaf: Buffer) -> Stamp:
    return leaf.allocation.contents, leaf.offset


class _Recipe(NamedTuple):
    """How a value is computed: equal ``number``s mean that the same programs are run on ``leaves``, given in order."""

    number: int
    leaves: tuple[int, ...]


_numbers: dict[Any, int] = {}
_next_number = count(1)
# The recipe of a leaf is the leaf.
_GIVEN = 0


def _recipes(schedule: Schedule, programs: Sequence[Program]) -> list[_Recipe]:
    """How each root of a schedule is computed."""
    known = {leaf: _Recipe(_GIVEN, (leaf,)) for leaf in range(schedule.leaves)}
    for scheduled, program in zip(schedule.kernels, programs, strict=True):
        pairs = list(zip(scheduled.slots, scheduled.kernel.buffers, strict=True))
        inputs = [known[slot] for slot, buffer in pairs if not buffer.written]
        leaves = tuple(dict.fromkeys(leaf for recipe in inputs for leaf in recipe.leaves))
        read = tuple((recipe.number, tuple(leaves.index(leaf) for leaf in recipe.leaves)) for recipe in inputs)
        for position, (slot, buffer) in enumerate(pairs):
            if buffer.written:
                number = _numbers.setdefault((program.identity, position, read), next(_next_number))
                known[slot] = _Recipe(number, leaves)
    return [known[root] for root in schedule.roots]
