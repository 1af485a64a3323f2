"""How much of the machine's cores other processes used while something was measured.

On a machine that others use, too, threads that wait for each other wait for cores: figures are then about the system's
scheduler as much as about what is measured, and ratios say little.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

STATISTICS = Path("/proc/stat")
# In a line of times by state: idle, and waiting for a disk.
IDLE_FIELDS = (3, 4)
# From so many cores on that others used on average, results are marked.
TOLERABLE = 0.2


class Others:
    """What others use from its making on."""

    def __init__(self) -> None:
        self._begin = time.perf_counter(), _busy_seconds(), _own_seconds()

    def cores(self) -> float | None:
        """How many cores they used on average; None where the system does not tell."""
        begin, busy, own = self._begin
        now = _busy_seconds()
        wall = time.perf_counter() - begin
        if now is None or busy is None or wall <= 0:
            return None
        return max((now - busy) - (_own_seconds() - own), 0.0) / wall


def _busy_seconds() -> float | None:
    """Seconds that all cores together have worked since the start of the system."""
    with suppress(OSError):
        ticks = [int(field) for field in STATISTICS.read_text().splitlines()[0].split()[1:9]]
        return (sum(ticks) - sum(ticks[field] for field in IDLE_FIELDS)) / os.sysconf("SC_CLK_TCK")
    return None


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system
