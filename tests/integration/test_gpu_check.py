"""The check that is made for graphics processors, on Triton's interpreter: its answers, and what disturbs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHECK = [sys.executable, "-m", "benchmarks.gpu_check", "--device", "triton:interpret", "--tiny"]
OURS = "triton:interpret plain"
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
    arguments = ["--only", *CHEAP, "--conformance-budget", "8", "--out", str(tmp_path)]
    ended = subprocess.run([*CHECK, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=250)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = report_in(tmp_path)
    assert report["complete"]
    assert report["problems"] == report["left_out"] == []
    assert report["machine"]["device"] == "triton:interpret"
    assert set(report["rows"]) == set(CHEAP)
    for name, row in report["rows"].items():
        ours, eager = row["contestants"][OURS], row["contestants"]["torch eager"]
        assert ours["launches"] == 1, name
        assert len(ours["rounds"]) == len(eager["rounds"]) > 1
        assert min(ours["rounds"] + eager["rounds"]) > 0
        assert max(ours["errors"].values()) < 1e-2
        assert ours["check"] <= 1
    # torch's product in bfloat16 and ours are equally far from float32, since both sum in float32.
    product = report["rows"]["matmul_64_bf16"]["contestants"]
    assert product[OURS]["errors"]["result 0 of step 0"] > 1e-4
    assert product[OURS]["errors"] == pytest.approx(product["torch eager"]["errors"], rel=0.1)
    assert report["ceilings"]["0"]["copy_gb_per_second"] > 0

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
            if line.startswith("row softmax"):
                running.send_signal(signal.SIGTERM)
                break
        printed = running.stdout.read()
        assert running.wait(60) == 128 + signal.SIGTERM
    assert "written to" in printed
    report = report_in(tmp_path)
    assert not report["complete"]
    assert report["rows"]["softmax"]["contestants"][OURS]["rounds"]
    assert not any(
        found["rounds"] for found in report["rows"].get("resnet18_fp32", {"contestants": {}})["contestants"].values()
    )


def test_a_profile_names_kernels_and_keeps_their_sources(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    ended = subprocess.run(
        [*CHECK, "--profile", "layer_norm_backward", "--out", str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    kernels = [line.split()[1] for line in ended.stdout.splitlines() if line[:1].isdigit()]
    sources = (tmp_path / "profile_layer_norm_backward.py").read_text()
    assert len(kernels) == sources.count("import triton\n") == 2
    for kernel in kernels:
        assert f"# kernel {kernel}\n" in sources
        assert f"def {kernel}_kernel(" in sources


def test_a_checkout_that_is_not_installed_has_its_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.checkout import CheckoutDistribution, CheckoutFinder

    project = {"name": "elsewhere", "version": "7", "entry-points": {"lazygrad.backends": {"quantum": "a.b:backend"}}}
    monkeypatch.setattr(sys, "meta_path", [CheckoutFinder(CheckoutDistribution(project)), *sys.meta_path])
    assert Distribution.from_name("elsewhere").version == "7"
    (point,) = (p for p in entry_points(group="lazygrad.backends") if p.name == "quantum")
    assert point.value == "a.b:backend"
