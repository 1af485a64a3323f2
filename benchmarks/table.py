"""What was measured as a table: each workload's times, ratio and rates, and whether everybody computed the same.

In: what contestants said, as it is written to the report. Out: lines, or a table of rich's where it is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from benchmarks.workloads import Workload

# How far results may be from torch's in float32, relative to their size, for each precision and a depth of one.
TOLERANCE = {"highest": 1e-4, "high": 1e-3, "bfloat16": 5e-3}
# Whoever is not farther from it than this times torch in the same precision has rounded at other places, no more.
FACTOR = 3.0
COLUMNS = (
    "workload", "lazygrad ms", "eager ms", "compile ms", "lazygrad/best", "TFLOP/s", "GB/s", "of product", "of copy",
    "launches", "first s", "eager", "compile", "check",
)  # fmt: skip
LEGEND = """\
lazygrad/best: below 1 lazygrad is faster than the better of torch eager and torch.compile (images: in either layout)
of product, of copy: of torch's own 8192x8192 matrix product in that precision, and of a large copy, in this run
launches: kernels, or graphs of kernels, that lazygrad, torch eager and torch.compile launch in a step
first s: seconds of the first step of each, compilation included; torch.compile's ran beside the conformance table
check: largest error over what is admitted, against torch in float32; "?" where torch was not there
"""
# Width where nobody looks at a terminal.
LOG_WIDTH = 180


def peers(contestants: Mapping[str, Any], kind: str) -> dict[str, float]:
    """Milliseconds of the torch contestants of a kind ("eager", "compile")."""
    return {label: c["ms"] for label, c in contestants.items() if label.startswith(kind) and "ms" in c}


class Worst(NamedTuple):
    """The result that is farthest off, and its error over what is admitted."""

    result: str
    factor: float


def check(workload: Workload, contestants: Mapping[str, Any]) -> Worst | None:
    """What lazygrad computed worst; None where nothing was compared."""
    eager = contestants.get("eager", {}).get("errors", {})
    floor = TOLERANCE[workload.precision] * workload.depth
    found = [
        (error / max(floor, FACTOR * eager.get(name, 0.0)), name)
        for name, error in contestants.get("lazygrad", {}).get("errors", {}).items()
    ]
    if not found:
        return None
    factor, name = max(found)
    return Worst(name, factor)


def row(workload: Workload, contestants: Mapping[str, Any], ceilings: Mapping[str, float]) -> dict[str, Any]:
    """The numbers of one line by column; a missing one is None."""
    ours = contestants.get("lazygrad", {})
    eager, compiled = peers(contestants, "eager"), peers(contestants, "compile")
    best = min([*eager.values(), *compiled.values()], default=None)
    ms = ours.get("ms")
    tflops = workload.flops / ms / 1e9 if ms and workload.flops else None
    gigabytes = workload.bytes / ms / 1e6 if ms and workload.bytes else None
    checked = check(workload, contestants)
    values = (
        workload.name, ms, min(eager.values(), default=None), min(compiled.values(), default=None),
        ms / best if ms and best else None, tflops, gigabytes,
        _fraction(tflops, ceilings.get(f"{workload.precision}_tflops")),
        _fraction(gigabytes, ceilings.get("copy_gb_per_second")),
        _launches(contestants), ours.get("first_seconds"), contestants.get("eager", {}).get("first_seconds"),
        _first_of_compiled(contestants), checked.factor if checked else None,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _fraction(reached: float | None, ceiling: float | None) -> float | None:
    return reached / ceiling if reached and ceiling else None


def _launches(contestants: Mapping[str, Any]) -> str | None:
    """Of lazygrad, eager and compile, as far as they were counted."""
    found = {}
    for label, said in contestants.items():
        if said.get("launches") is not None:
            found[label.split()[0]] = f"{said['launches']:.4g}"
    return " / ".join(found.get(kind, "?") for kind in ("lazygrad", "eager", "compile")) if found else None


def _first_of_compiled(contestants: Mapping[str, Any]) -> float | None:
    """The cold one, where there was one: later processes find most in torch's caches."""
    seconds = [
        c.get("cold_first_seconds", c.get("first_seconds"))
        for label, c in contestants.items()
        if label.startswith("compile")
    ]
    return max((s for s in seconds if s is not None), default=None)


def cells(numbers: Mapping[str, Any]) -> list[str]:
    """A line of the table as texts."""
    return [_cell(column, numbers[column]) for column in COLUMNS]


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "?" if column == "check" else ""
    if isinstance(value, str):
        return value
    if column == "check":
        return "ok" if value <= 1 else f"WRONG x{value:.3g}"
    if column.startswith("of "):
        return f"{value:.0%}"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def print_table(lines: list[list[str]]) -> None:
    """Prints lines, if there are any, under the columns' names."""
    if not lines:
        return
    if find_spec("rich") is not None:
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for position, column in enumerate(COLUMNS):
            table.add_column(column, justify="right" if position else "left", no_wrap=True)
        for line in lines:
            table.add_row(*line)
        Console(width=None if sys.stdout.isatty() else LOG_WIDTH).print(table)
        print(LEGEND)
        return
    print(plain([list(COLUMNS), *lines]))
    print(LEGEND)


def plain(lines: list[list[str]]) -> str:
    """Columns side by side, the first one flush left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
