"""The core's speed beside its peers: ResNet-18's training step against torch eager, matrix product against NumPy.

    python -m benchmarks.core_speed [--batch 32] [--size 64] [--rounds 7] [--write]

Rounds alternate between the peers, so that both see the same disturbances; medians and ratios are reported, and with
--write the result goes to benchmarks/results/ with the machine and all versions.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

# Idle threads of a peer's pool go on spinning for a while, on cores that the next contestant needs.
PAUSE = 0.15
RESULTS = Path(__file__).parent / "results"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import lazygrad as lg
    from lazygrad.runtime import default_device, device

    processor = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = f"{names[0]} x {len(names)}" if names else processor
    versions = {}
    for package in ("lazygrad", "numpy", "pyopencl", "pocl-binary-distribution", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    information = device(default_device()).information
    return {
        "processor": processor,
        "system": platform.platform(),
        "python": platform.python_version(),
        "device": f"{information.name}: {information.description}, {information.driver}",
        "versions": versions,
        "lazygrad": lg.__version__,
    }


def write_result(name: str, figures: dict[str, Any]) -> None:
    """Writes figures to benchmarks/results, under the day's date, with what they were measured on."""
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{name}_{time.strftime('%Y-%m-%d')}.json"
    target.write_text(json.dumps({"machine": machine(), **figures}, indent=1) + "\n")
    print(f"written to {target}")


def alternate(contestants: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round of each contestant, after one warm-up each."""
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in tqdm(range(rounds), unit="round", leave=False):
        for name, run in contestants.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def resnet_step(batch: int, size: int) -> dict[str, Callable[[], None]]:
    """A training step (forward, backward, SGD with momentum) of ResNet-18 for both, waiting for the result."""
    import torch

    import lazygrad as lg
    from integration.torch_resnet import torch_resnet18
    from lazygrad.runtime import default_device, device

    images = numpy.random.default_rng(0).random((batch, 3, size, size), numpy.float32)
    labels = numpy.random.default_rng(1).integers(0, 1000, batch)
    opened = device(default_device())

    def lazygrad_step() -> Callable[[], None]:
        model = lg.vision.models.resnet18()
        optimizer = lg.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
        x, y = lg.from_numpy(images), lg.from_numpy(labels)

        def step() -> None:
            optimizer.zero_grad()
            lg.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            opened.synchronize()

        return step

    def torch_step(memory_format: Any) -> Callable[[], None]:
        model = torch_resnet18(torch).to(memory_format=memory_format)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
        x = torch.from_numpy(images).contiguous(memory_format=memory_format)
        y = torch.from_numpy(labels)

        def step() -> None:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

        return step

    return {
        "lazygrad": lazygrad_step(),
        "torch eager": torch_step(torch.contiguous_format),
        "torch eager, channels last": torch_step(torch.channels_last),
    }


def matrix_product(extent: int) -> dict[str, Callable[[], None]]:
    """A float32 product of two square matrices for both, waiting for the result."""
    import lazygrad as lg
    from lazygrad.runtime import default_device, device

    generator = numpy.random.default_rng(0)
    a, b = (generator.standard_normal((extent, extent), numpy.float32) for _ in range(2))
    x, y = lg.from_numpy(a), lg.from_numpy(b)
    opened = device(default_device())

    def ours() -> None:
        lg.realize(x @ y)
        opened.synchronize()

    def numpys() -> None:
        numpy.matmul(a, b)

    return {"lazygrad": ours, "numpy": numpys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="write the result to benchmarks/results")
    options = parser.parse_args()
    workloads = {
        f"ResNet-18 training step, {options.batch}x{options.size}x{options.size}": (
            lambda: resnet_step(options.batch, options.size)
        ),
        "matrix product 1024": lambda: matrix_product(1024),
    }
    table = Table("workload", "contestant", "median ms", "best ms", "lazygrad / peer")
    results = {}
    for name, make in workloads.items():
        seconds = alternate(make(), options.rounds)
        ours = statistics.median(seconds["lazygrad"])
        for contestant, each in seconds.items():
            median = statistics.median(each)
            ratio = "" if contestant == "lazygrad" else f"{ours / median:.2f}"
            table.add_row(name, contestant, f"{median * 1e3:.1f}", f"{min(each) * 1e3:.1f}", ratio)
        results[name] = seconds
    Console().print(table)
    if options.write:
        write_result("core_speed", {"seconds": results})


if __name__ == "__main__":
    main()
