"""What a worker process does: reads requests from its standard input, one JSON a line, and answers in the same way.

    {"kind": "row", "row": "add", "what": "values", "tiny": false}  ->  {"passed": true}  {"done": true}

Libraries print what they like: the stream of answers is taken out of their reach first. When whoever asks is gone, the
process ends with all that it started, even in the middle of an answer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from benchmarks import checkout

Say = Callable[[dict[str, Any]], None]
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
PACKAGES = ("lazygrad", "numpy", "ml_dtypes", "triton", "cuda-bindings", "torch", "pyopencl", "tqdm", "rich")


def describe(request: dict[str, Any], device: str, say: Say) -> None:
    """Versions, and the device if it can be opened."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    say({"python": platform.python_version(), "system": platform.platform(), "versions": versions})
    say({"environment": {name: value for name, value in os.environ.items() if name.startswith("LAZYGRAD_")}})
    if NVIDIA_DRIVER.exists():
        say({"nvidia": NVIDIA_DRIVER.read_text().splitlines()[0]})
    from lazygrad import runtime

    opened = runtime.device(runtime.canonical_device(device))
    information = opened.information
    say({"device": information.name, "name": information.description, "driver": information.driver})


def rows(request: dict[str, Any], device: str, say: Say) -> None:
    """The names of the conformance table's rows, and which have gradients."""
    from lazygrad.testing import conformance

    say({"rows": [(row.name, row.gradients) for row in conformance.rows()]})


def row(request: dict[str, Any], device: str, say: Say) -> None:
    """One row of it. Whatever goes wrong is the row's problem, unless the device answers no more: that is an error."""
    from lazygrad import runtime
    from lazygrad.ir.dtype import bool_, float32, int64
    from lazygrad.testing import conformance

    found, name = conformance.row_named(request["row"]), runtime.canonical_device(device)
    try:
        if request["what"] == "values":
            conformance.run_row(found, name, [float32, int64, bool_] if request["tiny"] else None)
        else:
            conformance.run_row_gradients(found, name, [float32])
    except conformance.ConformanceError as error:
        say({"problem": str(error)})
    except Exception as error:
        runtime.device(name).synchronize()
        say({"problem": f"raised {type(error).__name__}: {error}"})
    else:
        say({"passed": True})


def ceilings(request: dict[str, Any], device: str, say: Say) -> None:
    """See ``benchmarks.ceilings``."""
    from benchmarks.ceilings import ceilings

    for found in ceilings(device, request["tiny"], request["seconds"]):
        say(found)


def workload(request: dict[str, Any], device: str, say: Say) -> None:
    """See ``benchmarks.measuring.measure``."""
    from benchmarks.measuring import measure
    from benchmarks.workloads import named

    measure(named(request["name"], request["tiny"]), request["contestants"], device, request["seconds"], say)


def profile(request: dict[str, Any], device: str, say: Say) -> None:
    """See ``benchmarks.profiling.profile``."""
    from benchmarks.profiling import profile
    from benchmarks.workloads import named

    say(profile(named(request["name"], request["tiny"]), device))


KINDS: dict[str, Callable[[dict[str, Any], str, Say], None]] = {
    handler.__name__: handler for handler in (describe, rows, row, ceilings, workload, profile)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", required=True)
    device = parser.parse_args().device
    # A group of its own, so that it can be ended together with compilers that it starts.
    os.setpgid(0, 0)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    os.environ["LAZYGRAD_DEVICE"] = device
    checkout.prepare()

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    while (request := requests.get())["kind"] != "end":
        try:
            KINDS[request["kind"]](request, device, say)
        except Exception as error:
            traceback.print_exc()
            say({"error": f"{type(error).__name__}: {error}"})
        else:
            say({"done": True})


def _read(lines: IO[str], requests: queue.Queue[dict[str, Any]]) -> None:
    for line in lines:
        request = json.loads(line)
        requests.put(request)
        if request["kind"] == "end":
            return
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
