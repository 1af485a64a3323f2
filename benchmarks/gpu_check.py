"""Everything that only a graphics processor can tell about lazygrad, in one call and within a time.

    python -m benchmarks.gpu_check [--device triton:0] [--only NAME ...] [--budget SECONDS] [--out DIR]
    python -m benchmarks.gpu_check --device triton:interpret --tiny     # the same code without a GPU
    python -m benchmarks.gpu_check --profile NAME                       # the kernels of one workload instead

Runs from a checkout that is not installed; needs NumPy, ml_dtypes and what a backend needs, and torch to compare with.
In this order: what is there; the conformance table; torch's own ceilings; lazygrad and torch eager on each workload;
torch.compile on each. It is the runner's protocol (``benchmarks.rounds``) under a deadline: each contestant keeps one
process for all workloads, whatever hangs or crashes does so in a process of its own, and the report is written after
every answer, so that a run that is cut short leaves what it found.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks import results, table
from benchmarks.conforming import conform
from benchmarks.contestants import CHANNELS_LAST, Contestant, hindrance
from benchmarks.measuring import ROUND_SECONDS
from benchmarks.profiling import print_profile
from benchmarks.results import RESULTS, Results
from benchmarks.rounds import USUAL_ROUNDS, Arena, Measured, Protocol, measure
from benchmarks.rows import Row
from benchmarks.workers import Worker, WorkerError
from benchmarks.workloads import Workload, graphics_suite, named

# A little less than eight minutes, for the start and the end.
BUDGET = 465.0
TINY_BUDGET = 110.0
CONFORMANCE_BUDGET = 180.0
TINY_CONFORMANCE_BUDGET = 15.0
DESCRIBE_SECONDS = 90.0
CEILING_SECONDS = 60.0
PROFILE_SECONDS = 300.0
# Nothing is begun that has less time than this.
LEAST_SECONDS = 5.0
TINY_ROUNDS = 3
TINY_ROUND_SECONDS = 0.01


class Silence:
    """Progress that nobody is shown: the report tells what is done."""

    def doing(self, what: str) -> None:
        """Nothing."""

    def done(self) -> None:
        """Nothing."""


class Check:
    """One run: what is asked of workers, in order, and the report that it goes into."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.tiny: bool = options.tiny
        self.folder: Path = options.out
        self.results = Results(None, "python -m benchmarks.gpu_check")
        self.results.content |= {"options": {**vars(options), "out": str(options.out)}, "conformance": None}
        budget = TINY_BUDGET if self.tiny else BUDGET
        self.deadline = time.monotonic() + (options.budget or budget)
        # Who has more time than usual, as for LAZYGRAD_TUNE=1, has it for each workload.
        self.patience = max(1.0, (options.budget or budget) / budget)
        self.conformance_budget: float = options.conformance_budget or (
            TINY_CONFORMANCE_BUDGET if self.tiny else CONFORMANCE_BUDGET
        )
        self.workloads = [
            replace(w, limit=w.limit * self.patience)
            for w in graphics_suite(self.tiny)
            if options.only is None or w.name in options.only
        ]
        self.ours = _on(options.device)
        self.has_torch = hindrance(_peer(self.ours, "eager")) is None
        self.arena = Arena(
            Protocol(
                TINY_ROUNDS if self.tiny else USUAL_ROUNDS, self.tiny,
                TINY_ROUND_SECONDS if self.tiny else ROUND_SECONDS, keeps_processes=True, deadline=self.deadline,
            )
        )  # fmt: skip

    def remaining(self) -> float:
        """Seconds."""
        return self.deadline - time.monotonic()

    # ---- the parts

    def describe(self) -> bool:
        """What is there; whether the device can be opened."""
        try:
            machine = self.arena.ask(self.ours, "describe", DESCRIBE_SECONDS)
        except WorkerError as error:
            self._begin({})
            self.results.problem(f"opening {self.ours.place}", error)
            return False
        for name, value in machine.items():
            print(f"{name}: {value}", flush=True)
        self._begin(machine)
        return True

    def _begin(self, machine: Mapping[str, Any]) -> None:
        """The report is named after the device."""
        name = results.file_name(machine.get("name", "unknown"))
        self.results.move(self.folder / f"gpu_{name}_{time.strftime('%Y-%m-%d')}.json")
        self.results.note(lambda content: content["machine"].update(machine))

    def conformance(self) -> None:
        """The table of operations; beside it torch.compile fills its caches, and torch's launches are counted."""
        deadline = min(time.monotonic() + self.conformance_budget, self.deadline)
        compiling = Thread(target=self._compile_beside, args=(deadline,), daemon=True)
        if self._compiles():
            compiling.start()
        try:
            found = conform(
                lambda: Worker(self.ours), deadline, self.tiny,
                lambda report: self.results.note(lambda content: content.update(conformance=report)),
            )  # fmt: skip
        except WorkerError as error:
            self.results.problem("conformance", error)
        else:
            print(
                f"conformance: {found['passed']} passed, {len(found['failed'])} failed, "
                f"{len(found['left_out'])} left out: {', '.join(found['left_out']) or 'none'}",
                flush=True,
            )
        if self._compiles():
            compiling.join()

    def _compiles(self) -> bool:
        return self.has_torch and not self.tiny

    def _compile_beside(self, deadline: float) -> None:
        """Runs first steps in processes that end then: the caches stay."""
        beside = Arena(Protocol(keeps_processes=True, deadline=deadline))
        for workload in self.workloads:
            for contestant in (self._compiled(workload), _peer(self.ours, "eager")):
                if beside.remaining() < LEAST_SECONDS:
                    break
                try:
                    first = beside.ask(
                        contestant, "prepare", workload.limit, workload=workload.name, tiny=False, results=""
                    )
                    counted = beside.ask(contestant, "launches", workload.limit)
                except WorkerError as error:
                    if beside.remaining() > LEAST_SECONDS:
                        self.results.problem(f"{workload.name}, {contestant.name}'s first step", error)
                    continue
                self._measured(Row(workload.name, workload=workload)).note(
                    contestant, cold_first_seconds=first["first_seconds"], **counted
                )
        beside.kill()

    def ceilings(self) -> None:
        """What torch reaches at best."""
        if not self.has_torch:
            return
        precisions = sorted({workload.precision for workload in self.workloads})
        try:
            found = self.arena.ask(
                _peer(self.ours, "eager"), "ceilings", CEILING_SECONDS, precisions=precisions, tiny=self.tiny
            )
        except WorkerError as error:
            self.results.problem("ceilings", error)
            return
        print("; ".join(f"{name}: {value:.4g}" for name, value in found.items()), flush=True)
        self.results.note(lambda content: content["ceilings"].update({"0": found}))

    def measure(self) -> None:
        """Each workload in lazygrad, plain and compiled, and torch eager, then each through torch.compile."""
        for workload in self.workloads:
            peers = ["eager", f"eager {CHANNELS_LAST}"] if workload.images else ["eager"]
            ours = [self.ours, replace(self.ours, mode="compile")]
            self._measure(workload, [*ours, *(_peer(self.ours, mode) for mode in peers if self.has_torch)])
        for workload in self.workloads if self._compiles() else ():
            self._measure(workload, [self._compiled(workload)])

    def _measure(self, workload: Workload, contestants: Sequence[Contestant]) -> None:
        if self.remaining() < LEAST_SECONDS:
            names = ", ".join(c.name for c in contestants)
            self.results.note(lambda content: content["left_out"].append(f"{workload.name} ({names})"))
            return
        row = Row(workload.name, workload=workload)
        measure(row, contestants, self.arena, self._measured(row), Silence())
        found = self.results.content["rows"][row.name]
        for line in results.row_lines(row.name, found, self.results.content["ceilings"]):
            if line.contestant in contestants:
                texts = zip(table.COLUMNS, table.cells(line), strict=True)
                print("; ".join(f"{column} {text}" for column, text in texts if text), flush=True)

    def _measured(self, row: Row) -> Measured:
        """What is known of a row already, to be added to."""
        known = self.results.content["rows"].get(row.name)
        return Measured(row, lambda content: self.results.note(lambda c: c["rows"].update({row.name: content})), known)

    def _compiled(self, workload: Workload) -> Contestant:
        return _peer(self.ours, f"compile {CHANNELS_LAST}" if workload.images else "compile")

    # ---- the end

    def finish(self, complete: bool) -> bool:
        """Prints the table and writes the report. Whether nothing failed and lazygrad computed what torch did."""
        content = self.results.content
        table.print_table(content)
        for problem in content["problems"]:
            print(f"{problem['what']}: {problem['error']}")
        if content["left_out"]:
            print(f"left out: {', '.join(content['left_out'])}")
        self.results.note(lambda content: content.update(complete=complete))
        print(f"{content['seconds']:.0f} s; written to {self.results.path}", flush=True)
        failed = (content["conformance"] or {}).get("failed", {})
        wrong = [line for line in results.lines(content) if (line.check or 0) > 1 or line.error]
        return complete and not (wrong or failed or content["problems"])


