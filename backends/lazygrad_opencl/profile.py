"""The times of kernels, from OpenCL's events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy
import pyopencl

from lazygrad.runtime.profile import Run

# Events cost driver memory: when more than this many wait for their times, those of finished runs are read.
WAITING_LIMIT = 4096
_COMPLETE = pyopencl.command_execution_status.COMPLETE


class _Submitted(NamedTuple):
    """What was submitted, and the event after which all is known about it."""

    kernels: Sequence[str]
    event: Any
    last: Any
    ticks: numpy.ndarray[Any, Any] | None = None


class Profile:
    """Runs in the order of their submission."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._waiting: deque[_Submitted] = deque()

    @property
    def runs(self) -> list[Run]:
        """Those whose times are known. They are read when somebody asks, so that no step pays for it."""
        self.collect()
        return self._runs

    def add(self, kernel: str, event: Any) -> None:
        """A run was submitted."""
        self._add(_Submitted((kernel,), event, event))

    def add_list(self, kernels: Sequence[str], event: Any, copied: Any, ticks: numpy.ndarray[Any, Any]) -> None:
        """A run of a list was submitted.

        After the event ``copied``, ``ticks`` has when each kernel's first task began and its last ended, by a clock
        of which only is known that it goes evenly.
        """
        self._add(_Submitted(kernels, event, copied, ticks))

    def _add(self, submitted: _Submitted) -> None:
        self._waiting.append(submitted)
        if len(self._waiting) > WAITING_LIMIT:
            self.collect()

    def collect(self) -> None:
        """Reads the times of runs that have ended."""
        info = pyopencl.profiling_info
        while self._waiting and self._waiting[0].last.command_execution_status <= _COMPLETE:
            kernels, event, last, ticks = self._waiting.popleft()
            if last.command_execution_status == _COMPLETE:
                start, end = event.get_profiling_info(info.START), event.get_profiling_info(info.END)
                if ticks is None:
                    self._runs.append(Run(kernels[0], start, end))
                else:
                    self._runs += _runs_of(kernels, start, end, ticks)


def _runs_of(kernels: Sequence[str], start: int, end: int, ticks: numpy.ndarray[Any, Any]) -> Iterator[Run]:
    """The runs of a list that ran from ``start`` to ``end``: from its first task to its last."""
    since = (ticks[:, :2] - ticks[:, 0].min()).astype(numpy.float64)
    nanoseconds = start + since * ((end - start) / max(since.max(), 1.0))
    for kernel, (first, last) in zip(kernels, nanoseconds.round().astype(numpy.int64).tolist(), strict=True):
        yield Run(kernel, first, last)
