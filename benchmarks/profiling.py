"""Where the time of a workload goes: each kernel of lazygrad's step, beside what the machine could do, and its source.

Started with LAZYGRAD_PROFILE set, a device measures itself. One that does not (an interpreter) is waited for after
each kernel, and the host's clock serves.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import results, table
from benchmarks.contestants import Contestant, hindrance, selected
from benchmarks.costs import covered
from benchmarks.workers import Worker, WorkerError
from benchmarks.workloads import Workload, named

if TYPE_CHECKING:  # the process that asks has no device, and the one that answers imports these when it is asked
    from lazygrad.kernel.kernel import Kernel, Stage
    from lazygrad.runtime import CompilingDevice
    from lazygrad.schedule import ScheduledKernel

WARM_UP_STEPS = 2
PROFILED_STEPS = 5
LIMIT = 600.0
COLUMNS = ("", "kernel", "launches", "ms", "share", "GFLOP/s", "GB/s", "of roofline")


class Clock:
    """A watch that measures each launch: by the device's own clock where it has one, else by the host's."""

    def __init__(self, device: CompilingDevice) -> None:
        self._device = device
        self._profile = getattr(device, "profile", None)
        self._start = 0
        self.is_devices = self._profile is not None
        self.times: dict[Kernel, tuple[int, float]] = {}  # how often, and seconds in all

    def before(self, scheduled: ScheduledKernel, memories: Sequence[Any], offsets: Sequence[int]) -> None:
        """The device is idle."""
        self._start = len(self._profile.runs) if self._profile is not None else time.perf_counter_ns()

    def after(self, scheduled: ScheduledKernel, memories: Sequence[Any], numbers: Sequence[Any]) -> None:
        """The device is idle again."""
        if self._profile is None:
            nanoseconds = time.perf_counter_ns() - self._start
        else:
            nanoseconds = covered((run.start, run.end) for run in self._profile.runs[self._start :])
        count, seconds = self.times.get(scheduled.kernel, (0, 0.0))
        self.times[scheduled.kernel] = (count + 1, seconds + nanoseconds / 1e9)


def profile(workload: Workload, device: str) -> dict[str, Any]:
    """The kernels of a step, the longest first, and the text of their sources in the same order."""
    from benchmarks.frameworks.lazygrad import Lazygrad
    from lazygrad.runtime.tuning import chosen
    from lazygrad.runtime.watching import watched_by

    framework = Lazygrad(device)
    if not framework.is_compiling:
        raise ValueError(f"{device} has no kernels: it evaluates node by node")
    framework.set_precision(workload.precision)
    run = workload.build(framework, workload.precision)

    def steps(count: int) -> float:
        framework.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            framework.realize(*run.step())
        framework.synchronize()
        return (time.perf_counter() - start) / count

    steps(WARM_UP_STEPS)
    wall = steps(PROFILED_STEPS)
    clock = Clock(framework.device)
    with watched_by(clock):
        steps(PROFILED_STEPS)
    kernels = sorted(clock.times, key=lambda kernel: -clock.times[kernel][1])
    cuts = dict(zip(kernels, chosen(framework.device, kernels), strict=True))
    return {
        "ms": wall * 1e3,
        "clock": "device" if clock.is_devices else "host",
        "kernels": [_line(number, kernel, *clock.times[kernel]) for number, kernel in enumerate(kernels)],
        "sources": "\n".join(
            f"# {number}, cut as {cuts[kernel] or 'the heuristic does'}\n{_comment(kernel)}\n"
            f"{framework.device.source(kernel)}\n"
            for number, kernel in enumerate(kernels)
        ),
    }


def _line(number: int, kernel: Kernel, count: int, seconds: float) -> dict[str, Any]:
    moved = sum(buffer.size * buffer.dtype.itemsize for buffer in kernel.buffers)
    return {
        "number": number,
        "kernel": kernel.name,
        "launches": count / PROFILED_STEPS,
        "ms": seconds / PROFILED_STEPS * 1e3,
        # Of one launch. Every buffer counted once as a whole, and every product, also where a mask hides it.
        "bytes": moved,
        "flops": flops(kernel),
        "gb_per_second": moved * count / seconds / 1e9,
        "tflops": flops(kernel) * count / seconds / 1e12,
    }


def flops(kernel: Kernel) -> float:
    """Additions and multiplications of the products in a kernel."""
    points = [prod(axis.extent for axis in body.axes) for body in kernel.bodies]
    return 2.0 * sum(
        count * sum(map(_multiplications, body.stages)) for count, body in zip(points, kernel.bodies, strict=True)
    )


def _multiplications(stage: Stage) -> int:
    """At each point of the body."""
    from lazygrad.kernel.kernel import Average, Contraction

    summed = [a.axes for a in stage.accumulators if isinstance(a, (Contraction, Average))]
    summed += [product.axes for product in stage.products]
    return prod(axis.extent for axis in stage.axes) * sum(prod(axis.extent for axis in axes) for axes in summed)


def _comment(kernel: Kernel) -> str:
    from lazygrad.kernel.printer import print_kernel

    return "\n".join(f"# {line}" for line in print_kernel(kernel).splitlines())


# ---- in the process that asks


def of_roofline(kernel: Mapping[str, Any], ceilings: Mapping[str, float], precision: str) -> float | None:
    """The time that a kernel's products and bytes take at the ceilings, over the time that it took.

    This is its rate over min(peak, bandwidth * intensity). More than 1: what it moves lay in a cache.
    """
    bandwidth, peak = ceilings.get("copy_gb_per_second"), ceilings.get(f"{precision}_gflops")
    if not bandwidth or not peak:
        return None
    seconds = max(kernel["flops"] / peak, kernel["bytes"] / bandwidth) / 1e9 * kernel["launches"]
    return float(seconds * 1e3 / kernel["ms"])


def print_profiles(options: argparse.Namespace) -> int:
    """The profile of a workload on each of lazygrad's contestants that was chosen, and its sources in a file."""
    workload = named(options.profile)
    chosen = [c for c in selected(options.on or ["opencl"]) if c.is_lazygrad and c.mode == "plain"]
    found_any = False
    for contestant in chosen:
        reason = hindrance(contestant)
        if reason is None:
            folder = options.out or Path.cwd()
            found_any |= print_profile(workload, contestant, folder, tiny=False, limit=LIMIT)
        else:
            print(f"{contestant.name}: not available: {reason}")
    return 0 if found_any else 1


