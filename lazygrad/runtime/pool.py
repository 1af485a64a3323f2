"""A caching pool of device memory: what dead buffers give back serves later requests of the same size class.

In: requests in bytes. Out: ``Allocation`` objects, which come back through ``release`` when their last user dies.
Memory may be handed out again while submitted work still reads it: devices run in order, so work that is
submitted later sees it free.
"""

from __future__ import annotations

import gc
from collections import deque
from threading import Lock
from typing import Any, NamedTuple, Protocol

from lazygrad.ir.node import Place
from lazygrad.runtime.buffer import Allocation
from lazygrad.runtime.errors import OutOfMemoryError

# Eight classes an octave waste at most an eighth and still let similar sizes share.
CLASSES_PER_OCTAVE = 8
SMALLEST_CLASS = 256
# How many holders an out-of-memory message names.
NAMED_HOLDERS = 5


class MemorySource(Protocol):
    """Where the pool gets its memory: a device."""

    def allocate(self, size: int) -> Any:
        """Memory of ``size`` bytes; MemoryError when there is none."""

    def free(self, memory: Any) -> None:
        """Gives memory back to the system."""


class PoolStatistics(NamedTuple):
    """Bytes in use, the most that were ever in use, bytes kept for reuse; and how often the system was asked."""

    live: int
    peak: int
    cached: int
    allocations: int
    reuses: int


def size_class(size: int) -> int:
    """The number of bytes that a request of ``size`` really takes.

    >>> size_class(1), size_class(1000), size_class(1025)
    (256, 1024, 1152)
    """
    if size <= SMALLEST_CLASS:
        return SMALLEST_CLASS
    step = max(1 << ((size - 1).bit_length() - 1), SMALLEST_CLASS) // CLASSES_PER_OCTAVE
    return -(-size // step) * step


class Pool:
    """Memory of one device. ``limit`` bounds what is taken from the device, in bytes."""

    def __init__(self, source: MemorySource, name: str, limit: int | None = None) -> None:
        self.source = source
        self.name = name
        self.limit = limit
        self._lock = Lock()
        self._free: dict[int, list[Any]] = {}
        self._live: dict[int, tuple[int, int, Place | None]] = {}  # by id of the memory: class, requested, place
        # Allocations die wherever the garbage collector runs, also inside this class with the lock held: they are
        # only appended here (which is atomic) and taken in at the next request.
        self._returned: deque[Any] = deque()
        self._live_bytes = self._peak_bytes = self._cached_bytes = self._allocations = self._reuses = 0

    def take(self, size: int, place: Place | None = None) -> Allocation:
        """An allocation of at least ``size`` bytes, uninitialised. ``place`` is the user's line it is for."""
        wanted = size_class(size)
        with self._lock:
            self._take_in()
            kept = self._free.get(wanted)
            if kept:
                memory = kept.pop()
                self._cached_bytes -= wanted
                self._reuses += 1
            else:
                memory = self._from_source(wanted, size)
                self._allocations += 1
            self._live[id(memory)] = (wanted, size, place)
            self._live_bytes += wanted
            self._peak_bytes = max(self._peak_bytes, self._live_bytes)
        return Allocation(memory, wanted, self, place)

    def release(self, allocation: Allocation) -> None:
        """Takes the memory of a dead allocation back. Never blocks; called by ``Allocation`` itself."""
        self._returned.append(allocation.memory)

    def empty_cache(self) -> None:
        """Gives all memory that is kept for reuse back to the device."""
        with self._lock:
            self._take_in()
            self._empty()

    def statistics(self) -> PoolStatistics:
        """What is in use now, what ever was, and how well the pool served."""
        with self._lock:
            self._take_in()
            return PoolStatistics(
                self._live_bytes, self._peak_bytes, self._cached_bytes, self._allocations, self._reuses
            )

    def _take_in(self) -> None:
        while self._returned:
            memory = self._returned.popleft()
            size = self._live.pop(id(memory))[0]
            self._free.setdefault(size, []).append(memory)
            self._live_bytes -= size
            self._cached_bytes += size

    def _empty(self) -> None:
        for kept in self._free.values():
            for memory in kept:
                self.source.free(memory)
        self._free.clear()
        self._cached_bytes = 0

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

    def _make_room(self) -> None:
        gc.collect()  # buffers held by reference cycles only
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
        largest = sorted(self._live.values(), key=lambda holder: -holder[1])[:NAMED_HOLDERS]
        if largest:
            lines.append("The largest buffers in use:")
        lines += [
            f"  {readable_size(requested)} made at {place if place is not None else 'an unknown line'}"
            for _, requested, place in largest
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
