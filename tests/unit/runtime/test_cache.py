from __future__ import annotations

import logging
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from lazygrad.runtime import cache
from lazygrad.runtime.cache import Store, cache_folder, digest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    cache._warn_once.cache_clear()
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_is_the_users_choice(folder, monkeypatch):
    assert cache_folder() == folder
    monkeypatch.delenv("LAZYGRAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    assert cache_folder().parts[-1] == "lazygrad"


def test_entries_are_kept_for_their_owner_only(folder):
    store = Store("a", "b")
    store.write("entry", b"payload")
    assert Store("a", "b").read("entry") == b"payload"
    assert stat.S_IMODE((folder / "a" / "b").stat().st_mode) == 0o700
    assert store.read("other") is None
    store.remove("entry")
    store.remove("entry")
    assert store.read("entry") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: b"lazygrad cache 0\n" + data[17:],
    ],
)
def test_a_damaged_entry_is_missing_and_said_once(damage, caplog):
    store = Store("a")
    for _ in range(2):
        store.write("entry", b"some payload")
        store.path("entry").write_bytes(damage(store.path("entry").read_bytes()))
        with caplog.at_level(logging.WARNING, "lazygrad"):
            assert store.read("entry") is None
        assert not store.path("entry").exists()
    assert [record.getMessage() for record in caplog.records] == [
        f"the cache entry {store.path('entry')} is damaged; it is built again"
    ]


def test_a_folder_that_cannot_be_written_costs_a_warning(folder, caplog):
    folder.write_text("a file stands where the folder should be")
    with caplog.at_level(logging.WARNING, "lazygrad"):
        store = Store("a")
        store.write("entry", b"payload")
        assert store.write_plain("entry", b"payload") is None
    assert store.read("entry") is None
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text


def test_a_folder_that_vanishes_later(folder, caplog):
    store = Store("a")
    (folder / "a").rmdir()
    with caplog.at_level(logging.WARNING, "lazygrad"):
        store.write("entry", b"payload")
    assert "cannot be written" in caplog.text


def test_many_writers_leave_one_whole_entry(folder):
    payloads = [bytes([n]) * 100_000 for n in range(8)]

    def work(n):
        store = Store("a")
        for _ in range(20):
            store.write("entry", payloads[n])
            assert store.read("entry") in payloads

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert [path.name for path in (folder / "a").iterdir()] == ["entry"]


def test_where_a_part_ends_matters_to_a_digest():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab") == digest(b"ab")
