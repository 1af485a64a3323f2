"""The times of kernels, from OpenCL's events and from what teams write down."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyopencl

from lazygrad.runtime.profile import Run
from lazygrad_opencl.team import TaskMemory, Team

# Events cost driver memory: when more than this many wait for their times, those of finished runs are read.
WAITING_LIMIT = 4096
_COMPLETE = pyopencl.command_execution_status.COMPLETE


class _Queued(NamedTuple):
    """A run of one kernel, and its event."""

    kernel: str
    event: Any

    @property
    def has_ended(self) -> bool:
        """Well or not."""
        return bool(self.event.command_execution_status <= _COMPLETE)

    def runs(self) -> Iterable[Run]:
        """When it ran."""
        if self.event.command_execution_status == _COMPLETE:
            info = pyopencl.profiling_info
            yield Run(self.kernel, self.event.get_profiling_info(info.START), self.event.get_profiling_info(info.END))


class _Posted(NamedTuple):
    """A run of a list by a team."""

    kernels: Sequence[str]
    memory: TaskMemory
    post: int
    team: Team

    @property
    def has_ended(self) -> bool:
        """All launches."""
        return self.team.ended >= self.post

    def runs(self) -> Iterable[Run]:
        """From each kernel's first task to its last."""
        nanoseconds = self.team.nanoseconds(self.memory.cycles)
        for kernel, (first, last) in zip(self.kernels, nanoseconds.tolist(), strict=True):
            yield Run(kernel, first, last)


class Profile:
    """Runs in the order of their submission."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._waiting: deque[_Queued | _Posted] = deque()

    @property
    def runs(self) -> list[Run]:
        """Those whose times are known. They are read when somebody asks, so that no step pays for it."""
        self.collect()
        return self._runs

    def add(self, kernel: str, event: Any) -> None:
        """A run was submitted."""
        self._add(_Queued(kernel, event))

    def add_list(self, kernels: Sequence[str], memory: TaskMemory, team: Team) -> None:
        """A list was posted. Before it is posted again, ``collect`` has to be called."""
        self._add(_Posted(kernels, memory, memory.post, team))

    def _add(self, submitted: _Queued | _Posted) -> None:
        self._waiting.append(submitted)
        if len(self._waiting) > WAITING_LIMIT:
            self.collect()

    def collect(self) -> None:
        """Reads the times of runs that have ended."""
        while self._waiting and self._waiting[0].has_ended:
            self._runs += self._waiting.popleft().runs()