def _on(device: str) -> Contestant:
    """Lazygrad on a device, in a plain loop."""
    kind, _, variant = device.partition(":")
    return Contestant(kind, variant, "plain")


def _peer(ours: Contestant, mode: str) -> Contestant:
    """Torch on the processor that lazygrad's device is."""
    is_gpu = ours.kind == "triton" and ours.device != "interpret"
    return Contestant("torch", f"cuda:{ours.device or 0}" if is_gpu else "", mode)


def check(options: argparse.Namespace) -> bool:
    """All parts, and the report even when they are interrupted."""
    run = Check(options)
    complete = False
    try:
        if run.describe():
            if not options.no_conformance:
                run.conformance()
            run.ceilings()
            run.measure()
            complete = True
        run.arena.close()
    finally:
        run.arena.kill()
        succeeded = run.finish(complete)
    return succeeded


def profile(options: argparse.Namespace) -> bool:
    """The kernels of one workload, their times, and their sources in a file."""
    workload = named(options.profile, options.tiny)
    return print_profile(workload, _on(options.device), options.out, options.tiny, options.budget or PROFILE_SECONDS)


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="triton:0", help="a device's name, as lazygrad knows it")
    parser.add_argument("--tiny", action="store_true", help="sizes for an interpreter, and no torch.compile")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(_names(False))}")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="for everything")
    parser.add_argument("--conformance-budget", type=float, metavar="SECONDS", help="for the conformance table")
    parser.add_argument("--no-conformance", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--profile", metavar="NAME", help="only look into one workload's kernels")
    options = parser.parse_args(arguments)
    for name in [*(options.only or ()), *([options.profile] if options.profile else ())]:
        if name not in _names(options.tiny):
            parser.error(f"there is no workload {name!r}; there are {', '.join(_names(options.tiny))}")
    options.out = options.out.resolve()
    return options


def _names(tiny: bool) -> list[str]:
    return [workload.name for workload in graphics_suite(tiny)]


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    # What ends the run from outside unwinds it, too, and the report is finished.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return 0 if (profile if options.profile else check)(options) else 1


if __name__ == "__main__":
    sys.exit(main())
