"""The check that is made for graphics processors, on Triton's interpreter: its answers, and what disturbs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHECK = [sys.executable, "-m", "benchmarks.gpu_check", "--device", "triton:interpret", "--tiny"]
CHEAP = ["softmax", "chain_sum_axis0", "matmul_64_bf16"]


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def report_in(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("gpu_*.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_tiny_run_measures_and_compares(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    pytest.importorskip("torch")
    arguments = ["--only", *CHEAP, "--conformance-budget", "20", "--out", str(tmp_path)]
    ended = subprocess.run([*CHECK, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=250)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = report_in(tmp_path)
    assert report["complete"]
    assert report["problems"] == report["left_out"] == []
    assert report["machine"]["device"] == "triton:interpret"
    assert set(report["workloads"]) == set(CHEAP)
    for name, workload in report["workloads"].items():
        ours, eager = workload["contestants"]["lazygrad"], workload["contestants"]["eager"]
        assert ours["launches"] == 1, name
        assert 0 < ours["fastest_ms"] <= ours["ms"] <= ours["slowest_ms"]
        assert eager["ms"] > 0
        assert max(ours["errors"].values()) < 1e-2
    # torch's product in bfloat16 and ours are equally far from float32, since both sum in float32.
    product = report["workloads"]["matmul_64_bf16"]["contestants"]
    assert product["lazygrad"]["errors"]["result 0 of step 0"] > 1e-4
    assert product["lazygrad"]["errors"] == pytest.approx(product["eager"]["errors"], rel=0.1)
    by_name = {line["workload"]: line for line in report["table"]}
    assert by_name["softmax"]["GB/s"] > 0
    assert by_name["matmul_64_bf16"]["TFLOP/s"] > 0
    assert all(line["check"] <= 1 for line in report["table"])
    assert report["ceilings"]["copy_gb_per_second"] > 0

    from lazygrad.testing import conformance

    found = report["conformance"]
    rows = conformance.rows()
    assert found["failed"] == {}
    assert found["passed"] > 0
    assert found["passed"] + len(found["left_out"]) == len(rows) + sum(row.gradients for row in rows)


def test_a_run_that_is_ended_leaves_what_it_found(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    arguments = ["--only", "softmax", "resnet18_fp32", "--no-conformance", "--out", str(tmp_path)]
    with subprocess.Popen([*CHECK, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("workload softmax"):
                running.send_signal(signal.SIGTERM)
                break
        printed = running.stdout.read()
        assert running.wait(60) == 128 + signal.SIGTERM
    assert "written to" in printed
    report = report_in(tmp_path)
    assert not report["complete"]
    assert [line["workload"] for line in report["table"]] == ["softmax"]


def test_a_profile_names_kernels_and_keeps_their_sources(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    ended = subprocess.run(
        [*CHECK, "--profile", "layer_norm_backward", "--out", str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    kernels = [line.split()[1] for line in ended.stdout.splitlines() if line[:1].isdigit()]
    sources = (tmp_path / "profile_layer_norm_backward_sources.py").read_text()
    assert len(kernels) == sources.count("import triton\n") == 2
    for kernel in kernels:
        assert f"# kernel {kernel}\n" in sources
        assert f"def {kernel}_kernel(" in sources


def test_workers_that_fail_are_late_or_die_say_so() -> None:
    from benchmarks.workers import Worker, WorkerError

    worker = Worker("numpy:0")
    try:
        (answer,) = worker.ask({"kind": "rows"}, 60)
        assert ["softmax", True] in answer["rows"]
        with pytest.raises(WorkerError, match="KeyError: 'nothing'"):
            list(worker.ask({"kind": "workload", "name": "nothing", "tiny": True}, 60))
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


def test_wrong_results_are_told_from_rounded_ones() -> None:
    from benchmarks import table
    from benchmarks.measuring import FAR, errors
    from benchmarks.workloads import named

    workload = named("matmul_64_bf16", tiny=True)

    def checked(ours: float, eager: float) -> float:
        contestants = {"lazygrad": {"errors": {"y": ours}}, "eager": {"errors": {"y": eager}}}
        found = table.check(workload, contestants)
        assert found is not None
        return found.factor

    assert checked(4e-3, 4e-3) < 1
    assert checked(2e-2, 1e-2) < 1
    assert checked(4e-2, 1e-2) > 1
    assert table.check(workload, {"lazygrad": {"ms": 1.0}}) is None

    import numpy

    expected = {"y": numpy.ones((2, 2), numpy.float32), "z": numpy.ones(1, numpy.float32)}
    found = errors({"y": numpy.full((2, 2), numpy.nan, numpy.float32)}, expected)
    assert found == {"y": FAR, "z": FAR}
    assert errors({"y": expected["y"] * 1.5, "z": expected["z"]}, expected) == {"y": 0.5, "z": 0}


def test_a_checkout_that_is_not_installed_has_its_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.checkout import CheckoutDistribution, CheckoutFinder

    project = {"name": "elsewhere", "version": "7", "entry-points": {"lazygrad.backends": {"quantum": "a.b:backend"}}}
    monkeypatch.setattr(sys, "meta_path", [CheckoutFinder(CheckoutDistribution(project)), *sys.meta_path])
    assert Distribution.from_name("elsewhere").version == "7"
    (point,) = (p for p in entry_points(group="lazygrad.backends") if p.name == "quantum")
    assert point.value == "a.b:backend"
