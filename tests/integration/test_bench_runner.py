"""The runner with real processes, on sizes that take no time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNER = [sys.executable, "-m", "benchmarks"]


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def test_a_run_measures_compares_and_writes(tmp_path: Path) -> None:
    pytest.importorskip("pyopencl")
    result = tmp_path / "result.json"
    rows = ["conv_by_weight_2x3x6x6_4x3x3_s1_p1", "import"]
    ended = subprocess.run(
        [*RUNNER, "--only", *rows, "--on", "opencl", "numpy", "--rounds", "2", "--out", str(result)],
        capture_output=True, text=True, cwd=ROOT, timeout=200, env={**os.environ, "LAZYGRAD_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    content = json.loads(result.read_text())
    assert content["complete"]
    assert list(content["rows"]) == rows
    assert content["machine"]["devices"]["opencl"]["device"].startswith("opencl")
    found = content["rows"][rows[0]]["contestants"]
    assert list(found) == ["opencl plain", "opencl compile", "numpy plain"]
    assert all(len(each["rounds"]) == 2 and min(each["rounds"]) > 0 for each in found.values())
    assert all(each["check"] < 1 and each["referee"] == "numpy plain" for each in found.values())
    assert found["opencl plain"]["counters"]["kernels_launched"] > 0
    assert list(content["rows"]["import"]["contestants"]) == ["opencl plain", "numpy plain"]
    # A profile of programs that are found on disk.
    profiled = subprocess.run(
        [*RUNNER, "--profile", rows[0], "--out", str(tmp_path / "profile")],
        capture_output=True, text=True, cwd=ROOT, timeout=100, env={**os.environ, "LAZYGRAD_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert profiled.returncode == 0, profiled.stdout + profiled.stderr
    assert "of roofline" in profiled.stdout
    (source,) = (tmp_path / "profile").glob("*.cl")
    assert "# 0, cut as the heuristic does\n# kernel " in source.read_text()


def test_workers_that_fail_are_late_stopped_or_dead_say_so() -> None:
    from benchmarks.contestants import parse
    from benchmarks.workers import Worker, WorkerError

    worker = Worker(parse("numpy plain"))
    try:
        (answer,) = worker.ask({"kind": "rows"}, 60)
        assert ["softmax", True] in answer["rows"]
        with pytest.raises(WorkerError, match="KeyError: 'nothing'"):
            list(worker.ask({"kind": "prepare", "workload": "nothing", "tiny": True, "results": ""}, 60))
        worker.stop()
        if sys.platform == "linux":
            assert _state(worker._process.pid) == "T"
        (answer,) = worker.ask({"kind": "row", "row": "add", "what": "values", "tiny": True}, 60)
        assert answer == {"passed": True}
        with pytest.raises(WorkerError, match="given up after 0 s"):
            list(worker.ask({"kind": "describe"}, 0))
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.wait(20)
        with pytest.raises(WorkerError, match="the process ended with status -9"):
            list(worker.ask({"kind": "end"}, 20))
    finally:
        worker.kill()


def _state(process: int) -> str:
    """By its letter in /proc, once it has become stopped."""
    for _ in range(100):
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "T":
            break
        time.sleep(0.05)
    return state
