"""What is on disk: found by other processes, checked before it is used, and never needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lazygrad_opencl import backend

if not backend.devices():
    pytest.skip("there is no OpenCL device", allow_module_level=True)

TESTS = Path(__file__).parents[2]
PROCESS = """
import json, sys
import numpy
from backends.opencl.handwritten import SIZE, open_device, times
from lazygrad.ir.dtype import float32
from lazygrad.runtime.statistics import total

device = open_device()
x = numpy.arange(SIZE, dtype=numpy.float32)
read, written = device.from_host(x, float32), device.from_host(x, float32)
programs = device.compile([times(n) for n in map(int, sys.argv[1].split(","))])
for program in programs:
    program.launch([read.allocation.memory, written.allocation.memory], (), ())
assert (device.to_host(written) == x * int(sys.argv[1].split(",")[-1])).all()
print(json.dumps([total.programs_built, total.kernels_built, total.programs_loaded, total.kernels_loaded]))
"""


def process(cache: Path, factors: str) -> tuple[list[int], str]:
    """Runs kernels in a new process: programs and kernels built, programs and kernels loaded; what it warned of."""
    environment = {name: value for name, value in os.environ.items() if name != "POCL_CACHE_DIR"}
    environment["LAZYGRAD_CACHE"] = str(cache)
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, factors], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def only(cache: Path, pattern: str) -> Path:
    (found,) = cache.glob(f"opencl/{pattern}")
    return found


def test_a_second_process_builds_only_what_is_new(cache):
    assert process(cache, "2,3") == ([1, 2, 0, 0], "")
    assert process(cache, "3,2") == ([0, 0, 1, 2], "")
    assert process(cache, "2,5") == ([1, 1, 1, 1], "")
    assert process(cache, "2,3,5") == ([0, 0, 2, 3], "")


def test_the_source_can_be_read(cache):
    process(cache, "2")
    assert "b0[i] * 2.0f" in only(cache, "*/*.cl").read_text()


def test_a_damaged_binary_is_built_again(cache):
    process(cache, "2")
    binary = only(cache, "*/*.binary")
    data = binary.read_bytes()
    for damaged in (data[:-100], data[:100] + bytes([data[100] ^ 4]) + data[101:]):
        binary.write_bytes(damaged)
        built, warned = process(cache, "2")
        assert built == [1, 1, 0, 0]
        assert warned.strip() == f"the cache entry {binary} is damaged; it is built again"
        assert process(cache, "2") == ([0, 0, 1, 1], "")


def test_a_damaged_index_is_built_again(cache):
    process(cache, "2")
    only(cache, "*/*.program").write_bytes(b"nonsense")
    built, warned = process(cache, "2")
    assert built == [1, 1, 0, 0]
    assert "is damaged; it is built again" in warned
    assert process(cache, "2") == ([0, 0, 1, 1], "")


def test_a_cache_folder_that_cannot_be_made(cache):
    cache.write_text("a file stands where the folder should be")
    built, warned = process(cache, "2")
    assert built == [1, 1, 0, 0]
    assert "cannot be written" in warned


def test_two_processes_at_once(cache):
    with ThreadPoolExecutor(2) as threads:
        for built, warned in threads.map(lambda _: process(cache, "2,3"), range(2)):
            assert built in ([1, 2, 0, 0], [0, 0, 1, 2])
            assert warned == ""
    assert process(cache, "2,3") == ([0, 0, 1, 2], "")
    assert not list(cache.rglob(".unfinished-*"))
