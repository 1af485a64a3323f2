"""What the machine reaches at best, measured in the same run: copying, and large matrix products.

No version of a workload runs much faster than its bytes at the copy's rate, or its arithmetic at the product's. torch
measures both where it takes part; else NumPy does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import numpy

from benchmarks.contestants import Contestant
from benchmarks.frameworks import Array, Precision, normal

# Far larger than any cache.
COPY_BYTES = {"cuda": 1 << 30, "cpu": 1 << 28}
EXTENT = {"cuda": 8192, "cpu": 2048}
TINY_COPY_BYTES = 1 << 20
TINY_EXTENT = 64
SAMPLES = 9


def ceilings(contestant: Contestant, precisions: Iterable[Precision], tiny: bool) -> Iterator[dict[str, float]]:
    """One after the other: GB/s of a copy, bytes read and written counted, and GFLOP/s of a product by precision."""
    kind = "cuda" if contestant.device.startswith("cuda") else "cpu"
    size, extent = (TINY_COPY_BYTES, TINY_EXTENT) if tiny else (COPY_BYTES[kind], EXTENT[kind])
    ones, factor = numpy.ones(size // 4, numpy.float32), normal((extent, extent), "factor")
    if contestant.kind == "torch":
        yield from _by_torch(contestant, precisions, ones, factor)
        return
    target, product = numpy.empty_like(ones), numpy.empty_like(factor)
    yield {"copy_gb_per_second": 2 * size / _fastest(lambda: numpy.copyto(target, ones)) / 1e9}
    seconds = _fastest(lambda: numpy.matmul(factor, factor, out=product))
    yield {"highest_gflops": 2 * extent**3 / seconds / 1e9}


def _by_torch(
    contestant: Contestant, precisions: Iterable[Precision], ones: Array, factor: Array
) -> Iterator[dict[str, float]]:
    framework = contestant.framework()
    source, target = framework.tensor(ones), framework.tensor(ones)
    seconds = _fastest(lambda: target.copy_(source), framework.synchronize)
    yield {"copy_gb_per_second": 2 * ones.nbytes / seconds / 1e9}
    for precision in precisions:
        framework.set_precision(precision)
        matrix = framework.tensor(factor, "bfloat16" if precision == "bfloat16" else "float32")
        seconds = _fastest(lambda matrix=matrix: matrix @ matrix, framework.synchronize)  # type: ignore[misc]
        yield {f"{precision}_gflops": 2 * len(factor) ** 3 / seconds / 1e9}
    framework.release()


def _fastest(work: Callable[[], object], synchronize: Callable[[], None] = lambda: None) -> float:
    """Seconds: a ceiling is what is reached at best."""
    seconds = []
    for _ in range(SAMPLES + 1):
        synchronize()
        start = time.perf_counter()
        work()
        synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
