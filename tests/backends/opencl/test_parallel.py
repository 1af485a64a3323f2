"""Compiling in worker processes: the same programs, nothing lost when a worker fails, no worker for little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lazygrad_opencl import backend

if not backend.devices():
    pytest.skip("there is no OpenCL device", allow_module_level=True)

from backends.opencl.handwritten import found_devices
from lazygrad_opencl import parallel
from lazygrad_opencl.driver_cache import PLATFORM_NAME
from lazygrad_opencl.entry import Function, Signature

if found_devices()[0].handle.platform.name != PLATFORM_NAME:
    pytest.skip("only PoCL's programs are compiled in worker processes", allow_module_level=True)

# A script without ``if __name__ == "__main__"``.
SCRIPT = """
import json, os, signal, sys
import lazygrad as lg
from lazygrad.runtime.statistics import total
from lazygrad_opencl import driver_cache, machine_code, parallel

parallel.GROUP_FUNCTIONS = 3
parallel._workers._most = 2
{before}
roots = []
for n in range(2, 2 + {count}):
    x = lg.arange(n * 5, dtype=lg.float32)
    roots.append((x.reshape(n, 5) * n).sum(dim=1))
{run}
expected = [[n * (5 * row * 5 + 10.0) for row in range(n)] for n in range(2, 2 + {count})]
assert [root.tolist() for root in roots] == expected
print(json.dumps([total.kernels_built, total.kernels_loaded, len(parallel._workers._idle), parallel._workers.ended]))
"""
REALIZE = "lg.realize(*roots)"
COUNTING = """
parallel._workers.ended = 0
run_one = parallel._workers._run_one
def counted(*arguments):
    answer = run_one(*arguments)
    parallel._workers.ended += not isinstance(answer[0], machine_code.Compiled)
    return answer
parallel._workers._run_one = counted
from lazygrad.runtime import processes
processes.available_cores = lambda: 2
"""


def script(cache: Path, count: int, before: str = "", run: str = REALIZE) -> tuple[list[Any], str]:
    """Kernels built and loaded, idle workers at the end, jobs that failed; and what was said."""
    environment = {name: value for name, value in os.environ.items() if name != "POCL_CACHE_DIR"}
    environment |= {"LAZYGRAD_CACHE": str(cache), "LAZYGRAD_DEVICE": "opencl"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    text = SCRIPT.format(before=COUNTING + before, count=count, run=run)
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, timeout=240
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_workers_compile_what_later_processes_load(tmp_path):
    (built, loaded, idle, failed), said = script(tmp_path, 8)
    assert built >= 8
    assert (loaded, failed, said) == (0, 0, "")
    assert 1 <= idle <= 2
    (again, loaded, idle, failed), said = script(tmp_path, 8)
    assert (again, loaded, idle, failed, said) == (0, 0 if loaded == 0 else built, 0, 0, "")


def test_no_worker_for_a_few_kernels(tmp_path):
    (built, _, idle, _), _ = script(tmp_path, 1)
    assert 1 <= built <= 4
    assert idle == 0


@pytest.mark.parametrize(
    "before",
    [
        "parallel.ParallelCompiler.job = lambda self, group, job=parallel.ParallelCompiler.job:"
        " job(self, group)._replace(device='none such')",  # the worker raises
        "from lazygrad.runtime import processes\n"
        "processes.Worker.run = lambda self, job, seconds=None: (_ for _ in ()).throw(processes.EndedError('gone'))",
        "parallel.PATIENCE = 0.001",  # they are ended as if they hung
    ],
    ids=["refuses", "dies", "hangs"],
)
def test_what_a_worker_does_not_compile_is_compiled_here(tmp_path, before):
    (built, _, _, failed), _ = script(tmp_path, 6, before)
    assert built >= 6
    assert failed >= 1


def test_an_interrupt_leaves_everything_usable(tmp_path):
    interrupted = """
place = driver_cache.place
def interrupt(*arguments):
    driver_cache.place = place
    raise KeyboardInterrupt
driver_cache.place = interrupt
try:
    lg.realize(*roots)
except KeyboardInterrupt:
    lg.realize(*roots)
else:
    raise AssertionError("nobody was interrupted")
"""
    (built, _, _, _), _ = script(tmp_path, 8, run=interrupted)
    assert built >= 8


def test_workers_start_when_a_large_graph_will_be_scheduled(monkeypatch):
    started = []
    monkeypatch.setattr(parallel._workers, "start", lambda program, count: started.append(count))
    compiler = parallel.ParallelCompiler(found_devices()[0].handle, "")
    compiler.expect(parallel.MANY_NODES - 1)
    assert not started
    compiler.expect(parallel.MANY_NODES)
    assert started == [parallel._workers.limit]


def function(name: str, shared: str = "", length: int = 1_000) -> Function:
    text = f"#ifndef HAS_{shared}\n#define HAS_{shared}\n{'s' * 60_000}\n#endif\n" if shared else ""
    return Function(name, f"{text}{name * length}", Signature(1, (), False))


def grouped(functions: list[Function]) -> list[list[str]]:
    return [[each.name for each in group] for group in parallel._groups(functions, 0)]


def test_what_several_functions_call_counts_once_and_brings_them_together():
    functions = [function("a", "f"), function("x"), function("b", "f"), function("y"), function("c", "f")]
    assert grouped(functions) == [["a", "b", "c"], ["x", "y"]]


def test_groups_are_of_limited_length():
    third = parallel.GROUP_CHARACTERS // 3
    assert grouped([function(name, length=third) for name in "abcd"]) == [["a", "b", "c"], ["d"]]
    assert grouped([function(name, name) for name in "abc"]) == [["a"], ["b"], ["c"]]
    many = [function(str(number)) for number in range(parallel.GROUP_FUNCTIONS + 1)]
    assert [len(group) for group in grouped(many)] == [parallel.GROUP_FUNCTIONS, 1]