def print_profile(workload: Workload, contestant: Contestant, folder: Path, tiny: bool, limit: float) -> bool:
    """Prints the kernels of one workload and writes their sources into a folder. Whether it could be done."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"profile_{results.file_name(workload.name)}"
    ceilings: dict[str, float] = {}
    worker = Worker(contestant, {"LAZYGRAD_PROFILE": os.devnull})
    try:
        request = {"kind": "profile", "workload": workload.name, "tiny": tiny}
        (found,) = worker.ask(request, limit)
        for answer in worker.ask({"kind": "ceilings", "precisions": [workload.precision], "tiny": tiny}, limit):
            ceilings.update(answer)
    except WorkerError as error:
        print(f"{workload.name}: {error}")
        return False
    finally:
        worker.kill()
    sources = folder / f"{stem}.{'py' if contestant.kind == 'triton' else 'cl'}"
    sources.write_text(found["sources"])
    total = sum(kernel["ms"] for kernel in found["kernels"])
    table.print_rows(COLUMNS, (_cells(k, total, ceilings, workload) for k in found["kernels"]), left=2)
    print(
        f"kernels: {total:.3f} ms a step by the {found['clock']}'s clock, one at a time; the step: {found['ms']:.3f} ms"
    )
    print("; ".join(f"{name}: {value:.4g}" for name, value in ceilings.items()))
    print(f"written to {sources}")
    return True


def _cells(kernel: Mapping[str, Any], total: float, ceilings: Mapping[str, float], workload: Workload) -> list[str]:
    share = of_roofline(kernel, ceilings, workload.precision)
    return [
        str(kernel["number"]), kernel["kernel"], f"{kernel['launches']:g}", f"{kernel['ms']:.4f}",
        f"{kernel['ms'] / total:.1%}", f"{kernel['tflops'] * 1e3:.1f}" if kernel["flops"] else "",
        f"{kernel['gb_per_second']:.2f}", "" if share is None else f"{share:.0%}",
    ]  # fmt: skip
