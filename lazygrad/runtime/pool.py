"""A caching pool of device memory: what dead buffers give back serves later requests of the same size class.

In: requests in bytes. Out: ``Allocation`` objects, whose memory comes back when their last user dies.
Memory may be handed out again while submitted work still reads it: devices run in order, so work that is
submitted later sees it free.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from threading import RLock
from typing import Any, NamedTuple, Protocol
from weakref import ref

from lazygrad.ir.interning import sweep
from lazygrad.ir.node import Place
from lazygrad.runtime.buffer import Allocation
from lazygrad.runtime.errors import OutOfMemoryError
from lazygrad.runtime.interrupts import undivided

# Eight classes an octave waste at most an eighth and still let similar sizes share.
CLASSES_PER_OCTAVE = 8
SMALLEST_CLASS = 256
# An eighth of an arena would be much; there are few of them.
LARGEST_STEP = 1 << 20
# Programs ask for the same sizes again and again.
REMEMBERED_SIZES = 4096
# How many holders an out-of-memory message names.
NAMED_HOLDERS = 5


class MemorySource(Protocol):
    """Where the pool gets its memory: a device."""

    def allocate(self, size: int) -> Any:
        """Memory of ``size`` bytes; MemoryError when there is none."""

    def free(self, memory: Any) -> None:
        """Gives memory back to the system."""


class _Lent(ref[Allocation]):
    """Knows an allocation's memory beyond its death. ``size`` is that of its class."""

    __slots__ = ("memory", "place", "requested", "size")

    memory: Any
    place: Place | None
    requested: int
    size: int


class PoolStatistics(NamedTuple):
    """Bytes in use, the most that were ever in use, bytes kept for reuse; and how often the system was asked."""

    live: int
    peak: int
    cached: int
    allocations: int
    reuses: int


class Holder(NamedTuple):
    """A user's line, and the bytes and the number of buffers that it has made and that are in use."""

    line: str
    size: int
    buffers: int


