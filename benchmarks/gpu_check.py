"""Everything that only a graphics processor can tell about lazygrad, in one call and within a time.

    python -m benchmarks.gpu_check [--device triton:0] [--only NAME ...] [--budget SECONDS] [--out DIR]
    python -m benchmarks.gpu_check --device triton:interpret --tiny     # the same code without a GPU
    python -m benchmarks.gpu_check --profile NAME                       # the kernels of one workload instead

Runs from a checkout that is not installed; needs NumPy, ml_dtypes and what a backend needs, and torch to compare with.
In this order: what is there; the conformance table; torch's own ceilings; lazygrad and torch eager on each workload;
torch.compile on each. Results are compared before anything is timed. Whatever hangs or crashes does so in a process of
its own, and the report is written after every answer, so that a run that is cut short leaves what it found.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks import table
from benchmarks.conforming import conform
from benchmarks.report import Report
from benchmarks.workers import Worker, WorkerError
from benchmarks.workloads import Workload, workloads

RESULTS = Path(__file__).parent / "results"
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
# For timing each contestant, beside the steps that are compared.
TIMED_SECONDS = 1.0
TINY_TIMED_SECONDS = 0.05


class Check:
    """One run: what is asked of workers, in order, and the report that it goes into."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device: str = options.device
        self.tiny: bool = options.tiny
        self.report = Report(options.out, {**vars(options), "out": str(options.out)})
        budget = TINY_BUDGET if self.tiny else BUDGET
        self.deadline = time.monotonic() + (options.budget or budget)
        # Who has more time than usual, as for LAZYGRAD_TUNE=1, has it for each workload.
        self.patience = max(1.0, (options.budget or budget) / budget)
        self.conformance_budget: float = options.conformance_budget or (
            TINY_CONFORMANCE_BUDGET if self.tiny else CONFORMANCE_BUDGET
        )
        self.workloads = [w for w in workloads(self.tiny) if options.only is None or w.name in options.only]
        self.has_torch = False
        self._worker: Worker | None = None

    def remaining(self) -> float:
        """Seconds."""
        return self.deadline - time.monotonic()

    def ask(self, request: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
        """Asks the one worker that measures; another one the next time where this one failed."""
        try:
            self._worker = self._worker or Worker(self.device)
            yield from self._worker.ask(request, min(seconds, self.remaining()))
        except WorkerError:
            if self._worker is not None:
                self._worker.kill()
                self._worker = None
            raise

    def close(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    # ---- the parts

    def describe(self) -> bool:
        """What is there; whether the device can be opened."""
        machine: dict[str, Any] = {}
        try:
            for answer in self.ask({"kind": "describe"}, DESCRIBE_SECONDS):
                machine.update(answer)
                for name, value in answer.items():
                    print(f"{name}: {value}", flush=True)
        except WorkerError as error:
            self.report.problem(f"opening {self.device}", error)
            return False
        finally:
            self.report.note(lambda content: content["machine"].update(machine))
        self.has_torch = machine["versions"]["torch"] != "not installed"
        return True

    def conformance(self) -> None:
        """The table of operations; beside it torch.compile fills its caches, and torch's launches are counted."""
        deadline = min(time.monotonic() + self.conformance_budget, self.deadline)
        compiling = Thread(target=self._compile_beside, args=(deadline,), daemon=True)
        if self._compiles():
            compiling.start()
        try:
            found = conform(
                lambda: Worker(self.device), deadline, self.tiny,
                lambda report: self.report.note(lambda content: content.update(conformance=report)),
            )  # fmt: skip
        except WorkerError as error:
            self.report.problem("conformance", error)
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
        worker = Worker(self.device)
        for workload in self.workloads:
            remaining = deadline - time.monotonic()
            if remaining < LEAST_SECONDS:
                break
            request = self._request(workload, [_compiled(workload), "eager"], 0)
            try:
                for answer in worker.ask(request, remaining):
                    if "first_seconds" in answer:
                        answer["cold_first_seconds"] = answer.pop("first_seconds")
                    self._record(workload, answer["contestant"], answer)
            except WorkerError as error:
                worker.kill()
                if deadline - time.monotonic() < LEAST_SECONDS:
                    return
                self.report.problem(f"{workload.name}, torch.compile's first step", error)
                worker = Worker(self.device)
        worker.end()

    def ceilings(self) -> None:
        """What torch reaches at best."""
        if not self.has_torch:
            return
        request = {"kind": "ceilings", "tiny": self.tiny, "seconds": self._timed_seconds()}
        try:
            for answer in self.ask(request, CEILING_SECONDS):
                self._record_ceilings(answer)
        except WorkerError as error:
            self.report.problem("ceilings", error)

    def _record_ceilings(self, found: Mapping[str, float]) -> None:
        for name, value in found.items():
            print(f"{name}: {value:.4g}", flush=True)
        self.report.note(lambda content: content["ceilings"].update(found))

    def measure(self) -> None:
        """Each workload in lazygrad and torch eager, then each through torch.compile."""
        for workload in self.workloads:
            labels = ["lazygrad"]
            if self.has_torch:
                labels += ["eager", "eager channels last"] if workload.images else ["eager"]
            self._measure(workload, labels)
        for workload in self.workloads if self._compiles() else ():
            self._measure(workload, [_compiled(workload)])

    def _measure(self, workload: Workload, labels: Sequence[str]) -> None:
        what = f"{workload.name} ({', '.join(labels)})"
        if self.remaining() < LEAST_SECONDS:
            self.report.note(lambda content: content["left_out"].append(what))
            return
        try:
            limit = workload.limit * self.patience
            for answer in self.ask(self._request(workload, labels, self._timed_seconds()), limit):
                self._record(workload, answer["contestant"], answer)
        except WorkerError as error:
            if self.remaining() > 0:
                self.report.problem(what, error)
            else:
                self.report.note(lambda content: content["left_out"].append(what))
        numbers = table.row(workload, self._contestants(workload), self.report.content["ceilings"])
        print("; ".join(f"{c} {v}" for c, v in zip(table.COLUMNS, table.cells(numbers), strict=True) if v), flush=True)

    def _request(self, workload: Workload, labels: Sequence[str], seconds: float) -> dict[str, Any]:
        return {
            "kind": "workload", "name": workload.name, "tiny": self.tiny, "contestants": list(labels),
            "seconds": seconds,
        }  # fmt: skip

    def _record(self, workload: Workload, contestant: str, answer: Mapping[str, Any]) -> None:
        entry: dict[str, Any] = {
            "precision": workload.precision,
            "flops": workload.flops,
            "bytes": workload.bytes,
            "contestants": {},
        }

        def change(content: dict[str, Any]) -> None:
            contestants = content["workloads"].setdefault(workload.name, entry)["contestants"]
            contestants.setdefault(contestant, {}).update(answer)

        self.report.note(change)

    def _contestants(self, workload: Workload) -> dict[str, Any]:
        found: dict[str, Any] = self.report.content["workloads"].get(workload.name, {}).get("contestants", {})
        return found

    def _timed_seconds(self) -> float:
        return TINY_TIMED_SECONDS if self.tiny else TIMED_SECONDS

    # ---- the end

    def finish(self, complete: bool) -> bool:
        """Prints the table and writes the report. Whether nothing failed and lazygrad computed what torch did."""
        content = self.report.content
        measured = [w for w in self.workloads if self._contestants(w)]
        numbers = [table.row(w, self._contestants(w), content["ceilings"]) for w in measured]
        table.print_table([table.cells(line) for line in numbers])
        checks = {w.name: table.check(w, self._contestants(w)) for w in measured}
        wrong = {name: found for name, found in checks.items() if found is not None and found.factor > 1}
        for name, found in wrong.items():
            print(f"{name}: {found.result} is {found.factor:.3g} times farther from torch than admitted")
        for problem in content["problems"]:
            print(f"{problem['what']}: {problem['error']}")
        if content["left_out"]:
            print(f"left out: {', '.join(content['left_out'])}")
        path = self.report.note(lambda content: content.update(table=numbers, complete=complete))
        print(f"{content['seconds']:.0f} s; written to {path}", flush=True)
        failed = (content["conformance"] or {}).get("failed", {})
        return complete and not (wrong or failed or content["problems"])

    def kill(self) -> None:
        """Ends the worker at once."""
        if self._worker is not None:
            self._worker.kill()


def _compiled(workload: Workload) -> str:
    return "compile channels last" if workload.images else "compile"


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
        run.close()
    finally:
        run.kill()
        succeeded = run.finish(complete)
    return succeeded


def profile(options: argparse.Namespace) -> bool:
    """The kernels of one workload, their times, and their sources in a file."""
    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    name = options.profile
    trace = folder / f"profile_{name}_trace.json"
    worker = Worker(options.device, {"LAZYGRAD_PROFILE": str(trace)})
    try:
        (found,) = worker.ask(
            {"kind": "profile", "name": name, "tiny": options.tiny}, options.budget or PROFILE_SECONDS
        )
        worker.end()  # the trace is written when the process ends
    except WorkerError as error:
        print(f"{name}: {error}")
        return False
    finally:
        worker.kill()
    sources = folder / f"profile_{name}_sources.{'py' if options.device.startswith('triton') else 'cl'}"
    sources.write_text(found["sources"])
    total = sum(kernel["ms"] for kernel in found["kernels"])
    lines = [["", "kernel", "launches", "ms a step", "share", "GB/s", "TFLOP/s"]]
    for k in found["kernels"]:
        lines.append(
            [
                str(k["number"]), k["kernel"], f"{k['launches']:g}", f"{k['ms']:.4f}", f"{k['ms'] / total:.1%}",
                f"{k['gb_per_second']:.0f}", f"{k['tflops']:.3g}" if k["tflops"] else "",
            ]
        )  # fmt: skip
    print(table.plain(lines))
    print(f"kernels: {total:.3f} ms a step by the {found['clock']}'s clock; the step: {found['ms']:.3f} ms")
    print(f"written to {sources}" + (f" and {trace}" if trace.exists() else ""))
    return True


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
    return [workload.name for workload in workloads(tiny)]


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    # What ends the run from outside unwinds it, too, and the report is finished.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return 0 if (profile if options.profile else check)(options) else 1


if __name__ == "__main__":
    sys.exit(main())
