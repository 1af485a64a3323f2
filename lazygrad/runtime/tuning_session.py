"""Sessions of trials: workers that are watched, ended when they hang, and replaced when the device takes them down.

In: kernels with their alternatives, one after the other. Out: how many seconds each alternative takes that computes the
right thing, as far as it was measured before a deadline.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime.device import Alternative
from lazygrad.runtime.tuning_process import Ended, Silent, WorkerProcess
from lazygrad.runtime.tuning_worker import Job

# Seconds within which the worker must have opened the device.
START_DEADLINE = 60.0
# Seconds for one kernel: compiling its alternatives on one core and running them. The best until then wins.
KERNEL_DEADLINE = 60.0
# Seconds for the trial of one alternative: a fraction of one, but for gigabytes that are made and compared. Beyond it
# the device hangs.
TRIAL_DEADLINE = 20.0

logger = logging.getLogger("lazygrad")


class CannotStart(Exception):
    """No worker can open the device."""


class Refusal(NamedTuple):
    """An alternative that is out, and why."""

    number: int
    reason: str


@dataclass
class _Progress:
    """How far the trials of one kernel have come."""

    left: list[int]  # alternatives that are neither timed nor out
    deadline: float = 0.0
    trying: int | None = None
    seconds: dict[int, float] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)

    def refuse(self, number: int, reason: str) -> None:
        """The alternative is out. Without the heuristic's there is nothing to compare others with."""
        self.refused.append(Refusal(number, reason))
        if number in self.left:
            self.left.remove(number)
        if number == 0:
            self.left.clear()

    def lose_worker(self, reason: str) -> None:
        """The worker is gone, by what it was trying; or by what was right before, and then another will not help."""
        if self.trying in self.left:
            self.refuse(self.trying, reason)
        else:
            self.refuse(0, reason)


class Session:
    """Kernels measured by one worker after the other; each is kept as long as it serves."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._worker: WorkerProcess | None = None

    def measure(self, kernel: Kernel, alternatives: tuple[Alternative, ...]) -> dict[int, float]:
        """The seconds of each alternative, by its number; empty when the heuristic's, number 0, does not run.

        What is out is told in one warning. CannotStart when there is no worker.
        """
        progress = _Progress(list(range(len(alternatives))))
        spent = 0.0
        while progress.left and spent < KERNEL_DEADLINE:
            worker = self._started()
            start = time.monotonic()
            progress.deadline = start + KERNEL_DEADLINE - spent
            progress.trying = None
            job = Job(kernel, alternatives, tuple(progress.left))
            try:
                self._watch(worker, job, progress)
            except BaseException:  # Ctrl-C: the worker must not go on
                self.end()
                raise
            spent += time.monotonic() - start
        if progress.refused:
            number, reason = progress.refused[0]
            logger.warning(
                "tuning kernel %s on %s: %d of %d alternatives are out; %s: %s", kernel.name, self._device,
                len(progress.refused), len(alternatives), alternatives[number] or "the heuristic's", reason,
            )  # fmt: skip
        return progress.seconds if 0 in progress.seconds else {}

    def end(self) -> None:
        """Ends the worker, if there is one."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.end()

    def _started(self) -> WorkerProcess:
        if self._worker is None:
            try:
                self._worker = WorkerProcess(self._device, time.monotonic() + START_DEADLINE)
            except Silent:
                raise CannotStart(f"its worker did not open it within {START_DEADLINE:g} seconds") from None
            except Ended as error:
                raise CannotStart(str(error)) from error
        return self._worker

    def _watch(self, worker: WorkerProcess, job: Job, progress: _Progress) -> None:
        """Follows one job until it is done, or the worker is of no use any more and has been ended."""
        try:
            worker.send(job)
            if not self._listen(worker, progress):
                self.end()
        except Silent:
            self.end()
            if progress.trying is None or progress.deadline <= time.monotonic():
                progress.left.clear()  # compiling takes too long, or the time is over
            else:
                progress.lose_worker(f"it did not end within {TRIAL_DEADLINE:g} seconds")
        except Ended as error:
            self.end()
            progress.lose_worker(str(error))

    def _listen(self, worker: WorkerProcess, progress: _Progress) -> bool:
        """Takes answers in until the job is done; False when the worker must not be trusted with another."""
        while True:
            deadline = progress.deadline
            if progress.trying is not None:
                deadline = min(deadline, time.monotonic() + TRIAL_DEADLINE)
            match worker.answer(deadline):
                case {"answer": "compiling"}:
                    progress.trying = None
                case {"answer": "started", "number": int(number)}:
                    progress.trying = number
                case {"answer": "timed", "number": int(number), "seconds": float(seconds)}:
                    if number in progress.left:  # the heuristic's is timed by each worker
                        progress.left.remove(number)
                        progress.seconds[number] = seconds
                case {"answer": "refused", "number": int(number), "reason": str(reason), "ruined": bool(ruined)}:
                    progress.refuse(number, reason)
                    if ruined:
                        return False
                case {"answer": "done"}:
                    return True
