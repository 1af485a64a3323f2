"""Where the time of a workload goes: each kernel of lazygrad's step, by the device's own clock, and its source.

Started with LAZYGRAD_PROFILE set, a device measures itself. One that does not (an interpreter) is waited for after
each kernel, and the host's clock serves.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import prod
from typing import Any

from benchmarks.frameworks import Lazygrad
from benchmarks.workloads import Workload
from lazygrad.kernel.kernel import Average, Contraction, Kernel, Stage
from lazygrad.kernel.printer import print_kernel
from lazygrad.runtime import Alternative, CompilingDevice, Program

WARM_UP_STEPS = 2
PROFILED_STEPS = 5


class Noted(Program):
    """A program whose launches are put down in order: the kernel, and the host's nanoseconds where it is ``clocked``.

    A clocked program is waited for.
    """

    def __init__(self, program: Program, device: CompilingDevice, launches: list[tuple[Kernel, int]], clocked: bool):
        self.kernel = program.kernel
        self._program = program
        self._launches = launches
        self._wait = device.synchronize if clocked else lambda: None

    def launch(self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]) -> None:
        self._wait()
        start = time.perf_counter_ns()
        self._program.launch(buffers, offsets, scalars)
        self._wait()
        self._launches.append((self.kernel, time.perf_counter_ns() - start))


def profile(workload: Workload, device: str) -> dict[str, Any]:
    """The kernels of a step, the longest first, and the text of their sources in the same order."""
    framework = Lazygrad(device)
    framework.set_precision(workload.precision)
    opened = framework.device
    own = getattr(opened, "profile", None)
    launches: list[tuple[Kernel, int]] = []
    alternatives: dict[Kernel, Alternative] = {}
    compile_alternatives = opened.compile_alternatives

    def compile_noted(kernels: Sequence[Kernel], chosen: Sequence[Alternative]) -> Sequence[Program]:
        alternatives.update(zip(kernels, chosen, strict=True))
        programs = compile_alternatives(kernels, chosen)
        return [Noted(program, opened, launches, clocked=own is None) for program in programs]

    opened.compile_alternatives = compile_noted
    run = workload.build(framework, workload.precision)

    def steps(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            framework.realize(*run.step())
        framework.synchronize()
        return (time.perf_counter() - start) / count

    steps(WARM_UP_STEPS)
    launches.clear()
    if own is not None:
        own.runs.clear()
    wall = steps(PROFILED_STEPS)
    kernels = _in_order(launches, None if own is None else [run.end - run.start for run in own.runs])
    return {
        "ms": wall * 1e3,
        "clock": "host" if own is None else "device",
        "kernels": [_line(number, *kernel) for number, kernel in enumerate(kernels)],
        "sources": "\n".join(
            f"# {number}, cut as {alternatives[kernel] or 'the heuristic does'}\n{_comment(kernel)}\n"
            f"{opened.source(kernel)}\n"
            for number, (kernel, *_) in enumerate(kernels)
        ),
    }


def _in_order(launches: list[tuple[Kernel, int]], device_times: list[int] | None) -> list[tuple[Kernel, int, float]]:
    """Each kernel, how often it ran, and its seconds in all, the longest first; devices report runs in order."""
    times = [nanoseconds for _, nanoseconds in launches] if device_times is None else device_times
    found: dict[Kernel, tuple[int, float]] = {}
    for (kernel, _), nanoseconds in zip(launches, times, strict=True):
        count, seconds = found.get(kernel, (0, 0.0))
        found[kernel] = (count + 1, seconds + nanoseconds / 1e9)
    return sorted(((k, *numbers) for k, numbers in found.items()), key=lambda entry: -entry[2])


def _line(number: int, kernel: Kernel, count: int, seconds: float) -> dict[str, Any]:
    moved = sum(buffer.size * buffer.dtype.itemsize for buffer in kernel.buffers)
    return {
        "number": number,
        "kernel": kernel.name,
        "launches": count / PROFILED_STEPS,
        "ms": seconds / PROFILED_STEPS * 1e3,
        # Every buffer counted once as a whole, and every product, also where a mask hides it.
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
    summed = [a.axes for a in stage.accumulators if isinstance(a, (Contraction, Average))]
    summed += [product.axes for product in stage.products]
    return prod(axis.extent for axis in stage.axes) * sum(prod(axis.extent for axis in axes) for axes in summed)


def _comment(kernel: Kernel) -> str:
    return "\n".join(f"# {line}" for line in print_kernel(kernel).splitlines())
