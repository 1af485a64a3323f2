"""What the device reaches at best, measured by torch in the same run: copying, and large matrix products.

No version of a workload runs much faster than its bytes at the copy's rate, or its arithmetic at the product's.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.frameworks import Torch
from benchmarks.measuring import contestant, time_steps
from benchmarks.workloads import Precision, Run
from benchmarks.workloads.operations import forward, matrix_product

PRECISIONS: tuple[Precision, ...] = ("bfloat16", "high", "highest")
# Far larger than any cache.
COPY_BYTES = 1 << 30
EXTENT = 8192
TINY_COPY_BYTES = 1 << 20
TINY_EXTENT = 64


def ceilings(device: str, tiny: bool, seconds: float) -> Iterator[dict[str, float]]:
    """One after the other: GB/s of a copy, bytes read and written counted, and TFLOP/s of a product by precision."""
    framework = contestant("eager", device)
    assert isinstance(framework, Torch)
    yield {"copy_gb_per_second": _copy(framework, TINY_COPY_BYTES if tiny else COPY_BYTES, seconds)}
    extent = TINY_EXTENT if tiny else EXTENT
    build = forward(matrix_product, (extent, extent), (extent, extent))
    for precision in PRECISIONS:
        framework.set_precision(precision)
        timing = time_steps(build(framework, precision), framework, seconds)
        yield {f"{precision}_tflops": 2 * extent**3 / timing.ms / 1e9}
    framework.release()


def _copy(framework: Torch, size: int, seconds: float) -> float:
    torch = framework.module
    source = torch.ones(size, dtype=torch.uint8, device=framework.device)
    target = torch.empty_like(source)
    timing = time_steps(Run(lambda: (target.copy_(source),)), framework, seconds)
    return 2 * size / timing.ms / 1e6
