"""The times of kernels, from OpenCL's events."""

from __future__ import annotations

from collections import deque
from typing import Any

import pyopencl

from lazygrad.runtime.profile import Run

# Events cost driver memory: when more than this many wait for their times, those of finished runs are read.
WAITING_LIMIT = 4096
_COMPLETE = pyopencl.command_execution_status.COMPLETE


class Profile:
    """Runs in the order of their submission."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._waiting: deque[tuple[str, Any]] = deque()

    def add(self, kernel: str, event: Any) -> None:
        """A run was submitted."""
        self._waiting.append((kernel, event))
        if len(self._waiting) > WAITING_LIMIT:
            self.collect()

    def collect(self) -> None:
        """Reads the times of runs that have ended."""
        info = pyopencl.profiling_info
        while self._waiting and self._waiting[0][1].command_execution_status <= _COMPLETE:
            kernel, event = self._waiting.popleft()
            if event.command_execution_status == _COMPLETE:
                start, end = event.get_profiling_info(info.START), event.get_profiling_info(info.END)
                self.runs.append(Run(kernel, start, end))
