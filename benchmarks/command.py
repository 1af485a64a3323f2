"""The benchmarks' command: measures rows on contestants, shows what came out, and compares it with earlier results.

    python -m benchmarks                                            everything, lazygrad (OpenCL) beside torch
    python -m benchmarks --list                                     what there is
    python -m benchmarks --only 'matmul_*' --on opencl torch --quick
    python -m benchmarks --only resnet18_train_32x64x64 --cores 1 2
    python -m benchmarks --profile gpt_train_8x128                  time by kernel, beside what the machine can do
    python -m benchmarks --sweep 200                                random products and convolutions beside torch's
    python -m benchmarks --compare before.json after.json
    python -m benchmarks --show results.json --html results.html

A row is the time of a workload's step, or a cost of one: the first step with cold and warm caches, the overhead, the
memory. docs/benchmarks.md tells how it is measured.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks import checkout, results, rows, table
from benchmarks.contestants import USUAL, Contestant, hindrance, on_cores, selected
from benchmarks.machine import host
from benchmarks.measuring import ROUND_SECONDS
from benchmarks.results import Results
from benchmarks.rounds import QUICK_ROUNDS, USUAL_ROUNDS, Arena, Measured, Protocol, measure
from benchmarks.workers import WorkerError
from benchmarks.workloads.families import __doc__ as FAMILIES_TEXT

# Costs are of whole processes, which do not vary as single steps do.
COST_ROUNDS = 3
CEILING_SECONDS = 120.0
DESCRIBE_SECONDS = 120.0


class Bar:
    """tqdm's bar over rows and contestants, with what is done at the moment."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(total=total, leave=False, bar_format="{percentage:3.0f}% {elapsed}<{remaining} {desc}")

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def doing(self, what: str) -> None:
        """Says it."""
        self._bar.set_description_str(what)

    def done(self) -> None:
        """One contestant of one row."""
        self._bar.update()


def run(options: argparse.Namespace) -> int:
    """Measures, and shows what came out. 1 where anything failed or was computed wrong."""
    chosen = rows.selected(options.only)
    contestants = selected(USUAL if options.on is None else options.on)
    found = Results(result_path(options, "run"), shlex.join(["python", "-m", "benchmarks", *options.arguments]))
    missing = {c.name: reason for c in contestants if (reason := hindrance(c)) is not None}
    contestants = [c for c in contestants if c.name not in missing]
    if not contestants:
        print("; ".join(f"{name}: {reason}" for name, reason in missing.items()))
        return 1
    found.note(lambda content: content.update(machine=host(), not_available=missing))
    contestants = on_cores(contestants, options.cores)
    described(contestants, found)
    ceilings(contestants, [row for row in chosen if row.workload is not None], found)
    complete = False
    try:
        with Bar(sum(row.takes_part(c) for row in chosen for c in contestants)) as bar:
            _measure(chosen, contestants, options, found, bar)
        # Once more: what disturbed the first measurement may be gone.
        ceilings(contestants, chosen, found)
        complete = True
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        found.note(lambda content: content.update(complete=complete))
        show(found.content, options)
        if found.path is not None:
            print(f"written to {found.path}")
    lines = list(results.lines(found.content))
    return int(not complete or any(line.error or (line.check or 0) > 1 for line in lines))


def result_path(options: argparse.Namespace, kind: str) -> Path | None:
    """Where the result is to be written, if it is."""
    if options.out is not None:
        out: Path = options.out.resolve()
        return out
    return results.RESULTS / f"{kind}_{time.strftime('%Y-%m-%d_%H%M%S')}.json" if options.write else None


def described(contestants: Sequence[Contestant], found: Results) -> None:
    """Lazygrad's devices, as far as they open."""
    arena = Arena(Protocol())
    devices: dict[str, Any] = {}
    for place in dict.fromkeys(c.place for c in contestants if c.is_lazygrad):
        try:
            answer = arena.ask(next(c for c in contestants if c.place == place), "describe", DESCRIBE_SECONDS)
            devices[place] = {name: answer[name] for name in ("device", "name", "driver")}
        except WorkerError as error:
            found.problem(f"opening {place}", error)
    arena.kill()
    found.note(lambda content: content["machine"].update(devices=devices))


