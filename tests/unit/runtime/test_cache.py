from __future__ import annotations

import errno
import logging
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lazygrad.runtime import cache_folder as folders
from lazygrad.runtime.cache import USE_GRANULARITY, Store, cache_folder, digest, is_entry
from lazygrad.runtime.cache_folder import TAG, private_folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    folders.warn_once.cache_clear()
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_is_the_users_choice(folder, monkeypatch):
    assert cache_folder() == folder
    monkeypatch.delenv("LAZYGRAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    assert cache_folder().parts[-1] == "lazygrad"


def test_entries_are_kept_for_their_owner_only(folder):
    previous = os.umask(0o002)  # with which folders can be written by a group unless one says otherwise
    try:
        store = Store("a", "b")
    finally:
        os.umask(previous)
    store.write("entry", b"payload")
    assert Store("a", "b").read("entry") == b"payload"
    for made in (folder, folder / "a", folder / "a" / "b"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert list(store.names()) == ["entry"]
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
    assert list(store.names()) == []
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
@pytest.mark.parametrize("which", ["", "a"])
def test_a_folder_that_others_can_write_is_not_used(folder, caplog, mode, which):
    Store("a").write("entry", b"payload")
    (folder / which).chmod(mode)
    with caplog.at_level(logging.WARNING, "lazygrad"):
        for _ in range(2):
            store = Store("a")
            store.write("other", b"payload")
            assert store.read("entry") is None
    (record,) = caplog.records
    assert "can be written by other users; take that right away (chmod go-w" in record.getMessage()
    (folder / which).chmod(0o700)
    assert Store("a").read("entry") == b"payload"
    assert Store("a").read("other") is None


def test_a_folder_of_somebody_else_is_not_used(folder, caplog, monkeypatch):
    Store("a").write("entry", b"payload")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with caplog.at_level(logging.WARNING, "lazygrad"):
        assert Store("a").read("entry") is None
    assert "belongs to another user" in caplog.text
    assert "set LAZYGRAD_CACHE to a folder of your own" in caplog.text


def test_folders_that_only_others_can_read_are_used(folder):
    Store("a").write("entry", b"payload")
    folder.chmod(0o755)
    assert Store("a").read("entry") == b"payload"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk_costs_a_warning(monkeypatch, caplog, number):
    store = Store("a")
    store.write("before", b"payload")

    def full(*arguments, **options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING, "lazygrad"):
        patched.setattr("lazygrad.runtime.cache.os.fdopen", full)
        for name in ("one", "two"):
            store.write(name, b"payload")
    assert [record.getMessage() for record in caplog.records] == [
        f"the cache folder {cache_folder()} cannot be written ({os.strerror(number)}); what is compiled is not kept"
    ]
    assert list(store.names()) == ["before"]
    assert not list(store.folder.glob(".unfinished-*"))
    assert store.read("before") == b"payload"


def test_a_folder_that_vanishes_is_made_again(folder, caplog):
    store = Store("a")
    (folder / "a" / TAG).unlink()
    (folder / "a").rmdir()
    with caplog.at_level(logging.WARNING, "lazygrad"):
        store.write("entry", b"payload")
    assert store.read("entry") == b"payload"
    assert not caplog.records


def test_many_writers_leave_one_whole_entry(folder):
    payloads = [bytes([n]) * 100_000 for n in range(8)]

    def work(n):
        store = Store("a")
        for _ in range(20):
            store.write("entry", payloads[n])
            assert store.read("entry") in payloads

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert sorted(path.name for path in (folder / "a").iterdir()) == [TAG, "entry"]


def test_a_files_time_is_that_of_its_last_use():
    store = Store("a")
    store.write("entry", b"payload")
    path = store.path("entry")
    recent = time.time() - USE_GRANULARITY / 2
    os.utime(path, (recent, recent))
    store.read("entry")
    assert path.stat().st_mtime == pytest.approx(recent, abs=1)  # hot paths do not write
    long_ago = time.time() - 30 * USE_GRANULARITY
    os.utime(path, (long_ago, long_ago))
    store.read("entry")
    assert path.stat().st_mtime == pytest.approx(time.time(), abs=10)


def test_only_folders_that_were_not_there_get_a_tag(folder):
    (folder / "mine").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    (folder / "mine").chmod(0o700)
    assert private_folder("mine") is not None
    assert private_folder("made", "below") is not None
    assert not (folder / "mine" / TAG).exists()
    assert (folder / "made" / TAG).read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert not (folder / "made" / "below" / TAG).exists()


def test_where_a_part_ends_matters_to_a_digest():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab") == digest(b"ab")


def test_sources_are_for_people():
    assert is_entry("a.binary")
    assert is_entry("0123abcd")
    assert not is_entry("a.cl")
    assert not is_entry("a.py")
