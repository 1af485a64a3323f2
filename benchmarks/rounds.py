"""The protocol: all contestants of a row in processes of their own, compared, then measured in turn, round by round.

In: a row and its contestants. Out: for each contestant its rounds' figures, or why it has none. Everybody sees the same
disturbances of the machine, because turns alternate; while one is measured, the others' processes are stopped.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

from benchmarks.checking import check, errors, read_results
from benchmarks.contestants import Contestant
from benchmarks.measuring import ROUND_SECONDS
from benchmarks.rows import COSTS, STEP, Cost, Row, cache_environment
from benchmarks.workers import Worker, WorkerError

# Rounds are short; one that takes longer hangs.
ROUND_LIMIT = 300.0
COST_LIMIT = 900.0
# Whose results the others are held against, if it takes part; else the first's.
REFEREES = ("torch", "numpy", "jax")
USUAL_ROUNDS = 9
QUICK_ROUNDS = 3


class Progress(Interface):
    """Is told what is done at the moment, and when a piece of it is done."""

    def doing(self, what: str) -> None: ...

    def done(self) -> None: ...


@dataclass(frozen=True)
class Protocol:
    """How rows are measured.

    Attributes:
        rounds: how many.
        tiny: sizes for interpreters.
        round_seconds: how long one is at least.
        keeps_processes: whether each contestant has one process for all rows. Else whole programs have one each, and
            single operations share.
        deadline: by ``time.monotonic``; what is not done by then is given up.
    """

    rounds: int = USUAL_ROUNDS
    tiny: bool = False
    round_seconds: float = ROUND_SECONDS
    keeps_processes: bool = False
    deadline: float = float("inf")


class Arena:
    """The contestants' processes over several rows."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self._workers: dict[Contestant, Worker] = {}

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self.protocol.deadline - time.monotonic()

    def ask(self, contestant: Contestant, kind: str, seconds: float, **request: Any) -> dict[str, Any]:
        """All that a contestant's process answers, as one; stops it afterwards.

        WorkerError where it did not answer; it has a new process the next time.
        """
        worker = self._workers.get(contestant)
        if worker is None:
            worker = self._workers[contestant] = Worker(contestant)
        try:
            found: dict[str, Any] = {}
            for answer in worker.ask({"kind": kind, **request}, min(seconds, self.remaining())):
                found.update(answer)
        except WorkerError:
            del self._workers[contestant]
            worker.kill()
            raise
        worker.stop()
        return found

    def close(self) -> None:
        """Ends all processes."""
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()

    def kill(self) -> None:
        """Ends them at once."""
        for worker in self._workers.values():
            worker.kill()
        self._workers.clear()


class Measured:
    """A row as it is written to files: ``content``, of which ``publish`` is told after each change.

    ``known`` is what an earlier measurement of the row has found, to which this one adds.
    """

    def __init__(
        self, row: Row, publish: Callable[[dict[str, Any]], object], known: dict[str, Any] | None = None
    ) -> None:
        workload = row.workload
        self.content: dict[str, Any] = {"kind": row.kind, "unit": row.unit, "contestants": {}, **(known or {})}
        if workload is not None and row.kind == STEP:
            self.content |= {"precision": workload.precision, "flops": workload.flops, "bytes": workload.bytes}
            if workload.target is not None:
                self.content["target"] = workload.target
        self._publish = publish

    def note(self, contestant: Contestant, **figures: Any) -> dict[str, Any]:
        """What became known of a contestant."""
        entry: dict[str, Any] = self.content["contestants"].setdefault(contestant.name, {"rounds": []})
        entry.update(figures)
        self._publish(self.content)
        return entry

    def add_round(self, contestant: Contestant, value: float, **others: float) -> None:
        """One round's figure, and what else it gave."""
        entry = self.note(contestant)
        for name, number in others.items():
            entry.setdefault("others", {}).setdefault(name, []).append(number)
        entry["rounds"].append(value)
        self._publish(self.content)


def measure(row: Row, contestants: Sequence[Contestant], arena: Arena, measured: Measured, progress: Progress) -> None:
    """Measures a row for those of the contestants that have such a figure."""
    taking_part = [each for each in contestants if row.takes_part(each)]
    if row.kind == STEP:
        _measure_steps(row, taking_part, arena, measured, progress)
    else:
        _measure_cost(row, COSTS[row.kind], taking_part, arena, measured, progress)


# ---- steps


def _measure_steps(
    row: Row, contestants: Sequence[Contestant], arena: Arena, measured: Measured, progress: Progress
) -> None:
    assert row.workload is not None
    if row.workload.whole and not arena.protocol.keeps_processes:
        arena.close()
    with tempfile.TemporaryDirectory(prefix="lazygrad-bench-") as folder:
        ready = _prepare(row, contestants, arena, measured, progress, Path(folder))
        _compare(row, ready, arena, measured, Path(folder))
    for contestant in list(ready):
        with _noting(measured, contestant, ready):
            arena.ask(contestant, "warm_up", row.workload.limit, round_seconds=arena.protocol.round_seconds)
    for number in range(arena.protocol.rounds):
        # Whoever comes first in one round comes later in the next: what follows whom does not matter then.
        shift = number % max(len(ready), 1)
        for contestant in [*ready[shift:], *ready[:shift]]:
            progress.doing(f"{row.name}: {contestant.name}, round {number + 1}")
            with _noting(measured, contestant, ready):
                found = arena.ask(contestant, "round", ROUND_LIMIT)
                measured.add_round(contestant, found.pop("ms"), **found)
    for contestant in list(ready):
        with _noting(measured, contestant, ready):
            measured.note(contestant, **arena.ask(contestant, "figures", ROUND_LIMIT))
    if row.workload.whole and not arena.protocol.keeps_processes:
        arena.close()


