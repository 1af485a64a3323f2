"""The runner's protocol with workers that only answer: who is asked what, in which order, and what failures cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


class Shown:
    def __init__(self) -> None:
        self.finished = 0

    def doing(self, what: str) -> None:
        pass

    def done(self) -> None:
        self.finished += 1


class Stage:
    """Makes workers whose answers are made up, and notes what they are asked."""

    def __init__(self, results: Mapping[str, float], dying: Mapping[str, str]) -> None:
        self.results = results
        self.dying = dying
        self.asked: list[tuple[str, str]] = []
        self.running: set[str] = set()
        self.ended: list[str] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, contestant: Any, environment: Mapping[str, str] | None = None) -> Any:
        from benchmarks.workers import WorkerError

        stage, name = self, contestant.name
        stage.environments.append(dict(environment or {}))

        class Acting:
            def ask(self, request: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
                assert not stage.running, "only one may run at a time"
                stage.running.add(name)
                kind = request["kind"]
                stage.asked.append((name, kind))
                if stage.dying.get(name) == kind:
                    raise WorkerError("it died")
                if kind == "prepare":
                    numpy.savez(request["results"], y=numpy.full(3, stage.results[name]))
                answers = {"prepare": {"first_seconds": 1.0}, "round": {"ms": 2.0, "device_ms": 1.0}}
                yield answers.get(kind, {"value": 3.0} if kind == "cost" else {"peak_mib": 5.0})

            def stop(self) -> None:
                stage.running.discard(name)

            def end(self) -> None:
                stage.running.discard(name)
                stage.ended.append(name)

            kill = end

        return Acting()


def measured(
    monkeypatch: pytest.MonkeyPatch, row: str, results: Mapping[str, float], dying: Mapping[str, str], **protocol: Any
) -> tuple[Stage, dict[str, Any]]:
    from benchmarks import rounds, rows
    from benchmarks.contestants import parse

    stage, shown, published = Stage(results, dying), Shown(), []
    monkeypatch.setattr(rounds, "Worker", stage)
    arena = rounds.Arena(rounds.Protocol(**{"rounds": 3, **protocol}))
    chosen, contestants = rows.row(row), [parse(name) for name in results]
    rounds.measure(chosen, contestants, arena, rounds.Measured(chosen, published.append), shown)
    assert shown.finished == len(contestants)
    return stage, published[-1]


def test_turns_alternate_and_begin_with_another_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["opencl plain", "numpy plain", "torch eager"]
    stage, content = measured(monkeypatch, "matmul_8", dict.fromkeys(names, 1.0), {})
    a, b, c = names
    assert [name for name, kind in stage.asked if kind == "round"] == [a, b, c, b, c, a, c, a, b]
    assert [kind for name, kind in stage.asked if name == a] == ["prepare", "warm_up", *["round"] * 3, "figures"]
    # Operations share processes with the rows that follow.
    assert stage.ended == []
    found = content["contestants"][a]
    assert found["rounds"] == [2.0] * 3
    assert found["others"] == {"device_ms": [1.0] * 3}
    assert (found["first_seconds"], found["peak_mib"], found["referee"]) == (1.0, 5.0, "torch eager")


def test_programs_have_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"opencl plain": 1.0, "torch eager": 1.0}
    stage, _ = measured(monkeypatch, "mlp_train_2", results, {})
    assert sorted(stage.ended) == sorted(results)
    stage, _ = measured(monkeypatch, "mlp_train_2", results, {}, keeps_processes=True)
    assert stage.ended == []


def test_results_are_compared_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"opencl plain": 1.001, "torch eager": 1.0, "torch compile": 1.00001}
    _, content = measured(monkeypatch, "matmul_8", results, {})
    found = content["contestants"]
    assert found["opencl plain"]["check"] == pytest.approx(10, rel=0.01)
    assert found["opencl plain"]["worst"] == "y"
    assert found["torch eager"]["check"] == 0
    assert found["torch compile"]["check"] < 1


@pytest.mark.parametrize("at", ["prepare", "warm_up", "round", "figures"])
def test_who_fails_is_out_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    names = ["opencl plain", "torch eager"]
    from benchmarks.results import row_lines

    # A process that has died is none that runs.
    monkeypatch.setattr(Stage, "running", set(), raising=False)
    stage, content = measured(monkeypatch, "matmul_8", dict.fromkeys(names, 1.0), {"torch eager": at})
    assert content["contestants"]["torch eager"]["error"] == "it died"
    assert len(content["contestants"]["opencl plain"]["rounds"]) == 3
    assert [name for name in stage.ended if name == "torch eager"] == ["torch eager"]
    assert stage.asked.count(("torch eager", at)) == 1
    assert any(line.error for line in row_lines("matmul_8", content, {}))


def test_costs_come_from_new_processes_with_their_own_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"opencl plain": 1.0, "torch eager": 1.0}
    cold, content = measured(monkeypatch, "first_cold/mlp_train_128", results, {}, rounds=2)
    assert [found["rounds"] for found in content["contestants"].values()] == [[3.0, 3.0]] * 2
    folders = [environment["LAZYGRAD_CACHE"] for environment in cold.environments]
    assert len(set(folders)) == len(folders) == 4
    warm, _ = measured(monkeypatch, "first_warm/mlp_train_128", results, {}, rounds=2)
    folders = [environment["LAZYGRAD_CACHE"] for environment in warm.environments]
    # One process more fills each contestant's.
    assert len(folders) == 6
    assert len(set(folders)) == 2


def test_overheads_are_asked_of_those_with_a_clock_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import rows
    from benchmarks.contestants import selected

    row = rows.row("overhead/resnet18_train_32x64x64")
    taking_part = [c for c in selected(["all"]) if row.takes_part(c)]
    assert {c.kind for c in taking_part} == {"opencl", "triton"}
    assert [row.target_of(c) for c in taking_part if c.kind == "opencl"] == [25.0, 1.0]
    images = [c for c in selected(["torch"]) if rows.row("matmul_8").takes_part(c)]
    assert [c.mode for c in images] == ["eager", "compile"]


def test_ceilings_are_the_highest_of_the_run_on_as_many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import command, rounds, rows
    from benchmarks.contestants import on_cores, selected
    from benchmarks.results import Results

    reached = [(50.0, 9.0), (100.0, 7.0), (60.0, 8.0), (90.0, 7.5)]
    answers = iter({"highest_gflops": product, "copy_gb_per_second": copy} for product, copy in reached)
    asked = []

    def ask(self: Any, contestant: Any, kind: str, seconds: float, **request: Any) -> dict[str, float]:
        asked.append(contestant.name)
        return next(answers)

    monkeypatch.setattr(rounds.Arena, "ask", ask)
    results = Results(None, "")
    contestants = on_cores(selected(["opencl plain", "torch eager"]), [1, 2])
    for _ in range(2):
        command.ceilings(contestants, [rows.row("matmul_8")], results)
    assert asked == ["torch eager @1", "torch eager @2"] * 2
    assert results.content["ceilings"] == {
        "1": {"highest_gflops": 60.0, "copy_gb_per_second": 9.0},
        "2": {"highest_gflops": 100.0, "copy_gb_per_second": 7.5},
    }


@pytest.mark.parametrize(("used", "looks"), [([0.0], 1), ([1.2, 0.9, 0.05], 3), ([1.0] * 10, 3)])
def test_rounds_wait_for_workers_that_first_steps_have_started(
    monkeypatch: pytest.MonkeyPatch, used: list[float], looks: int
) -> None:
    """Until others rest, but not forever."""
    from benchmarks import measuring

    clock = [0.0]
    asked: list[float] = []

    class Others:
        def cores(self) -> dict[str, float]:
            asked.append(used[len(asked)])
            return {"others_cores": asked[-1], "stolen_cores": 0.0}

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(measuring, "Others", Others)
    monkeypatch.setattr(measuring, "time", SimpleNamespace(sleep=sleep, perf_counter=lambda: clock[0]))
    monkeypatch.setattr(measuring, "MOST_SETTLING_SECONDS", 2.5 * measuring.SETTLED_SECONDS)
    measuring.let_children_settle()
    assert len(asked) == looks
