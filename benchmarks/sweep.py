"""Random matrix products and convolutions beside torch's: the distribution of ratios rather than chosen shapes.

In: how many shapes, and a seed. Out: each shape's ratio of lazygrad's time to the best of torch eager's, in either
layout; their median and worst tenth against targets. Two processes see all shapes, one after the other.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks import results, rows, table
from benchmarks.command import Bar, ceilings, described, publish, result_path
from benchmarks.contestants import hindrance, on_cores, selected
from benchmarks.machine import host
from benchmarks.measuring import ROUND_SECONDS
from benchmarks.results import Results
from benchmarks.rounds import QUICK_ROUNDS, Arena, Measured, Protocol, measure
from benchmarks.workloads import named
from benchmarks.workloads.families import convolution_name

CONTESTANTS = ("opencl plain", "torch eager")
# What the ratios' median and their worst tenth are to reach at most.
MEDIAN_TARGET = 0.9
TENTH_TARGET = 1.5
# Multiplications: below, launching is most of the time; above, a shape takes seconds.
LEAST_FLOPS, MOST_FLOPS = 2e6, 3e9
# Operands beyond this take longer to make than to multiply.
MOST_BYTES = 256e6
MOST_EXTENT = 4096
# Multiples that extents of networks are of, beside arbitrary numbers.
USUAL_MULTIPLES = (1, 8, 64)
WORST_SHOWN = 10


class Distribution(NamedTuple):
    """Of ratios; ``tenth`` is what nine tenths of them do not exceed."""

    number: int
    best: float
    median: float
    tenth: float
    worst: float

    @property
    def meets_targets(self) -> bool:
        """Whether both are met."""
        return self.median <= MEDIAN_TARGET and self.tenth <= TENTH_TARGET


def shapes(count: int, seed: int) -> list[str]:
    """Names of so many workloads: half products, half convolutions and their gradients; the same for a seed."""
    random = Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        name = _product(random) if len(found) % 2 == 0 else _convolution(random)
        workload = named(name)
        if LEAST_FLOPS <= workload.flops <= MOST_FLOPS and workload.bytes <= MOST_BYTES:
            found[name] = None
    return list(found)


def _extent(random: Random, most: int = MOST_EXTENT) -> int:
    """Each order of magnitude equally often; often a multiple of what extents commonly are."""
    multiple = random.choice(USUAL_MULTIPLES)
    extent: float = most ** random.random()
    return max(round(extent / multiple), 1) * multiple


def _product(random: Random) -> str:
    return f"matmul_{_extent(random)}x{_extent(random)}x{_extent(random)}"


def _convolution(random: Random) -> str:
    kernel, stride = random.choice((1, 3, 3, 5, 7)), random.choice((1, 1, 2))
    padding = random.choice((kernel // 2, kernel // 2, 0))
    extent = random.randint(kernel, 128)
    image = (random.choice((1, 2, 8, 32)), _extent(random, 512), extent, max(extent + random.randint(-2, 2), kernel))
    weight = (_extent(random, 512), kernel, kernel)
    return convolution_name(random.choice(("forward", "by_input", "by_weight")), image, weight, stride, padding)


def ratios(content: Mapping[str, Any], fastest: bool = False) -> dict[str, float]:
    """By row, of lazygrad to the best of torch; of medians, or of fastest rounds."""
    found = ((line.row, line.fastest_ratio if fastest else line.ratio) for line in results.lines(content))
    return {name: ratio for name, ratio in found if ratio is not None}


def distribution(found: Mapping[str, float]) -> Distribution:
    """Of at least two ratios."""
    ordered = sorted(found.values())
    return Distribution(
        len(ordered), ordered[0], median(ordered), quantiles(ordered, n=10, method="inclusive")[-1], ordered[-1]
    )


def sweep(options: argparse.Namespace) -> int:
    """Measures, prints the distribution and the worst shapes. 1 where something failed or a target was missed."""
    contestants = [c for c in selected(options.on or CONTESTANTS) if hindrance(c) is None]
    command = shlex.join(["python", "-m", "benchmarks", *options.arguments])
    found = Results(result_path(options, "sweep"), command)
    found.note(lambda content: content.update(machine=host()))
    contestants = on_cores(contestants, options.cores)
    chosen = [rows.row(name) for name in shapes(options.sweep, options.seed)]
    described(contestants, found)
    ceilings(contestants, chosen, found)
    arena = Arena(Protocol(options.rounds or QUICK_ROUNDS, round_seconds=ROUND_SECONDS))
    try:
        with Bar(sum(row.takes_part(c) for row in chosen for c in contestants)) as bar:
            for row in chosen:
                measure(row, contestants, arena, Measured(row, partial(publish, found, row.name)), bar)
        found.note(lambda content: content.update(complete=True))
    finally:
        arena.kill()
        met = show(found.content)
        if found.path is not None:
            print(f"written to {found.path}")
    return 0 if met else 1


def show(content: Mapping[str, Any]) -> bool:
    """Prints the distribution of ratios, the worst shapes, and what failed. Whether all is well."""
    found = ratios(content)
    wrong = [line for line in results.lines(content) if line.error or (line.check or 0) > 1]
    for line in wrong:
        print(
            f"{line.row}: {line.contestant.name}: {line.error or f'{line.check:.3g} times farther off than admitted'}"
        )
    if len(found) < 2:
        return False
    for kind, of_kind in _by_kind(found):
        if len(of_kind) > 1:
            d = distribution(of_kind)
            print(
                f"{kind:16} {d.number:4} shapes: best {d.best:.2f}, median {d.median:.2f}, nine tenths below "
                f"{d.tenth:.2f}, worst {d.worst:.2f}"
            )
    d = distribution(ratios(content, fastest=True))
    print(f"of fastest rounds: median {d.median:.2f}, nine tenths below {d.tenth:.2f}, worst {d.worst:.2f}")
    slowest = sorted(found, key=lambda name: -found[name])[:WORST_SHOWN]
    worst = {line.row: line for line in results.lines(content) if line.contestant.is_lazygrad}
    table.print_rows(table.COLUMNS, [table.cells(worst[name]) for name in slowest], left=2)
    whole = distribution(found)
    print(
        f"targets: median at most {MEDIAN_TARGET}, nine tenths below {TENTH_TARGET}: "
        + ("met" if whole.meets_targets else "missed")
    )
    return whole.meets_targets and not wrong


def _by_kind(found: Mapping[str, float]) -> Iterator[tuple[str, dict[str, float]]]:
    """All, then each family."""
    yield "all", dict(found)
    for kind in ("matmul", "conv_forward", "conv_by_input", "conv_by_weight"):
        yield kind, {name: ratio for name, ratio in found.items() if name.startswith(f"{kind}_")}
