"""How long kernels took, by each device's own clock; and LAZYGRAD_PROFILE, the file in which one can look at it.

In: runs that a device has measured. Out: sums by kernel, and a trace in the format of Chrome's tracing page and of
https://ui.perfetto.dev, one row for each device, written when the process ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lazygrad import environment
from lazygrad.runtime import forking

_NANOSECONDS_PER_MICROSECOND = 1000


class Run(NamedTuple):
    """One run of a kernel: its name, and when it started and ended in nanoseconds of the device's clock."""

    kernel: str
    start: int
    end: int


def is_wanted() -> bool:
    """Whether devices shall measure: LAZYGRAD_PROFILE or LAZYGRAD_DEBUG asks for times."""
    return environment.level("LAZYGRAD_DEBUG") > 0 or bool(environment.value("LAZYGRAD_PROFILE"))


def seconds(runs: Iterable[Run]) -> dict[str, tuple[int, float]]:
    """For each kernel how often it ran and for how long in all, the longest first.

    >>> seconds([Run("small", 0, 10), Run("large", 20, 2020), Run("small", 2000, 2010)])
    {'large': (1, 2e-06), 'small': (2, 2e-08)}
    """
    collected: dict[str, tuple[int, int]] = {}
    for run in runs:
        count, nanoseconds = collected.get(run.kernel, (0, 0))
        collected[run.kernel] = (count + 1, nanoseconds + run.end - run.start)
    ordered = sorted(collected.items(), key=lambda entry: -entry[1][1])
    return {kernel: (count, nanoseconds / 1e9) for kernel, (count, nanoseconds) in ordered}


def trace(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """The runs of each device as a trace."""
    events: list[dict[str, Any]] = []
    for row, (device, of_device) in enumerate(runs.items()):
        events.append({"name": "thread_name", "ph": "M", "pid": 0, "tid": row, "args": {"name": device}})
        events += [
            {
                "name": run.kernel,
                "ph": "X",
                "pid": 0,
                "tid": row,
                "ts": run.start / _NANOSECONDS_PER_MICROSECOND,
                "dur": (run.end - run.start) / _NANOSECONDS_PER_MICROSECOND,
            }
            for run in of_device
        ]
    return {"traceEvents": events, "displayTimeUnit": "ms"}


_SOURCES: dict[str, Callable[[], Sequence[Run]]] = {}


def at_exit(device: str, runs: Callable[[], Sequence[Run]]) -> None:
    """Has the runs of a device written to the file that LAZYGRAD_PROFILE names, if it names one."""
    if environment.value("LAZYGRAD_PROFILE"):
        if not _SOURCES:
            forking.at_exit(_write)
        _SOURCES[device] = runs


def _write() -> None:
    path = Path(environment.value("LAZYGRAD_PROFILE")).expanduser()
    path.write_text(json.dumps(trace({device: runs() for device, runs in _SOURCES.items()})))
