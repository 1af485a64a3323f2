"""One contestant on one workload: what it computed, how long its first step took, and how long the others take.

Everybody is timed in the same way: several steps in a row by the host's clock, the device waited for before and after.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from math import ceil
from typing import Any

import numpy

from benchmarks.frameworks import Array, Framework, Lazygrad, Torch
from benchmarks.workloads import Run, Workload

# Waiting costs some ten microseconds: steps are timed together until that does not count.
SAMPLE_SECONDS = 0.05
MOST_STEPS = 2000
# The median of fewer says little; where there is no time for it, one number must do.
FEWEST_SAMPLES = 5
ENOUGH_SECONDS = 0.5
WARM_UP_STEPS = 2
# Stands for infinity, which JSON does not have.
FAR = 1e300
# Computed by torch in float32, whatever the workload's precision: what all others are compared with.
REFERENCE = "reference"


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a step over samples of several steps each.

    ``device_ms`` is by the device's events, for torch; ``all_steps`` counts those of the warm-up, too.
    """

    ms: float
    fastest_ms: float
    slowest_ms: float
    samples: int
    steps: int
    all_steps: int
    device_ms: float | None = None


def contestant(label: str, device: str) -> Framework:
    """The framework of a label, for a device that is named as lazygrad does."""
    if label == "lazygrad":
        return Lazygrad(device)
    backend, _, variant = device.partition(":")
    peer = f"cuda:{variant or 0}" if backend == "triton" and variant != "interpret" else "cpu"
    return Torch(
        peer, label, compile=label.startswith("compile"), channels_last=label.endswith("channels last")
    )  # fmt: skip


def compare(run: Run, framework: Framework, workload: Workload) -> tuple[dict[str, Array], float]:
    """What the first steps compute, by name, and how many seconds the very first took, compilation included."""
    found: dict[str, Array] = {}
    first = 0.0
    for number in range(workload.steps):
        framework.synchronize()
        start = time.perf_counter()
        results = run.step()
        framework.realize(*results)
        framework.synchronize()
        if number == 0:
            first = time.perf_counter() - start
        found.update({f"result {i} of step {number}": framework.numpy(t) for i, t in enumerate(results)})
        if number == 0:
            found.update({name: framework.numpy(tensor) for name, tensor in run.left_behind().items()})
    return found, first


def errors(found: dict[str, Array], expected: dict[str, Array]) -> dict[str, float]:
    """How far from the expected each result is, relative to its size; FAR where there is a nan or too little."""
    return {name: _error(found.get(name), want) for name, want in expected.items()}


def _error(found: Array | None, expected: Array) -> float:
    if found is None or found.shape != expected.shape:
        return FAR
    size = float(numpy.linalg.norm(expected.ravel()))
    error = float(numpy.linalg.norm((found - expected).ravel())) / (size or 1.0)
    return error if numpy.isfinite(error) else FAR


def time_steps(run: Run, framework: Framework, seconds: float) -> Timing:
    """The median over as many samples as fit into the time."""

    def steps(count: int) -> None:
        for _ in range(count):
            # Nobody keeps what a step returns: an equal expression that is still held would not be computed again.
            framework.realize(*run.step())

    steps(WARM_UP_STEPS)
    once, _ = _timed(lambda: steps(1), framework)
    count = min(max(ceil(SAMPLE_SECONDS / once), 1), MOST_STEPS)
    samples: list[tuple[float, float | None]] = []
    begin = time.perf_counter()
    fewest = FEWEST_SAMPLES if seconds >= ENOUGH_SECONDS else 1
    while len(samples) < fewest or time.perf_counter() - begin < seconds:
        samples.append(_timed(lambda: steps(count), framework))
    walls = [wall / count * 1e3 for wall, _ in samples]
    by_events = [device / count for _, device in samples if device is not None]
    return Timing(
        statistics.median(walls), min(walls), max(walls), len(samples), count,
        WARM_UP_STEPS + 1 + count * len(samples), statistics.median(by_events) if by_events else None,
    )  # fmt: skip


def _timed(work: Callable[[], None], framework: Framework) -> tuple[float, float | None]:
    """Seconds by the host's clock, and milliseconds by the device's events where torch is asked."""
    events = None
    if isinstance(framework, Torch) and framework.device.type == "cuda":
        events = [framework.module.cuda.Event(enable_timing=True) for _ in range(2)]
    framework.synchronize()
    start = time.perf_counter()
    if events:
        events[0].record()
    work()
    if events:
        events[1].record()
    framework.synchronize()
    wall = time.perf_counter() - start
    return wall, events[0].elapsed_time(events[1]) if events else None


def measure(
    workload: Workload, labels: list[str], device: str, seconds: float, say: Callable[[dict[str, Any]], None]
) -> None:
    """Says what is found about each contestant as soon as it is known.

    With ``seconds`` 0 nothing is compared or timed: first steps are run, and their launches counted.
    """
    expected = _expected(workload, device) if seconds else None
    for label in labels:
        framework = contestant(label, device)
        framework.set_precision(workload.precision)
        run = workload.build(framework, workload.precision)
        before = framework.counters()
        found, first = compare(run, framework, workload)
        say(
            {
                "contestant": label,
                "first_seconds": first,
                "counters": _since(before, framework),
                "errors": errors(found, expected) if expected is not None else {},
            }
        )
        del found
        if seconds:
            before = framework.counters()
            timing = time_steps(run, framework, seconds)
            launches = _since(before, framework).get("kernels_launched")
            answer = {"contestant": label, **asdict(timing)}
            if launches is not None:
                answer["launches"] = launches / timing.all_steps
            say(answer)
        else:
            say({"contestant": label, "launches": framework.launches(run.step)})
        del run
        framework.release()


def _since(before: dict[str, int], framework: Framework) -> dict[str, int]:
    return {name: count - before[name] for name, count in framework.counters().items() if count != before[name]}


def _expected(workload: Workload, device: str) -> dict[str, Array] | None:
    """What torch computes in float32; None where torch is not installed."""
    if find_spec("torch") is None:
        return None
    framework = contestant(REFERENCE, device)
    framework.set_precision("highest")
    run = workload.build(framework, "highest")
    found, _ = compare(run, framework, workload)
    del run
    framework.release()
    return found
