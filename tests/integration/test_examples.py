"""The examples, run as a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def output_of(script: str, *arguments: str) -> str:
    pytest.importorskip("pyopencl")
    environment = {**os.environ, "LAZYGRAD_DEVICE": "opencl"}
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        capture_output=True, text=True, env=environment, timeout=280,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def test_the_autograd_tour_prints_what_the_tutorial_says() -> None:
    printed = output_of("autograd_tour.py")
    assert printed.count("tensor([True, True])") == 4
    assert "62 have gradients, 62 changed" in printed
    assert "pass gradient=torch.ones_like" in printed
    for line in ("= 9*a**2", "= -2*b", "= 18*a"):
        assert line in printed


def test_digits_are_learned() -> None:
    pytest.importorskip("sklearn")
    accuracy = re.search(r"test accuracy ([\d.]+)%", output_of("train_digits.py"))
    assert accuracy is not None
    assert float(accuracy[1]) >= 98.5


def test_resnet18_reports_its_throughput() -> None:
    printed = output_of("train_resnet18.py", "--batch", "2", "--size", "32", "--steps", "2")
    assert "images/s" in printed
