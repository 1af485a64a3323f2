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

from backends.opencl.handwritten import found_devices
from lazygrad_opencl.driver_cache import PLATFORM_NAME

TESTS = Path(__file__).parents[2]
PROCESS = """
import json, sys
import numpy
from backends.opencl.handwritten import SIZE, open_device, times
from lazygrad.ir.dtype import float32
from lazygrad.runtime.statistics import total
from lazygrad_opencl import build
from lazygrad_opencl.build import ProgramBuilder
from lazygrad_opencl.prelude import prelude

device = open_device()
if "binaries" in sys.argv:
    device._builder = ProgramBuilder(device._context, device.queue.device, prelude(device.capabilities), True)
x = numpy.arange(SIZE, dtype=numpy.float32)
read, written = device.from_host(x, float32), device.from_host(x, float32)
programs = device.compile([times(n) for n in map(int, sys.argv[1].split(","))])
for program in programs:
    program.launch([read.allocation.memory, written.allocation.memory], (), ())
assert (device.to_host(written) == x * int(sys.argv[1].split(",")[-1])).all()
print(json.dumps([total.programs_built, total.kernels_built, total.programs_loaded, total.kernels_loaded]))
"""
is_pocl = found_devices()[0].handle.platform.name == PLATFORM_NAME


def process(cache: Path, factors: str, *options: str) -> tuple[list[int], str]:
    """Runs kernels in a new process: programs and kernels built, programs and kernels loaded; what it warned of."""
    environment = {name: value for name, value in os.environ.items() if name != "POCL_CACHE_DIR"}
    environment["LAZYGRAD_CACHE"] = str(cache)
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, factors, *options], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def only(cache: Path, pattern: str) -> Path:
    (found,) = cache.glob(f"opencl/{pattern}")
    return found


@pytest.mark.parametrize("options", [(), ("binaries",)], ids=["as the driver wants", "binaries"])
def test_a_second_process_builds_only_what_is_new(cache, options):
    assert process(cache, "2,3", *options) == ([1, 2, 0, 0], "")
    assert process(cache, "3,2", *options) == ([0, 0, 1, 2], "")
    assert process(cache, "2,5", *options) == ([1, 1, 1, 1], "")
    assert process(cache, "2,3,5", *options) == ([0, 0, 2, 3], "")


def test_the_source_can_be_read(cache):
    process(cache, "2")
    assert "b0[i] * 2.0f" in only(cache, "*/*.cl").read_text()


def test_a_damaged_binary_is_built_again(cache):
    process(cache, "2", "binaries")
    binary = only(cache, "*/*.binary")
    data = binary.read_bytes()
    for damaged in (data[:-100], data[:100] + bytes([data[100] ^ 4]) + data[101:]):
        binary.write_bytes(damaged)
        built, warned = process(cache, "2", "binaries")
        assert built == [1, 1, 0, 0]
        assert warned.strip() == f"the cache entry {binary} is damaged; it is built again"
        assert process(cache, "2", "binaries") == ([0, 0, 1, 1], "")


def test_a_damaged_index_is_built_again(cache):
    process(cache, "2")
    only(cache, "*/*.program").write_bytes(b"nonsense")
    built, warned = process(cache, "2")
    assert built == [1, 1, 0, 0]
    assert "is damaged; it is built again" in warned
    assert process(cache, "2") == ([0, 0, 1, 1], "")


@pytest.mark.skipif(not is_pocl, reason="only PoCL's programs are kept as source")
class TestDriverCache:
    def test_a_damaged_source_is_built_again(self, cache):
        process(cache, "2")
        path = only(cache, "*/*.cl")
        path.write_bytes(path.read_bytes()[:-20])
        built, warned = process(cache, "2")
        assert built == [1, 1, 0, 0]
        assert warned.strip() == f"the cached source {path} is damaged; it is built again"
        assert process(cache, "2") == ([0, 0, 1, 1], "")

    @pytest.mark.parametrize(
        ("pattern", "flipped"), [("*/*/*/*/*.so", False), ("*/*/*/*/*.so", True), ("*/*/program.bc", False)]
    )
    def test_damaged_machine_code_does_not_end_the_process(self, cache, pattern, flipped):
        process(cache, "2")
        path = only(cache, f"pocl/{pattern}")
        data = path.read_bytes()
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:] if flipped else data[: len(data) // 2])
        built, warned = process(cache, "2")
        assert built == [1, 1, 0, 0]
        assert warned.strip() == f"the cached kernel {path} is damaged; its program is built again"
        assert process(cache, "2") == ([0, 0, 1, 1], "")

    def test_a_file_of_the_driver_that_is_gone_is_made_again(self, cache):
        process(cache, "2")
        only(cache, "pocl/*/*/*/*/*.so").unlink()
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
