"""What one contestant's process does for one workload: builds it, lets its results be compared, runs a round when told.

A round is the median of a few samples, and a sample several steps in a row by the host's clock, the device waited for
before and after: work that a framework submits ahead counts as it does in a user's loop, and one sample in which the
system gave a core to somebody else does not spoil a round.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any

import numpy

from benchmarks.disturbance import TOLERABLE, Others
from benchmarks.frameworks import Array, Framework, Precision, Run
from benchmarks.frameworks.data import forget
from benchmarks.handover import handover
from benchmarks.workloads import Workload

ROUND_SECONDS = 0.15
MOST_SAMPLES = 10
# Waiting costs some ten microseconds, and a clock's noise is about as large: a sample is long enough for that not to
# count.
SAMPLE_SECONDS = 0.01
FEWEST_STEPS = 2
MOST_STEPS = 1000
# How long a step takes is found out by some of them, for as long as this or for one.
TRIAL_SECONDS = 0.02
# Before a round's first step another process has run, and has had the caches; and where other work is on the machine, a
# system takes a while until it has given each thread a core of its own.
WARM_UP_SECONDS = 0.05
FIRST_WARM_UP_STEPS = 2
FIRST_WARM_UP_SECONDS = 0.3
# Other processes rest when they have used next to nothing for the latter; the former is the longest that is waited.
MOST_SETTLING_SECONDS = 3.0
SETTLED_SECONDS = 0.1
MEBIBYTE = 1 << 20


class Prepared:
    """A workload that was built in a framework, ready for rounds."""

    def __init__(self, framework: Framework, workload: Workload, precision: Precision, base_memory: float) -> None:
        self.framework = framework
        self.workload = workload
        self._base_memory = base_memory
        self._steps = 0
        self._samples = self._sample_steps = self._warm_steps = 0
        self._before: dict[str, int] = {}
        framework.set_precision(precision)
        self.run: Run = workload.build(framework, precision)

    def compute(self) -> tuple[dict[str, Array], float]:
        """What the first steps compute, by name, and how many seconds the very first took, compilation included."""
        found: dict[str, Array] = {}
        framework, first = self.framework, 0.0
        for number in range(self.workload.steps):
            framework.synchronize()
            start = time.perf_counter()
            results = self.run.step()
            framework.realize(*results)
            framework.synchronize()
            if number == 0:
                first = time.perf_counter() - start
            found.update({f"result {i} of step {number}": framework.numpy(t) for i, t in enumerate(results)})
            if number == 0:
                left = self.run.left_behind()
                found.update({name: framework.numpy(tensor) for name, tensor in left.items()})
        return found, first

    def warm_up(self, round_seconds: float = ROUND_SECONDS) -> None:
        """Finds out how many steps make a round, and lets memory be counted anew."""
        let_children_settle()
        begin = time.perf_counter()
        self._run_steps(FIRST_WARM_UP_STEPS)
        while time.perf_counter() - begin < FIRST_WARM_UP_SECONDS:
            self._timed(1)
        once, begin = float("inf"), time.perf_counter()
        while once == float("inf") or time.perf_counter() - begin < TRIAL_SECONDS:
            once = min(once, self._timed(1)[0])
        self._sample_steps = min(max(ceil(SAMPLE_SECONDS / once), FEWEST_STEPS), MOST_STEPS)
        self._samples = min(max(round(round_seconds / (self._sample_steps * once)), 1), MOST_SAMPLES)
        self._warm_steps = min(int(WARM_UP_SECONDS / once), MOST_STEPS)
        forget()
        gc.collect()
        restart_peak()
        self._before = self.framework.counters()
        self._steps = 0

    def round(self) -> dict[str, float]:
        """Milliseconds of a step, by the host's clock, and by the device's events where torch is asked."""
        self._run_steps(self._warm_steps)
        others = Others()
        samples = [self._timed(self._sample_steps) for _ in range(self._samples)]
        found = others.cores()
        rate = handover()
        if rate is not None:
            found["handover_gb_per_second"] = rate
        found["ms"] = statistics.median(wall for wall, _ in samples) / self._sample_steps * 1e3
        by_events = [device for _, device in samples if device is not None]
        return found | ({"device_ms": statistics.median(by_events) / self._sample_steps} if by_events else {})

    def figures(self) -> dict[str, Any]:
        """What else is known after the rounds."""
        found: dict[str, Any] = {"samples": self._samples, "sample_steps": self._sample_steps}
        peak = peak_memory()
        if peak is not None:
            found["peak_mib"] = peak - self._base_memory
        launched = self.framework.counters().get("kernels_launched")
        if launched is not None and self._steps:
            found["launches"] = (launched - self._before["kernels_launched"]) / self._steps
        return found

    def _run_steps(self, count: int) -> None:
        for _ in range(count):
            # Nobody keeps what a step returns: an equal expression that is still held would not be computed again.
            self.framework.realize(*self.run.step())
        self._steps += count

    def _timed(self, steps: int) -> tuple[float, float | None]:
        """Seconds by the host's clock, and milliseconds by the device's events where torch is asked."""
        framework = self.framework
        events: list[Any] = []
        if getattr(getattr(framework, "device", None), "type", "") == "cuda":
            events = [framework.module.cuda.Event(enable_timing=True) for _ in range(2)]
        framework.synchronize()
        start = time.perf_counter()
        if events:
            events[0].record()
        self._run_steps(steps)
        if events:
            events[1].record()
        framework.synchronize()
        wall = time.perf_counter() - start
        return wall, events[0].elapsed_time(events[1]) if events else None


def let_children_settle() -> None:
    """Waits until other processes rest: compilers' workers, which the first steps have started, may not be ready yet.

    They are stopped with this process and go on with it, so they would use cores in its rounds and in nobody else's.
    """
    begin = time.perf_counter()
    while time.perf_counter() - begin < MOST_SETTLING_SECONDS:
        others = Others()
        time.sleep(SETTLED_SECONDS)
        if others.cores().get("others_cores", 0.0) < TOLERABLE:
            return


def write_results(found: Mapping[str, Array], path: Path) -> None:
    """For another process to compare."""
    arrays: dict[str, Any] = dict(found)
    numpy.savez(path, **arrays)


def _status(field: str) -> float | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return None


def memory() -> float | None:
    """MiB that this process has now; None where the system does not tell."""
    return _status("VmRSS")


def peak_memory() -> float | None:
    """MiB that this process has had at most since its start, or ``restart_peak``."""
    return _status("VmHWM")


def restart_peak() -> None:
    """Forgets what the process once had, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
