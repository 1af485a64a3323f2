"""Counters of what the runtime did, for tests, reports and curiosity: what was built, launched and moved.

Each thread counts for itself, so that counting needs no lock; readers see the sums of all threads.

>>> from lazygrad.runtime import statistics
>>> with statistics.counting() as counted:
...     statistics.total.kernels_launched += 3
>>> counted.kernels_launched, counted.programs_built
(3, 0)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from lazygrad.runtime import forking


@dataclass
class Statistics:
    """Totals since the process began, or over a ``counting`` block.

    A program holds several kernels. ``loaded`` means found on disk, ``built`` compiled from source. Transfers are
    those between host arrays and device memory.
    """

    schedules_made: int = 0
    schedules_loaded: int = 0
    programs_built: int = 0
    programs_loaded: int = 0
    kernels_built: int = 0
    kernels_loaded: int = 0
    kernels_launched: int = 0
    host_to_device_transfers: int = 0
    host_to_device_bytes: int = 0
    device_to_host_transfers: int = 0
    device_to_host_bytes: int = 0


class _Counters(threading.local, Statistics):
    """What the calling thread has counted: to be added to, not to be read."""

    def __init__(self) -> None:
        _begin(self.__dict__)


_NAMES = tuple(field.name for field in fields(Statistics))
_lock = threading.RLock()
forking.hold(_lock)
# Threads that have counted something, and their counters; those of threads that have ended are added up.
_threads: list[tuple[threading.Thread, dict[str, int]]] = []
_ended = Statistics()


def _begin(counters: dict[str, int]) -> None:
    """A thread counts for the first time."""
    with _lock:
        alive = []
        for thread, counted in _threads:
            if thread.is_alive():
                alive.append((thread, counted))
            else:
                _add(_ended, counted)
        alive.append((threading.current_thread(), counters))
        _threads[:] = alive


def _add(to: Statistics, counted: dict[str, int]) -> None:
    for name, number in counted.items():
        setattr(to, name, getattr(to, name) + number)


total = _Counters()


def sums() -> Statistics:
    """What all threads have counted since the process began."""
    with _lock:
        found = Statistics()
        for _, counted in (*_threads, (None, vars(_ended))):
            _add(found, counted.copy())
    return found


@contextmanager
def counting() -> Iterator[Statistics]:
    """Counts what happens inside the block, in all threads; the numbers are filled in when it ends."""
    before, counted = sums(), Statistics()
    try:
        yield counted
    finally:
        after = sums()
        for name in _NAMES:
            setattr(counted, name, getattr(after, name) - getattr(before, name))
