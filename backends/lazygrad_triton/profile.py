"""The times of kernels, from pairs of the driver's events."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from lazygrad.runtime.profile import Run
from lazygrad_triton.context import Context

# When more than this many runs wait for their times, those of finished ones are read, and their events used again.
WAITING_LIMIT = 4096
_NANOSECONDS_PER_MILLISECOND = 1_000_000


class _Waiting(NamedTuple):
    kernel: str
    start: Any
    end: Any


class Profile:
    """Runs in the order of their submission; the clock is zero at the first."""

    def __init__(self, context: Context) -> None:
        self.runs: list[Run] = []
        self._context = context
        self._waiting: deque[_Waiting] = deque()
        self._free: list[Any] = []
        # The start that was read last, and when it was. The driver tells distances, with seven digits, so each start
        # is measured from the one before it.
        self._last: Any = None
        self._clock = 0.0

    def begin(self) -> Any:
        """The event before a run."""
        return self._recorded()

    def end(self, kernel: str, start: Any) -> None:
        """A run was submitted."""
        self._waiting.append(_Waiting(kernel, start, self._recorded()))
        if len(self._waiting) > WAITING_LIMIT:
            self.collect()

    def collect(self) -> None:
        """Reads the times of runs that have ended."""
        elapsed = self._context.driver.cuEventElapsedTime
        while self._waiting and self._context.has_happened(self._waiting[0].end):
            kernel, start, end = self._waiting.popleft()
            if self._last is not None:
                self._clock += elapsed(self._last, start)
                self._free.append(self._last)
            self._last = start
            first = round(self._clock * _NANOSECONDS_PER_MILLISECOND)
            last = first + round(elapsed(start, end) * _NANOSECONDS_PER_MILLISECOND)
            self._free.append(end)
            self.runs.append(Run(kernel, first, last))

    def _recorded(self) -> Any:
        event = self._free.pop() if self._free else self._context.event(timed=True)
        self._context.record(event)
        return event
