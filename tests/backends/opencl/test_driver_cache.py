"""PoCL's folder: a process's own, wherever there is room, and gone afterwards; only what has a hash gets into it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lazygrad.runtime.cache import Store
from lazygrad_opencl import driver_cache
from lazygrad_opencl.driver_cache import DriverCache, named_to_driver

KERNEL = "sum_kernel_0123"
FILE = f"{KERNEL}/1-1-1-goffs0-smallgrid/{KERNEL}.so"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("POCL_CACHE_DIR", raising=False)
    made = tmp_path / "pocl"
    made.mkdir()
    monkeypatch.setattr(driver_cache, "folder", lambda: made)
    return made


def compiled(folder, data=b"machine code"):
    """As PoCL leaves it."""
    path = folder / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def test_what_was_compiled_is_there_in_the_next_process(folder):
    cache = DriverCache(Store("opencl", "v1"))
    cache.restore([KERNEL])
    path = compiled(folder)
    compiled_by_others = folder / "elsewhere" / "variant" / "elsewhere.so"
    compiled_by_others.parent.mkdir(parents=True)
    compiled_by_others.write_bytes(b"of a program that is not ours")
    cache.collect(at_once=True)
    assert sorted(Store("opencl", "v1").names()) == [f"{KERNEL}.machine"]
    path.unlink()
    DriverCache(Store("opencl", "v1")).restore([KERNEL])
    assert path.read_bytes() == b"machine code"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_there_is_left_alone(folder):
    """It may be loaded; cutting it off would take the loader's changes from the process."""
    first = DriverCache(Store("opencl", "v1"))
    first.restore([KERNEL])
    path = compiled(folder)
    first.collect(at_once=True)
    before = path.stat()
    for cache in (first, DriverCache(Store("opencl", "v1"))):
        cache.restore([KERNEL])
        cache.restore([KERNEL])
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_a_damaged_entry_does_not_get_into_the_folder(folder):
    cache = DriverCache(Store("opencl", "v1"))
    cache.restore([KERNEL])
    path = compiled(folder)
    cache.collect(at_once=True)
    path.unlink()
    entry = Store("opencl", "v1").path(f"{KERNEL}.machine")
    entry.write_bytes(entry.read_bytes()[:-1])
    DriverCache(Store("opencl", "v1")).restore([KERNEL])
    assert not path.exists()


@pytest.mark.parametrize("name", ["../outside.so", "/tmp/outside.so", "other/variant/other.so", f"{KERNEL}/../../x.so"])
def test_an_entry_fills_its_kernels_folder_only(folder, name):
    Store("opencl", "v1").write(f"{KERNEL}.machine", json.dumps([[name, 4]]).encode() + b"\nevil")
    DriverCache(Store("opencl", "v1")).restore([KERNEL])
    assert not list(folder.parent.rglob("*.so"))


def test_a_full_disk_is_no_error(folder, monkeypatch):
    cache = DriverCache(Store("opencl", "v1"))
    cache.restore([KERNEL])
    compiled(folder).parent.parent.rename(folder / "put aside")
    Store("opencl", "v1").write(f"{KERNEL}.machine", json.dumps([[FILE, 4]]).encode() + b"\ncode")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(driver_cache.os, "mkdir", full)
    DriverCache(Store("opencl", "v1")).restore([KERNEL])
    assert not (folder / FILE).exists()


def test_new_code_is_not_looked_for_all_the_time(folder, monkeypatch):
    cache = DriverCache(Store("opencl", "v1"))
    cache.restore([KERNEL])
    cache.collect()
    compiled(folder)
    cache.collect()
    assert list(Store("opencl", "v1").names()) == []
    monkeypatch.setattr(driver_cache.time, "monotonic", lambda: time.perf_counter() + 1e9)
    cache.collect()
    assert list(Store("opencl", "v1").names()) == [f"{KERNEL}.machine"]


def test_the_driver_is_told_and_nobody_else(folder, monkeypatch):
    with named_to_driver():
        assert os.environ["POCL_CACHE_DIR"] == str(folder)
    assert "POCL_CACHE_DIR" not in os.environ
    monkeypatch.setenv("POCL_CACHE_DIR", "the user's")
    with named_to_driver():
        assert os.environ["POCL_CACHE_DIR"] == str(folder)
    assert os.environ["POCL_CACHE_DIR"] == "the user's"


PROCESS = """
import os, sys
from lazygrad_opencl.driver_cache import folder
print(folder(), flush=True)
if "die" in sys.argv:
    os.kill(os.getpid(), 9)
if "fork" in sys.argv:
    child = os.fork()
    if not child:
        sys.exit()
    os.waitpid(child, 0)
    assert folder().is_dir()
"""


def process(cache, *words, **more):
    environment = {**os.environ, "LAZYGRAD_CACHE": str(cache), **more}
    done = subprocess.run([sys.executable, "-c", PROCESS, *words], env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    return Path(done.stdout.strip())


def test_each_process_has_its_own_and_leaves_none(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    first, second = (process(tmp_path, POCL_CACHE_DIR=str(base)) for _ in range(2))
    assert first != second
    assert first.parent == second.parent == base
    process(tmp_path, "fork", POCL_CACHE_DIR=str(base))  # a child that ends does not take its parent's
    assert list(base.iterdir()) == []


def test_what_a_killed_process_leaves_is_removed(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    left = process(tmp_path, "die", POCL_CACHE_DIR=str(base))
    assert left.is_dir()
    process(tmp_path, POCL_CACHE_DIR=str(base))
    assert left.is_dir()  # it is so young that it might be about to be locked
    os.utime(left / ".lock", (0, 0))
    process(tmp_path, POCL_CACHE_DIR=str(base))
    assert list(base.iterdir()) == []


def test_the_folder_of_a_living_process_stays(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    script = PROCESS + "\nimport time; time.sleep(60)"
    living = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "POCL_CACHE_DIR": str(base)}, text=True, stdout=-1
    )
    try:
        own = Path(living.stdout.readline().strip())
        os.utime(own / ".lock", (0, 0))
        process(tmp_path, POCL_CACHE_DIR=str(base))
        assert own.is_dir()
    finally:
        living.kill()
        living.communicate()


def test_where_there_is_no_room_or_no_right_to_run_code_is_passed_over(tmp_path, monkeypatch):
    class Found:
        f_bavail, f_frsize, f_flag = 1, 4096, 0

    monkeypatch.setattr(driver_cache.os, "statvfs", lambda path: Found)
    assert not driver_cache._has_room(tmp_path)
    Found.f_bavail = 1 << 30
    assert driver_cache._has_room(tmp_path)
    Found.f_flag = getattr(os, "ST_NOEXEC", 0)
    assert driver_cache._has_room(tmp_path) == (Found.f_flag == 0)
    monkeypatch.undo()
    assert not driver_cache._has_room(tmp_path / "nowhere")
