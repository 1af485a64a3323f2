from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lazygrad.runtime import eviction
from lazygrad.runtime.cache import Store
from lazygrad.runtime.eviction import evict, files, limit

HOUR = 3600.0
SIZE = 1000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(eviction, "_ledger", eviction._Ledger())
    return tmp_path / "cache"


def entries(folder, **hours_ago):
    """Files of SIZE bytes as another process has left them, last used so many hours ago; "a__b" is b in folder a."""
    for name, hours in hours_ago.items():
        group, _, last = name.rpartition("__")
        store = Store(group or "opencl")
        store.write_plain(last, b"x" * SIZE)
        used = time.time() - hours * HOUR
        os.utime(store.path(last), (used, used))
    eviction._ledger.kept.clear()
    eviction._ledger.written = 0


def left(folder):
    return sorted(f"{each.group}/{Path(each.path).name}" for each in files())


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 2 << 30), ("1000", 1000), ("0", 0), ("2G", 2 << 30), ("1.5k", 1536), ("3 MiB", 3 << 20), ("1tb", 1 << 40)],
)
def test_limits(monkeypatch, text, size):
    monkeypatch.setenv("LAZYGRAD_CACHE_LIMIT", text)
    assert limit() == size


@pytest.mark.parametrize("text", ["much", "-1", "2GG", "1e9"])
def test_a_limit_that_is_no_size(monkeypatch, text):
    monkeypatch.setenv("LAZYGRAD_CACHE_LIMIT", text)
    with pytest.raises(
        ValueError, match=r"LAZYGRAD_CACHE_LIMIT: a size of memory is a number of bytes or text such as"
    ):
        Store("opencl")


def test_what_was_not_used_for_longest_goes_first(folder):
    entries(folder, a=1, b=4, schedules__c=3, d=2)
    assert evict(4 * SIZE) == 0
    assert evict(3 * SIZE) == 2 * SIZE  # a little below the limit, so that the next process has room
    assert left(folder) == ["opencl/a", "opencl/d"]


def test_what_this_process_uses_or_has_written_stays(folder):
    entries(folder, a=9, b=5, c=1)
    Store("opencl").read_plain("a")
    Store("opencl").write_plain("new", b"x" * SIZE)
    os.utime(folder / "opencl" / "new", (0, 0))
    evict(0)
    assert left(folder) == ["opencl/a", "opencl/new"]


def test_winners_of_tuning_go_last(folder):
    entries(folder, tuning__winner=9, a=1, b=2)
    evict(int(1.2 * SIZE))
    assert left(folder) == ["tuning/winner"]


def test_files_that_lazygrad_has_not_made_are_not_looked_at(folder):
    entries(folder, a=1)
    mine = folder / "mine" / "thesis.tex"
    mine.parent.mkdir()
    mine.write_bytes(b"x" * 10 * SIZE)
    (folder / "letter").write_bytes(b"x" * 10 * SIZE)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "resnet.pth").write_bytes(b"x" * 10 * SIZE)
    assert evict(SIZE) == 0
    assert evict(0) == SIZE
    assert mine.exists()
    assert (folder / "letter").exists()
    assert (folder / "checkpoints" / "resnet.pth").exists()


def test_unfinished_files_of_processes_that_are_gone_go(folder):
    entries(folder, a=1)
    old, new = (folder / "opencl" / f".unfinished-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    evict()
    assert not old.exists()
    assert new.exists()


def test_another_process_may_evict_meanwhile(folder, monkeypatch):
    entries(folder, a=1, b=2)
    found = list(files())
    (folder / "opencl" / "b").unlink()
    monkeypatch.setattr(eviction, "files", lambda: iter(found))
    evict(0)
    assert not (folder / "opencl" / "a").exists()


def test_a_process_evicts_when_it_ends_and_when_it_has_written_much(folder):
    entries(folder, old=9)
    script = """
import os
from lazygrad.runtime.cache import Store
store = Store("opencl")
for number in range(10):
    store.write_plain(f"new{number}", b"x" * 1000)
print(os.path.exists(store.path("old")))
"""
    environment = {**os.environ, "LAZYGRAD_CACHE": str(folder)}
    for most, seen in (("4k", "False"), ("80k", "True"), ("10k", "True")):
        entries(folder, old=9)
        done = subprocess.run(
            [sys.executable, "-c", script], env={**environment, "LAZYGRAD_CACHE_LIMIT": most}, text=True,
            capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == seen or most == "10k"
        assert (folder / "opencl" / "old").exists() == (most == "80k")
        assert len(left(folder)) == 10 + (most == "80k")


def test_a_process_that_only_reads_does_not_look_at_the_whole(folder, monkeypatch):
    entries(folder, a=1)
    Store("opencl").read_plain("a")
    monkeypatch.setattr(eviction, "evict", lambda: pytest.fail("nothing was written"))
    eviction._check()