@lru_cache(maxsize=REMEMBERED_SIZES)
def size_class(size: int) -> int:
    """The number of bytes that a request of ``size`` really takes.

    >>> size_class(1), size_class(1000), size_class(1025)
    (256, 1024, 1152)
    """
    if size <= SMALLEST_CLASS:
        return SMALLEST_CLASS
    step = max(1 << ((size - 1).bit_length() - 1), SMALLEST_CLASS) // CLASSES_PER_OCTAVE
    step = min(step, LARGEST_STEP)
    return -(-size // step) * step


class Pool:
    """Memory of one device. ``limit`` bounds what is taken from the device, in bytes."""

    def __init__(self, source: MemorySource, name: str, limit: int | None = None) -> None:
        self.source = source
        self.name = name
        self.limit = limit
        # The garbage collector may run inside this class, and with it a finalizer that asks for memory.
        self._lock = RLock()
        self._free: dict[int, list[Any]] = {}
        self._live: dict[int, _Lent] = {}  # by its own id
        # Allocations die wherever the garbage collector runs: they are only appended here and taken in at the next
        # request. The weak reference calls the deque's own method, since a function written in Python, as __del__ is,
        # begins with a look at waiting signals: Ctrl-C would end it before its first statement.
        self._returned: deque[_Lent] = deque()
        self._live_bytes = self._peak_bytes = self._cached_bytes = self._allocations = self._reuses = 0

    def take(self, size: int, place: Place | None = None) -> Allocation:
        """An allocation of at least ``size`` bytes, uninitialised. ``place`` is the user's line it is for."""
        with undivided:
            return self.take_undivided(size, place)

    def take_undivided(self, size: int, place: Place | None = None) -> Allocation:
        """The same for whoever is within ``undivided``."""
        wanted = size_class(size)
        with self._lock:
            if self._returned:
                self._take_in()
            kept = self._free.get(wanted)
            if kept:
                memory = kept.pop()
                self._cached_bytes -= wanted
                self._reuses += 1
            else:
                memory = self._from_source(wanted, size)
                self._allocations += 1
            allocation = Allocation(memory, wanted, place)
            lent = _Lent(allocation, self._returned.append)
            lent.memory, lent.place, lent.requested, lent.size = memory, place, size, wanted
            self._live[id(lent)] = lent
            self._live_bytes += wanted
            if self._live_bytes > self._peak_bytes:
                self._peak_bytes = self._live_bytes
        return allocation

    def empty_cache(self) -> None:
        """Gives all memory that is kept for reuse back to the device, and that of values which can be derived again."""
        with self._lock, undivided:
            self._forget_derived()
            sweep()
            self._take_in()
            self._empty()

    def statistics(self) -> PoolStatistics:
        """What is in use now, what ever was, and how well the pool served."""
        with self._lock, undivided:
            self._take_in()
            return PoolStatistics(
                self._live_bytes, self._peak_bytes, self._cached_bytes, self._allocations, self._reuses
            )

    def reset_peak(self) -> None:
        """Forgets the peak: it is what is in use now."""
        with self._lock, undivided:
            self._take_in()
            self._peak_bytes = self._live_bytes

    def holders(self) -> list[Holder]:
        """What is in use by the user's lines that made it, the largest first."""
        with self._lock, undivided:
            self._take_in()
            lent = list(self._live.values())
        by_line: dict[str, list[int]] = {}
        for each in lent:
            by_line.setdefault(str(each.place) if each.place is not None else "an unknown line", []).append(each.size)
        found = [Holder(line, sum(sizes), len(sizes)) for line, sizes in by_line.items()]
        return sorted(found, key=lambda holder: (-holder.size, holder.line))

    def _take_in(self) -> None:
        while self._returned:
            lent = self._returned.popleft()
            del self._live[id(lent)]
            self._free.setdefault(lent.size, []).append(lent.memory)
            self._live_bytes -= lent.size
            self._cached_bytes += lent.size

    def _empty(self) -> None:
        free, self._free, self._cached_bytes = self._free, {}, 0
        for kept in free.values():
            for memory in kept:
                self.source.free(memory)

    def _from_source(self, wanted: int, size: int) -> Any:
        if not self._fits(wanted):
            self._make_room()
        if not self._fits(wanted):
            raise OutOfMemoryError(self._message(size, f"of {readable_size(self.limit or 0)} in all"))
        try:
            return self.source.allocate(wanted)
        except MemoryError:
            self._make_room()
        try:
            return self.source.allocate(wanted)
        except MemoryError as error:
            raise OutOfMemoryError(self._message(size, f"({error})")) from error

    def derived_bytes(self) -> int:
        """The bytes in use by values that are kept because they may be wanted again (see ``Allocation.derived``)."""
        with self._lock, undivided:
            return sum(value.allocation.size for each in self._used() for value in (each.derived or {}).values())

    def _used(self) -> Iterator[Allocation]:
        """What is in use."""
        for lent in list(self._live.values()):
            allocation = lent()
            if allocation is not None:
                yield allocation

    def _forget_derived(self) -> None:
        for allocation in self._used():
            allocation.derived = None

    def _make_room(self) -> None:
        gc.collect()  # buffers held by reference cycles only
        self._forget_derived()
        sweep()
        self._take_in()
        self._empty()

    def _fits(self, wanted: int) -> bool:
        return self.limit is None or self._live_bytes + self._cached_bytes + wanted <= self.limit

    def _message(self, size: int, reason: str) -> str:
        lines = [
            f"{self.name} is out of memory: {readable_size(size)} were asked for, "
            f"{readable_size(self._live_bytes)} are in use and {readable_size(self._cached_bytes)} cached {reason}. "
            "Use smaller batches or drop tensors that are not needed."
        ]
        largest = sorted(self._live.values(), key=lambda lent: -lent.requested)[:NAMED_HOLDERS]
        if largest:
            lines.append("The largest buffers in use:")
        lines += [
            f"  {readable_size(lent.requested)} made at {lent.place if lent.place is not None else 'an unknown line'}"
            for lent in largest
        ]
        return "\n".join(lines)


def readable_size(count: int) -> str:
    """A size for people.

    >>> readable_size(1536), readable_size(300)
    ('1.5 KiB', '300 bytes')
    """
    if count < 1024:
        return f"{count} bytes"
    thousands = min((count.bit_length() - 1) // 10, 4)
    return f"{count / 1024**thousands:.1f} {('KiB', 'MiB', 'GiB', 'TiB')[thousands - 1]}"