@contextmanager
def _noting(measured: Measured, contestant: Contestant, ready: list[Contestant]) -> Iterator[None]:
    """Whoever fails is out, and it is noted why."""
    try:
        yield
    except WorkerError as error:
        measured.note(contestant, error=str(error))
        ready.remove(contestant)


def _prepare(
    row: Row, contestants: Sequence[Contestant], arena: Arena, measured: Measured, progress: Progress, folder: Path
) -> list[Contestant]:
    """Those that have built the workload and run its first steps."""
    assert row.workload is not None
    ready = list(contestants)
    for contestant in contestants:
        progress.doing(f"{row.name}: {contestant.name}, first steps")
        with _noting(measured, contestant, ready):
            found = arena.ask(
                contestant, "prepare", row.workload.limit, workload=row.workload.name, tiny=arena.protocol.tiny,
                results=str(_results_of(folder, contestant)),
            )  # fmt: skip
            measured.note(contestant, **found)
        progress.done()
    return ready


def _results_of(folder: Path, contestant: Contestant) -> Path:
    return folder / f"{contestant.name.replace(':', '_').replace(' ', '_')}.npz"


def _compare(row: Row, ready: list[Contestant], arena: Arena, measured: Measured, folder: Path) -> None:
    """Notes how far everybody's results are from the referee's in float32."""
    assert row.workload is not None
    referee = next((c for kind in REFEREES for c in ready if c.kind == kind and "compile" not in c.mode), None)
    if referee is None:
        if len(ready) < 2:
            return
        referee = ready[0]
    try:
        expected = _expected(row, referee, arena, folder)
    except WorkerError as error:
        measured.note(referee, error=str(error))
        ready.remove(referee)
        return
    found = {c: errors(read_results(_results_of(folder, c)), expected) for c in ready}
    torchs = [e for c, e in found.items() if c.kind == "torch"]
    for contestant, of_contestant in found.items():
        worst = check(row.workload, of_contestant, torchs)
        assert worst is not None
        measured.note(contestant, errors=of_contestant, check=worst.factor, worst=worst.result, referee=referee.name)


def _expected(row: Row, referee: Contestant, arena: Arena, folder: Path) -> dict[str, Any]:
    """The referee's results in float32, whatever the workload's precision."""
    assert row.workload is not None
    own = _results_of(folder, referee)
    if row.workload.precision == "highest":
        return read_results(own)
    request = {"workload": row.workload.name, "tiny": arena.protocol.tiny}
    exact = own.with_suffix(".exact.npz")
    arena.ask(referee, "prepare", row.workload.limit, results=str(exact), precision="highest", **request)
    # The process measures the workload as it is, which it builds anew.
    arena.ask(referee, "prepare", row.workload.limit, results=str(own), **request)
    return read_results(exact)


# ---- costs


def _measure_cost(
    row: Row, cost: Cost, contestants: Sequence[Contestant], arena: Arena, measured: Measured, progress: Progress
) -> None:
    with tempfile.TemporaryDirectory(prefix="lazygrad-bench-") as folder:
        failed: set[Contestant] = set()
        for number in range(arena.protocol.rounds):
            for place, contestant in enumerate(contestants):
                progress.doing(f"{row.name}: {contestant.name}, round {number + 1}")
                caches = Path(folder, str(place), str(number if cost.is_cold else 0))
                if contestant in failed:
                    continue
                try:
                    if cost.needs_workload and not cost.is_cold and number == 0:
                        _cost(row, cost, contestant, arena, caches)  # fills the caches
                    found = _cost(row, cost, contestant, arena, caches)
                    target = row.target_of(contestant)
                    if target is not None:
                        measured.note(contestant, target=target)
                    measured.add_round(contestant, found.pop("value"), **found)
                except WorkerError as error:
                    measured.note(contestant, error=str(error))
                    failed.add(contestant)
                if number == 0:
                    progress.done()


def _cost(row: Row, cost: Cost, contestant: Contestant, arena: Arena, caches: Path) -> dict[str, float]:
    """What one process answers."""
    for folder in cache_environment(caches).values():
        (Path(folder).parent if Path(folder).suffix else Path(folder)).mkdir(parents=True, exist_ok=True)
    worker = Worker(contestant, {**cache_environment(caches), **(cost.environment or {})})
    request = {
        "kind": "cost", "function": cost.function, "tiny": arena.protocol.tiny,
        "workload": row.workload.name if row.workload is not None else None,
    }  # fmt: skip
    try:
        (found,) = worker.ask(request, min(COST_LIMIT, arena.remaining()))
        worker.end()  # caches are written when a process ends
    finally:
        worker.kill()
    return found
