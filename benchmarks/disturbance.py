"""How much of the machine's cores other processes used while something was measured, and how much a hypervisor took.

On a machine that others use, too, threads that wait for each other wait for cores: figures are then about the system's
scheduler as much as about what is measured, and ratios say little. What a virtual machine was not given while it had
work to do is told apart: nothing that runs inside explains it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

STATISTICS = Path("/proc/stat")
# In a line of times by state: idle, and waiting for a disk; taken by the hypervisor.
IDLE_FIELDS = (3, 4)
STOLEN_FIELD = 7
# From so many cores on that others used on average, results are marked.
TOLERABLE = 0.2


class Spent(NamedTuple):
    """Seconds of all cores together since the start of the system."""

    working: float
    stolen: float


class Others:
    """What others use from its making on."""

    def __init__(self) -> None:
        self._begin = time.perf_counter(), _spent(), _own_seconds()

    def cores(self) -> dict[str, float]:
        """How many cores other processes used on average, and the hypervisor; empty where the system does not tell."""
        begin, before, own = self._begin
        now = _spent()
        wall = time.perf_counter() - begin
        if now is None or before is None or wall <= 0:
            return {}
        others = (now.working - before.working) - (_own_seconds() - own)
        stolen = now.stolen - before.stolen
        return {"others_cores": max(others, 0.0) / wall, "stolen_cores": max(stolen, 0.0) / wall}


def _spent() -> Spent | None:
    with suppress(OSError):
        ticks = [int(field) for field in STATISTICS.read_text().splitlines()[0].split()[1:9]]
        stolen = ticks[STOLEN_FIELD]
        working = sum(ticks) - sum(ticks[field] for field in IDLE_FIELDS) - stolen
        second = os.sysconf("SC_CLK_TCK")
        return Spent(working / second, stolen / second)
    return None


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system
