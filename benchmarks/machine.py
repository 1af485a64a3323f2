"""What is measured on: processor, system, versions, lazygrad's device."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.contestants import Contestant

PACKAGES = (
    "lazygrad", "numpy", "ml_dtypes", "pyopencl", "pocl-binary-distribution", "triton", "cuda-bindings", "torch", "jax",
    "tinygrad", "tqdm", "rich",
)  # fmt: skip
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
PROCESSORS = Path("/proc/cpuinfo")


def describe(contestant: Contestant) -> Iterator[dict[str, Any]]:
    """Bit by bit, so that what is known stays known if the device cannot be opened."""
    yield host()
    if contestant.is_lazygrad:
        from lazygrad import runtime

        information = runtime.device(runtime.canonical_device(contestant.place)).information
        yield {"device": information.name, "name": information.description, "driver": information.driver}


def host() -> dict[str, Any]:
    """What any process can tell."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in PACKAGES},
        "environment": {name: value for name, value in os.environ.items() if name.startswith("LAZYGRAD_")},
    }
    if NVIDIA_DRIVER.exists():
        found["nvidia"] = NVIDIA_DRIVER.read_text().splitlines()[0]
    return found


def _processor() -> str:
    if PROCESSORS.exists():
        for line in PROCESSORS.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
