"""What a training step costs besides its arithmetic: in processes that do nothing else.

What a process has imported, compiled or allocated would be in the way of the next figure, so each comes from a process
of its own, and each function here is the whole work of one.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from benchmarks.contestants import FAMILIES, Contestant
from benchmarks.frameworks import Framework, Run, normal
from benchmarks.frameworks.data import forget
from benchmarks.measuring import peak_memory
from benchmarks.workloads import Workload
from benchmarks.workloads.training import Training

WARM_STEPS = 4
STEPS = 12


def importing(contestant: Contestant, workload: Workload | None) -> dict[str, float]:
    """Seconds until the framework is imported."""
    name = "lazygrad" if contestant.is_lazygrad else FAMILIES[contestant.kind].module
    begin = time.perf_counter()
    import_module(name)
    return {"value": time.perf_counter() - begin}


def first(contestant: Contestant, workload: Workload | None) -> dict[str, float]:
    """Seconds from the import to the first loss, model and compilation included."""
    training = _training(workload)
    importing(contestant, None)
    begin = time.perf_counter()
    framework = contestant.framework()
    run = training.bare(framework)
    (loss,) = run.step()
    framework.numpy(loss)
    return {"value": time.perf_counter() - begin}


def overhead(contestant: Contestant, workload: Workload | None) -> dict[str, float]:
    """Milliseconds of a step in which no kernel ran, by the device's own clock; also the step, and its submission."""
    framework: Any = contestant.framework()
    run = _training(workload).bare(framework)
    if getattr(framework.device, "profile", None) is None:
        raise RuntimeError("this device has no clock of its own")
    _warm(framework, run)
    walls, busy, submits = [], [], []
    for _ in range(STEPS):
        framework.synchronize()
        framework.device.profile.runs.clear()
        gc.collect()
        begin = time.perf_counter()
        framework.realize(*run.step())
        submits.append(time.perf_counter() - begin)
        framework.synchronize()
        walls.append(time.perf_counter() - begin)
        busy.append(covered((r.start, r.end) for r in framework.device.profile.runs) / 1e9)
    return {
        "value": statistics.median(w - b for w, b in zip(walls, busy, strict=True)) * 1e3,
        "wall": statistics.median(walls) * 1e3,
        "submit": statistics.median(submits) * 1e3,
    }


def covered(intervals: Iterable[tuple[int, int]]) -> int:
    """How much of the time lies within any of the intervals.

    >>> covered([(0, 4), (2, 6), (10, 11)])
    7
    """
    total, reached = 0, None
    for start, end in sorted(intervals):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total


def memory(contestant: Contestant, workload: Workload | None) -> dict[str, float]:
    """MiB by which the process grew at its peak while it trained, beyond its imports and one small computation."""
    framework = contestant.framework()
    small = framework.tensor(normal((8, 8), "small"))
    framework.realize(small @ small)
    framework.synchronize()
    before = peak_memory()
    if before is None:
        raise RuntimeError("this system does not tell how much memory a process had at most")
    run = _training(workload).bare(framework)
    forget()
    _warm(framework, run)
    after = peak_memory()
    assert after is not None
    return {"value": after - before}


def _training(workload: Workload | None) -> Training:
    if workload is None or not isinstance(workload.build, Training):
        raise ValueError(f"{workload and workload.name} is no training step")
    return workload.build


def _warm(framework: Framework, run: Run) -> None:
    for _ in range(WARM_STEPS):
        framework.realize(*run.step())
    framework.synchronize()
