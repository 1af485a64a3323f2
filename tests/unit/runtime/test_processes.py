"""Processes that work for this one: used again, replaced, ended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lazygrad.runtime import processes
from lazygrad.runtime.processes import EndedError, Program, Workers

PROGRAM = Program("answering", str(Path(__file__).parent / "answering"), "answer", {"LAZYGRAD_TEST_WORD": "heard"})


@pytest.fixture
def workers(monkeypatch) -> Iterator[Workers[Any, Any]]:
    monkeypatch.setattr(processes, "available_cores", lambda: 2)
    made: Workers[Any, Any] = Workers(4)
    yield made
    for worker in made._idle:
        worker.kill()


def run(workers: Workers[Any, Any], jobs: list[Any], seconds: float | None = None) -> dict[int, Any]:
    return {number: answer for number, answer, _ in workers.run(PROGRAM, jobs, "working", seconds)}


def test_answers_come_with_the_numbers_of_their_jobs(workers):
    answers = run(workers, [("say", n) for n in range(7)])
    assert {number: value for number, (_, value) in answers.items()} == {n: n for n in range(7)}
    first = {process for process, _ in answers.values()}
    assert 1 <= len(first) <= 2
    assert {process for process, _ in run(workers, [("say", 0)]).values()} <= first


def test_a_process_has_its_environment_and_what_it_says_belongs_to_its_job(workers):
    ((number, (_, value), said),) = workers.run(PROGRAM, [("environment", "LAZYGRAD_TEST_WORD")], "working")
    assert (number, value, said) == (0, "heard", "asked for heard")


def test_jobs_run_while_others_are_made(workers):
    made: list[int] = []

    def jobs() -> Iterator[Any]:
        yield "say", 0
        while not workers._idle:  # until the first has been answered
            time.sleep(0.01)
        made.append(1)
        yield "say", 1

    assert len(list(workers.run(PROGRAM, jobs(), "working"))) == 2
    assert made


def test_processes_that_were_started_before_are_the_ones_that_work(workers):
    workers.start(PROGRAM, 5)
    assert len(workers._idle) == 2
    started = {worker._process.pid for worker in workers._idle}
    assert {process for process, _ in run(workers, [("say", 0), ("say", 1)]).values()} <= started


def test_a_process_that_dies_says_how_and_the_others_go_on(workers):
    answers = run(workers, [("say", 1), ("die", 0), ("say", 2)])
    assert isinstance(answers[1], EndedError)
    assert "status 3" in str(answers[1])
    assert "last words" in str(answers[1])
    assert [answers[0][1], answers[2][1]] == [1, 2]


def test_a_process_that_hangs_is_ended(workers):
    answers = run(workers, [("hang", 0)], seconds=0.5)
    assert isinstance(answers[0], EndedError)


def test_a_process_that_died_between_jobs_is_replaced(workers):
    run(workers, [("say", 0)])
    for worker in workers._idle:
        worker.kill()
        worker._process.wait()
    assert run(workers, [("say", 5)])[0][1] == 5


def test_an_interrupt_ends_the_processes_at_work(workers):
    def jobs() -> Iterator[Any]:
        yield "hang", 0
        while not workers._busy:
            time.sleep(0.01)
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(workers.run(PROGRAM, jobs(), "working"))
    assert time.monotonic() - start < 30
    assert run(workers, [("say", 6)])[0][1] == 6


def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = tmp_path / "script.py"  # without if __name__ == "__main__"
    script.write_text(
        f"from lazygrad.runtime.processes import Program, Workers\nimport os, signal\n"
        f"workers = Workers(1)\n"
        f"((_, (process, _), _),) = workers.run(Program{tuple(PROGRAM)!r}, [('say', 1)], 'working')\n"
        f"print(process, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    process = Path("/proc") / done.stdout.strip()
    assert done.stdout.strip(), done.stderr
    for _ in range(500):
        if not process.exists() or "\nState:\tZ" in (process / "status").read_text():
            break
        time.sleep(0.01)
    else:
        pytest.fail("the worker outlives its parent")