def ceilings(contestants: Sequence[Contestant], chosen: Sequence[rows.Row], found: Results) -> None:
    """For each number of cores, by torch where it takes part. The higher one where they were measured before."""
    precisions = sorted({row.workload.precision for row in chosen if row.workload is not None})
    arena = Arena(Protocol())
    for cores in dict.fromkeys(c.cores for c in contestants):
        among = [c for c in contestants if c.cores == cores]
        measuring = next((c for c in among if c.kind == "torch"), among[0])
        try:
            reached = arena.ask(measuring, "ceilings", CEILING_SECONDS, precisions=precisions, tiny=False)
        except WorkerError as error:
            found.problem("ceilings", error)
        else:
            known = found.content["ceilings"].get(str(cores), {})
            highest = {name: max(value, known.get(name, 0.0)) for name, value in reached.items()}
            found.note(partial(_set_ceilings, str(cores), highest))
    arena.kill()


def _set_ceilings(cores: str, highest: dict[str, float], content: dict[str, Any]) -> None:
    content["ceilings"][cores] = highest


def _measure(
    chosen: Sequence[rows.Row], contestants: Sequence[Contestant], options: argparse.Namespace, found: Results, bar: Bar
) -> None:
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else USUAL_ROUNDS)
    cost_rounds = options.rounds or (1 if options.quick else COST_ROUNDS)
    arena = Arena(Protocol(rounds, round_seconds=ROUND_SECONDS))
    costs = Arena(Protocol(cost_rounds))
    try:
        for row in chosen:
            measured = Measured(row, partial(publish, found, row.name))
            is_step = row.kind == rows.STEP
            if not is_step:
                arena.close()  # nobody else shall have memory or caches
            measure(row, contestants, arena if is_step else costs, measured, bar)
        arena.close()
    finally:
        arena.kill()


def publish(found: Results, name: str, content: dict[str, Any]) -> None:
    """Puts a row's content into the results."""
    found.note(lambda whole: whole["rows"].update({name: content}))


def show(content: dict[str, Any], options: argparse.Namespace) -> None:
    """The table, and the page if one was asked for."""
    table.print_table(content)
    for problem in content["problems"]:
        print(f"{problem['what']}: {problem['error']}")
    if options.html is not None:
        from benchmarks.page import write_page

        write_page(content, options.html)
        print(f"written to {options.html}")


def list_all() -> int:
    """Prints what can be chosen."""
    print("rows:")
    for name in rows.usual_names():
        print(f"  {name}")
    print(f"\n{FAMILIES_TEXT}")
    print("contestants:")
    for contestant in selected(["all"]):
        reason = hindrance(contestant)
        print(f"  {contestant.name}" + (f" (not available: {reason})" if reason else ""))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--only", nargs="+", metavar="GLOB", help="rows by name; any size of a family has one")
    made.add_argument("--on", nargs="+", metavar="CONTESTANT", help=f"{' '.join(USUAL)} unless told; or all")
    made.add_argument("--cores", nargs="+", type=int, metavar="N", default=[], help="on so many cores each")
    made.add_argument("--rounds", type=int, metavar="N", help=f"{USUAL_ROUNDS}, of costs {COST_ROUNDS} unless told")
    made.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, of costs 1")
    made.add_argument("--write", action="store_true", help=f"write the result below {results.RESULTS}")
    made.add_argument("--out", type=Path, metavar="FILE", help="write the result to this file")
    made.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    actions = made.add_mutually_exclusive_group()
    actions.add_argument("--list", action="store_true", help="tell what there is")
    actions.add_argument("--show", type=Path, metavar="FILE", help="show an earlier result")
    actions.add_argument("--compare", nargs=2, type=Path, metavar=("A", "B"), help="what changed between two results")
    actions.add_argument("--profile", metavar="WORKLOAD", help="the kernels of one workload, on lazygrad's contestants")
    actions.add_argument("--sweep", type=int, nargs="?", const=200, metavar="N", help="so many random shapes")
    made.add_argument("--seed", type=int, default=0, help="of the sweep")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    checkout.prepare()
    made = parser()
    options = made.parse_args(arguments)
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    # What ends the run from outside unwinds it, too, and what was found is shown and kept.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if options.list:
            return list_all()
        if options.show is not None:
            show(results.read(options.show), options)
            return 0
        if options.compare is not None:
            from benchmarks.comparing import print_comparison

            return print_comparison(*map(results.read, options.compare))
        if options.profile is not None:
            from benchmarks.profiling import print_profiles

            return print_profiles(options)
        if options.sweep is not None:
            from benchmarks.sweep import sweep

            return sweep(options)
        return run(options)
    except (KeyError, ValueError, OSError) as error:
        made.error(f"there is no row {error}" if isinstance(error, KeyError) else str(error))


if __name__ == "__main__":
    sys.exit(main())
