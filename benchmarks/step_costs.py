"""What a training step costs besides its arithmetic: Python's share, memory, and the time to the first step.

    python -m benchmarks.step_costs [--only NAME ...] [--rounds 3] [--write]

Each figure comes from a process of its own: what a process has imported, compiled or allocated would be in the way of
the next figure. Overhead is wall time minus the time for which the device's own clock says that kernels ran, median
over steps, of a plain loop and of the same step under ``lazygrad.compile``. Memory is how much the process grew at its
peak beyond what it had after its imports and one small computation; beside it stands torch's growth in the same run.
First steps are counted from the import to the first loss, model included, with an empty cache and with a full one.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from benchmarks.frameworks import Framework, Lazygrad, Torch, integers, normal
from benchmarks.workloads.gpt import GPTSizes, gpt
from benchmarks.workloads.resnet import ResNetSizes, resnet

STEPS = 12
WARM_STEPS = 4
LIMIT_SECONDS = 600
MEBIBYTE = 1 << 20
Step = Callable[[], Any]


class Workload(NamedTuple):
    """How to make a model, an optimizer and a batch."""

    model: Callable[[Any], Any]
    optimizer: str
    options: dict[str, Any]
    batch: Callable[[Framework], tuple[Any, Any]]


def _images(batch: int, size: int) -> Workload:
    return Workload(
        lambda torch: resnet(torch, ResNetSizes()),
        "SGD",
        {"lr": 0.01, "momentum": 0.9},
        lambda f: (
            f.tensor(normal((batch, 3, size, size), "images")),
            f.tensor(integers(1000, (batch,), "labels")),
        ),
    )


SMALL_GPT = GPTSizes(layers=4, width=256, heads=4, context=128, vocabulary=256)


def _tokens(framework: Framework) -> tuple[Any, Any]:
    tokens = integers(SMALL_GPT.vocabulary, (8, SMALL_GPT.context + 1), "tokens")
    return framework.tensor(tokens[:, :-1].copy()), framework.tensor(tokens[:, 1:].reshape(-1))


def _perceptron(torch: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )  # fmt: skip


WORKLOADS = {
    "resnet18 32x64x64": _images(32, 64),
    "resnet18 8x224x224": _images(8, 224),
    "gpt 8x128": Workload(lambda torch: gpt(torch, SMALL_GPT), "AdamW", {"lr": 3e-4}, _tokens),
    "mlp 128": Workload(
        _perceptron,
        "Adam",
        {"lr": 1e-3},
        lambda f: (f.tensor(normal((128, 784), "inputs")), f.tensor(integers(10, (128,), "labels"))),
    ),
}


def step_of(workload: Workload, framework: Framework, compiled: bool) -> Step:
    """A training step that returns the loss and leaves no gradients."""
    # With the framework's own initial weights: the workloads' are kept as arrays, which would count as memory.
    model = workload.model(framework.module)
    if isinstance(framework, Lazygrad):
        framework.realize(*model.parameters())
    optimizer = framework.optimizer(workload.optimizer, model.parameters(), **workload.options)
    inputs, targets = workload.batch(framework)
    cross_entropy = framework.module.nn.functional.cross_entropy

    def step(inputs: Any, targets: Any) -> Any:
        logits = model(inputs)
        loss = cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    run = framework.module.compile(step) if compiled else step
    return lambda: run(inputs, targets)


# ---- measured in processes of their own


def overhead(workload: Workload, compiled: bool) -> dict[str, float]:
    """Milliseconds of a step: in all, of which the device was busy, and the rest."""
    framework = Lazygrad("opencl")
    step = step_of(workload, framework, compiled)
    for _ in range(WARM_STEPS):
        step()
    device: Any = framework.device
    walls, busy, submits = [], [], []
    for _ in range(STEPS):
        framework.synchronize()
        device.profile.runs.clear()
        gc.collect()
        begin = time.perf_counter()
        loss = step()
        submits.append(time.perf_counter() - begin)
        framework.synchronize()
        walls.append(time.perf_counter() - begin)
        busy.append(sum(run.end - run.start for run in device.profile.runs) / 1e9)
        del loss
    wall = statistics.median(walls)
    return {
        "wall": wall * 1e3,
        "overhead": statistics.median(w - b for w, b in zip(walls, busy, strict=True)) * 1e3,
        "submit": statistics.median(submits) * 1e3,
    }


def _peak() -> float:
    """The most memory that this process ever had, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell how much memory a process had at most")


