"""Tuning: trials in a process that may fail in any way, winners on disk, and what is used without either."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy
import pytest

from lazygrad.ir.dtype import float32
from lazygrad.ir.index import Index, Variable
from lazygrad.ir.value import LOAD, apply, leaf
from lazygrad.kernel.identity import key
from lazygrad.kernel.kernel import Access, Body, Stage, Store
from lazygrad.runtime import HEURISTIC, tuning, tuning_process, tuning_session, tuning_trials
from lazygrad.runtime.tuning import Winners, best, chosen
from lazygrad.runtime.tuning_process import Ended, WorkerProcess
from lazygrad.runtime.tuning_session import CannotStart, Session
from lazygrad.runtime.tuning_trials import Compiling, Refused, Started, Timed, trials
from lazygrad.runtime.tuning_worker import Job
from unit.runtime.faulty_device import (
    DIES,
    HANGS,
    INCOMPLETE,
    INTERRUPTS,
    RAISES,
    UNCOMPILABLE,
    WRONG,
    FaultyDevice,
    alternatives,
    publish,
    times,
)


@pytest.fixture(autouse=True)
def faulty(tmp_path, monkeypatch):
    """A cache of its own, a backend that workers find, and nothing remembered of other tests."""
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LAZYGRAD_TUNE", raising=False)
    monkeypatch.setattr(tuning, "_given_up", set())
    publish(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def session():
    made = Session("faulty:0")
    yield made
    made.end()


def after(kernel, *numbers):
    return list(trials(FaultyDevice(), kernel, alternatives(*numbers), range(1 + len(numbers))))


# ---- trials, in this process


def test_right_alternatives_are_timed():
    assert after(times(3), 50, 200) == [
        Compiling(), Started(0), Timed(0, 1e-4), Started(1), Timed(1, 5e-5), Started(2), Timed(2, 2e-4),
    ]  # fmt: skip


def test_wrong_results_and_missing_ones_are_found():
    said = after(times(3), WRONG, INCOMPLETE, 50)
    refused = [each for each in said if isinstance(each, Refused)]
    assert [each.number for each in refused] == [1, 2]
    assert "wrong results in buffer 1 from element 0 on: 1 of 64 elements, the first at 7" in refused[0].reason
    assert "1 of 64 elements, the first at 63: 0.171875" in refused[1].reason
    assert said[-1] == Timed(3, 5e-5)


def test_a_portion_is_tried_before_the_next_is_compiled():
    said = after(times(3), *range(50, 60))
    assert [place for place, each in enumerate(said) if each == Compiling()] == [0, 17]


def test_what_cannot_be_compiled_is_out_and_what_fails_while_it_runs_is_the_end():
    said = after(times(3), UNCOMPILABLE, RAISES, 50)
    assert said[4] == Refused(1, "RuntimeError: the compiler has no registers left")
    assert said[6:] == [Refused(2, "RuntimeError: an illegal address", ruined=True)]


def test_large_results_are_compared_in_parts(monkeypatch):
    monkeypatch.setattr(tuning_trials, "COMPARED_ELEMENTS", 10)
    said = after(times(3), 50, INCOMPLETE, WRONG)
    assert [each.number for each in said if isinstance(each, Timed)] == [0, 1]
    assert "from element 60 on: 1 of 4 elements, the first at 3" in said[6].reason


def test_inputs_are_such_that_there_is_something_to_compare():
    axis = Variable("i0", 64)
    here = Index(0, ((axis, 1),))
    store = Store(Access(1, here), apply("log", leaf(LOAD, float32, Access(0, here))))
    kernel = replace(times(3), bodies=(Body((axis,), (Stage((), (), (store,)),)),))
    opened = FaultyDevice()
    (expected,) = tuning_trials._Trial(opened, kernel, *opened.compile([kernel]))._expected
    assert not numpy.isnan(expected).any()


# ---- sessions: trials in another process


def test_a_session_survives_everything(session, monkeypatch, caplog):
    monkeypatch.setattr(tuning_session, "TRIAL_DEADLINE", 3.0)
    tried = alternatives(80, UNCOMPILABLE, WRONG, DIES, 70, HANGS, RAISES, 60)
    assert session.measure(times(3), tried) == {0: 1e-4, 1: 8e-5, 5: 7e-5, 8: 6e-5}
    (record,) = caplog.records
    assert "tuning kernel times3 on faulty:0: 5 of 9 alternatives are out" in record.getMessage()
    assert "no registers left" in record.getMessage()
    assert session.measure(times(4), alternatives(50)) == {0: 1e-4, 1: 5e-5}  # and goes on


def test_the_status_and_the_last_words_of_a_process_are_told(session, caplog):
    assert session.measure(times(3), alternatives(DIES)) == {0: 1e-4}
    assert "((4,),): the process ended with status 139" in caplog.text


def test_the_deadline_of_a_kernel_ends_its_trials_with_the_best_so_far(session, monkeypatch):
    assert session.measure(times(2), alternatives(50))  # the worker runs
    monkeypatch.setattr(tuning_session, "KERNEL_DEADLINE", 2.0)
    start = time.monotonic()
    assert session.measure(times(3), alternatives(50, HANGS, 20)) == {0: 1e-4, 1: 5e-5}
    assert time.monotonic() - start < 10


def test_without_the_heuristics_result_there_is_none(session, monkeypatch, caplog):
    tried = (((DIES,),), ((50,),))
    assert session.measure(times(3), tried) == {}
    assert "1 of 2 alternatives are out" in caplog.text


@pytest.mark.parametrize(("name", "reason"), [("broken", "fallen off the bus"), ("slow", "within 5 seconds")])
def test_a_device_that_cannot_be_opened(name, reason, monkeypatch):
    monkeypatch.setattr(tuning_session, "START_DEADLINE", 60.0 if name == "broken" else 5.0)
    with pytest.raises(CannotStart, match=reason):
        Session(f"faulty:{name}").measure(times(3), alternatives(50))


def test_a_worker_ends_when_nobody_listens_even_if_it_hangs():
    worker = WorkerProcess("faulty:0", time.monotonic() + 60)
    try:
        worker.send(Job(times(3), alternatives(HANGS), (0, 1)))
        while worker.answer(time.monotonic() + 60) != {"answer": "started", "number": 1}:
            pass
        worker._process.stdin.close()
        assert worker._process.wait(60) == 0
        with pytest.raises(Ended, match="status 0"):
            worker.answer(time.monotonic() + 60)
    finally:
        worker.end()


def test_a_worker_does_not_tune_or_overwrite_reports(monkeypatch):
    given = {}

    def remember(command, **options):
        given.update(options["env"])
        raise OSError("enough was seen")

    for name in ("LAZYGRAD_TUNE", "LAZYGRAD_PROFILE", "LAZYGRAD_DEBUG"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(subprocess, "Popen", remember)
    with pytest.raises(OSError, match="enough was seen"):
        WorkerProcess("faulty:0", time.monotonic())
    assert "LAZYGRAD_CACHE" in given
    assert not set(tuning_process.NOT_INHERITED) & set(given)


# ---- what is chosen


def test_the_heuristic_serves_at_once():
    assert chosen(FaultyDevice(50), [times(2), times(3)]) == [HEURISTIC] * 2


def test_a_device_without_alternatives_is_not_asked(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_TUNE", "1")
    device = FaultyDevice(50)
    device.is_tunable = False
    monkeypatch.setattr(tuning, "Winners", None)
    assert chosen(device, [times(2)]) == [HEURISTIC]


def test_winners_are_found_kept_and_used_without_tuning(monkeypatch, capfd):
    monkeypatch.setenv("LAZYGRAD_TUNE", "1")
    device, fast = FaultyDevice(99, WRONG, 50), ((50,),)
    kernels = [times(2), times(3), times(2)]
    assert chosen(device, kernels) == [fast] * 3
    monkeypatch.delenv("LAZYGRAD_TUNE")
    monkeypatch.setattr(tuning, "Session", None)  # no trials any more
    assert chosen(FaultyDevice(99, WRONG, 50), [times(3), times(4)]) == [fast, HEURISTIC]
    monkeypatch.setenv("LAZYGRAD_TUNE", "1")
    assert chosen(FaultyDevice(50), [times(3)]) == [fast]
    assert chosen(FaultyDevice(), [times(5)]) == [HEURISTIC]  # nothing to choose from


def test_winners_belong_to_one_device_and_driver():
    device, other = FaultyDevice(50), FaultyDevice(50)
    other.information = type(device.information)("faulty:0", device.information.description, "driver 2")
    Winners(device).write(times(2), ((50,),), {0: 1e-4, 1: 5e-5})
    assert Winners(device).read(times(2)) == ((50,),)
    assert Winners(other).read(times(2)) is None
    assert Winners(device).folder.startswith("Device_that_fails_on_purpose__driver_1-")


def test_a_difference_within_noise_keeps_the_heuristic():
    assert best({0: 1.0, 1: 0.98}) == 0
    assert best({0: 1.0, 1: 0.9, 2: 0.9}) == 1


def test_damaged_winners_are_ignored_with_a_warning(caplog):
    device = FaultyDevice(50)
    winners = Winners(device)
    store = winners._store
    name = f"{key(times(2))}.json"
    for damaged in (b"{", b"[]", b"{}", b'{"alternative": 3}', b'{"alternative": [["x"]]}'):
        store.write(name, damaged)
        caplog.clear()
        assert chosen(device, [times(2)]) == [HEURISTIC]
        assert name in caplog.text
        assert "is ignored" in caplog.text
        assert not store.path(name).exists()
    winners.write(times(2), ((50,),), {0: 1e-4, 1: 5e-5})
    store.path(name).write_bytes(store.path(name).read_bytes()[:-1])
    caplog.clear()
    assert chosen(device, [times(2)]) == [HEURISTIC]
    assert "is damaged" in caplog.text


def test_what_is_no_alternative_any_more_is_ignored(caplog):
    caplog.set_level(logging.INFO)
    Winners(FaultyDevice(50)).write(times(2), ((50,),), {0: 1e-4, 1: 5e-5})
    assert chosen(FaultyDevice(60), [times(2)]) == [HEURISTIC]
    assert "is no alternative any more" in caplog.text


def test_the_file_says_what_was_measured():
    winners = Winners(FaultyDevice(50))
    winners.write(times(2), ((50,),), {0: 1e-4, 1: 5e-5})
    (path,) = winners._store.folder.iterdir()
    assert path.name == f"{key(times(2))}.json"
    assert json.loads(winners._store.read(path.name)) == {
        "kernel": "times2", "alternative": [[50]], "seconds": {"0": 1e-4, "1": 5e-5},
    }  # fmt: skip


def test_a_device_that_cannot_be_tuned_is_warned_of_once(monkeypatch, caplog):
    monkeypatch.setenv("LAZYGRAD_TUNE", "1")
    device = FaultyDevice(50)
    device.name = "faulty:broken"
    for _ in range(2):
        assert chosen(device, [times(2), times(3)]) == [HEURISTIC] * 2
    (record,) = caplog.records
    assert "faulty:broken is not tuned: the process ended with status 1" in record.getMessage()
    assert "fallen off the bus" in record.getMessage()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_control_c_leaves_everything_usable(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_TUNE", "1")
    assert chosen(FaultyDevice(50), [times(2)]) == [((50,),)]
    ended = []
    monkeypatch.setattr(WorkerProcess, "end", lambda self, end=WorkerProcess.end: (end(self), ended.append(self)))
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            chosen(FaultyDevice(INTERRUPTS), [times(3)])
    finally:
        signal.signal(signal.SIGINT, previous)
    (worker,) = ended
    assert worker._process.poll() is not None
    assert chosen(FaultyDevice(50), [times(2), times(3)]) == [((50,),)] * 2


def test_importing_the_library_imports_no_progress_bar():
    code = "import sys, lazygrad; print('tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
