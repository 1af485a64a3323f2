"""Counters of what the runtime did, for tests, reports and curiosity: what was built, launched and moved.

>>> from lazygrad.runtime import statistics
>>> with statistics.counting() as counted:
...     statistics.total.kernels_launched += 3
>>> counted.kernels_launched, counted.programs_built
(3, 0)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace


@dataclass
class Statistics:
    """Totals since the process began, or over a ``counting`` block.

    A program holds several kernels. ``loaded`` means found on disk, ``built`` compiled from source. Transfers are
    those between host arrays and device memory.
    """

    schedules_made: int = 0
    programs_built: int = 0
    programs_loaded: int = 0
    kernels_built: int = 0
    kernels_loaded: int = 0
    kernels_launched: int = 0
    host_to_device_transfers: int = 0
    host_to_device_bytes: int = 0
    device_to_host_transfers: int = 0
    device_to_host_bytes: int = 0


total = Statistics()


@contextmanager
def counting() -> Iterator[Statistics]:
    """Counts what happens inside the block; the numbers are filled in when it ends."""
    before, counted = replace(total), Statistics()
    try:
        yield counted
    finally:
        for field in fields(Statistics):
            setattr(counted, field.name, getattr(total, field.name) - getattr(before, field.name))
