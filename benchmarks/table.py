"""Results as a table: each row's contestants with times, ratio, target and rates, and whether all computed the same."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import groupby
from typing import Any

from benchmarks.disturbance import TOLERABLE
from benchmarks.results import Line, lines, speed_ups

COLUMNS = (
    "row", "contestant", "median", "quartiles", "least", "unit", "/ torch", "fastest", "target", "GFLOP/s",
    "of product", "GB/s", "of copy", "first s", "peak MiB", "launches", "handover", "others", "check",
)  # fmt: skip
LEGEND = """\
/ torch: to the best of torch eager and torch.compile (images: in either layout), or of other peers without torch
fastest: the same of everybody's fastest round
target: at most; met "+", missed "-", "?" where others used the cores meanwhile; of costs in their unit
of product, of copy: of a large matrix product in that precision, and of a large copy, in this run
first s: of the first step, compilation included, with whatever the caches held
peak MiB: by how much the process was larger during the rounds than before it built the workload
handover: GB/s at which one core read what another had just written; little where they share no cache
others: cores that other processes used meanwhile, or a hypervisor took; where it says anything, believe ratios little
check: largest error over what is admitted; the first contestant that is "ok 0" is what the others are held against
"""
# Width where nobody looks at a terminal.
LOG_WIDTH = 320


def cells(line: Line) -> list[str]:
    """A line of the table as texts."""
    if line.error:
        first = line.error.splitlines()[0] if line.error else ""
        return [line.row, line.contestant.name, f"failed: {first[:60]}", *[""] * (len(COLUMNS) - 3)]
    spread = f"{number(line.low)}-{number(line.high)}" if line.low is not None else ""
    return [
        line.row, line.contestant.name, number(line.median), spread, number(line.fastest), line.unit,
        number(line.ratio, 2), number(line.fastest_ratio, 2), _target(line), number(line.gflops),
        _share(line.of_product), number(line.gb_per_second), _share(line.of_copy), number(line.first_seconds),
        number(line.peak_mib), number(line.launches), _handover(line), _others(line), _check(line),
    ]  # fmt: skip


def number(value: float | None, decimals: int | None = None) -> str:
    """A figure with three digits that count, or so many decimals; nothing where there is none."""
    if value is None:
        return ""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _target(line: Line) -> str:
    if line.target is None:
        return ""
    mark = {True: " +", False: " -", None: ""}[line.meets_target]
    if (line.others_cores or 0) + (line.stolen_cores or 0) >= TOLERABLE:
        mark += "?"
    return f"{line.target:g}{mark}"


def _handover(line: Line) -> str:
    if line.handover is None:
        return ""
    least, most = (f"{rate:.0f}" for rate in line.handover)
    return least if least == most else f"{least}-{most}"


def _others(line: Line) -> str:
    taken = ((line.others_cores, "cores"), (line.stolen_cores, "stolen"))
    return ", ".join(f"{cores:.1f} {what}" for cores, what in taken if cores is not None and cores >= TOLERABLE)


def _check(line: Line) -> str:
    if line.check is None:
        return ""
    return f"ok {line.check:.2g}" if line.check <= 1 else f"WRONG x{line.check:.3g}"


def print_table(content: Mapping[str, Any]) -> None:
    """Prints all that was measured."""
    found = list(lines(content))
    if not found:
        return
    _print_lines(COLUMNS, _grouped(found))
    print(LEGEND)
    for row, of_row in speed_ups(content).items():
        print(f"{row}: on more cores faster by " + ", ".join(f"{name} x{up:.2f}" for name, up in of_row.items()))
    for name, reason in content["not_available"].items():
        print(f"{name}: not available: {reason}")
    for line in found:
        if line.check is not None and line.check > 1:
            print(
                f"{line.row}: {line.contestant.name}: {line.worst} is {line.check:.3g} times farther off than admitted"
            )


def _grouped(found: Iterable[Line]) -> Iterable[Sequence[str]]:
    """Names of rows stand at their first line only."""
    for _, of_row in groupby(found, lambda line: line.row):
        for number, line in enumerate(of_row):
            name, *others = cells(line)
            yield [name if number == 0 else "", *others]


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
    """Prints texts in columns, the first ``left`` flush left, with rich where it is installed."""
    rows = list(rows)
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    columns, rows = [columns[i] for i in used], [[row[i] for i in used] for row in rows]
    if find_spec("rich") is None:
        print(plain([list(columns), *map(list, rows)]))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else LOG_WIDTH).print(table)


def _print_lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print_rows(columns, rows, left=2)


def plain(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, the first one flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