def memory(workload: Workload, contestant: str) -> dict[str, float]:
    """MiB by which the process grew at its peak while it trained, and what lazygrad's pool says of a step."""
    framework = Torch("cpu", "torch") if contestant == "torch" else Lazygrad("opencl")
    small = framework.tensor(normal((8, 8), "small"))
    framework.realize(small @ small)
    framework.synchronize()
    before = _peak()
    step = step_of(workload, framework, contestant == "compiled")
    found: dict[str, float] = {}
    for _ in range(WARM_STEPS):
        loss = step()
    framework.synchronize()
    found["growth"] = _peak() - before
    if isinstance(framework, Lazygrad):
        pool = framework.device.pool
        pool.reset_peak()
        loss = step()
        framework.synchronize()
        found["pool peak"] = pool.statistics().peak / MEBIBYTE
    del loss
    return found


def first(workload: Workload) -> dict[str, float]:
    """Seconds from the import to the first loss."""
    import lazygrad

    lazygrad.set_default_device("opencl")
    begin = time.perf_counter()
    framework = Lazygrad("opencl")
    loss = step_of(workload, framework, False)()
    loss.item()
    return {"seconds": time.perf_counter() - begin}


# ---- the parent


def measure(what: str, name: str, contestant: str, cache: str, **variables: str) -> dict[str, float]:
    """The figures of one process."""
    command = [sys.executable, "-m", "benchmarks.step_costs", "--measure", what, "--only", name]
    done = subprocess.run(
        [*command, "--contestant", contestant],
        env={**os.environ, "LAZYGRAD_CACHE": cache, "LAZYGRAD_DEVICE": "opencl", **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"{what} of {name} by {contestant} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _rows(names: list[str], rounds: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """All figures of all workloads, round by round."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {name: {} for name in names}
    kinds = [
        ("first", "cold"), ("first", "warm"), ("overhead", "plain"), ("overhead", "compiled"),
        ("memory", "torch"), ("memory", "plain"), ("memory", "compiled"),
    ]  # fmt: skip
    with tqdm(total=rounds * len(names) * len(kinds), unit="process", leave=False) as progress:
        for _ in range(rounds):
            for name in names:
                with tempfile.TemporaryDirectory(prefix="lazygrad-costs-") as cache:
                    for what, contestant in kinds:
                        progress.set_description(f"{name}: {what} {contestant}")
                        variables = {"LAZYGRAD_PROFILE": os.devnull} if what == "overhead" else {}
                        if what == "memory" and contestant == "compiled":
                            measure(what, name, contestant, cache)  # compiled by another process
                        figures = measure(what, name, contestant, cache, **variables)
                        found[name].setdefault(f"{what} {contestant}", []).append(figures)
                        progress.update()
    return found


def _table(found: dict[str, dict[str, list[dict[str, float]]]]) -> Table:
    table = Table("workload", "figure", "cold / plain", "warm / compiled", "torch", "ratio to torch")

    def median(name: str, kind: str, figure: str) -> float:
        return statistics.median(each[figure] for each in found[name][kind])

    for name in found:
        cold, warm = (median(name, f"first {kind}", "seconds") for kind in ("cold", "warm"))
        table.add_row(name, "first step, s", f"{cold:.2f}", f"{warm:.2f}", "", "")
        for figure in ("wall", "overhead", "submit"):
            plain, compiled = (median(name, f"overhead {kind}", figure) for kind in ("plain", "compiled"))
            table.add_row("", f"{figure}, ms", f"{plain:.2f}", f"{compiled:.2f}", "", "")
        plain, compiled, torch = (median(name, f"memory {kind}", "growth") for kind in ("plain", "compiled", "torch"))
        table.add_row(
            "", "memory, MiB", f"{plain:.0f}", f"{compiled:.0f}", f"{torch:.0f}",
            f"{plain / torch:.2f} / {compiled / torch:.2f}",
        )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the result to benchmarks/results")
    parser.add_argument("--measure", choices=["first", "overhead", "memory"], help=argparse.SUPPRESS)
    parser.add_argument("--contestant", default="plain", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        workload = WORKLOADS[options.only[0]]
        if options.measure == "overhead":
            figures = overhead(workload, options.contestant == "compiled")
        else:
            figures = memory(workload, options.contestant) if options.measure == "memory" else first(workload)
        print(json.dumps(figures))
        return
    found = _rows(options.only, options.rounds)
    Console().print(_table(found))
    if options.write:
        from benchmarks.core_speed import write_result

        write_result("step_costs", {"figures": found})


if __name__ == "__main__":
    main()
