from __future__ import annotations

import os
import subprocess
import sys
import time
from types import ModuleType

import pytest

from lazygrad.runtime import cache, source_identity
from lazygrad.runtime.cache import Store

NAME = "package_for_identity"


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    return make(tmp_path / "one", monkeypatch)


def make(folder, monkeypatch):
    """An imported package of two files; the process began after they were written."""
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("a = 1\n")
    (folder / "inner" / "__init__.py").write_text("b = 2\n")
    module = ModuleType(NAME)
    module.__path__ = [str(folder)]
    monkeypatch.setitem(sys.modules, NAME, module)
    monkeypatch.setattr(source_identity, "IMPORTED_AT", time.time() + 60)
    monkeypatch.setattr(source_identity.time, "time", lambda: source_identity.IMPORTED_AT)
    return folder


def identity():
    source_identity.source_identity.cache_clear()
    return source_identity.source_identity(NAME)


def test_equal_files_are_equal_wherever_they_are(package, tmp_path, monkeypatch):
    first = identity()
    assert first is not None
    make(tmp_path / "two", monkeypatch)
    assert identity() == first


def test_any_change_changes_it(package):
    seen = {identity()}
    (package / "inner" / "__init__.py").write_text("b = 3\n")
    seen.add(identity())
    (package / "new.py").write_text("")
    seen.add(identity())
    (package / "new.py").rename(package / "renamed.py")
    seen.add(identity())
    assert None not in seen
    assert len(seen) == 4
    (package / "notes.txt").write_text("not code")
    assert identity() in seen


def test_an_edit_that_keeps_size_and_time_is_seen(package):
    path = package / "__init__.py"
    before, times = identity(), path.stat()
    path.write_text("a = 7\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert identity() != before


def test_unchanged_files_are_not_read_again(package, monkeypatch):
    first = identity()
    monkeypatch.setattr(source_identity, "_read", lambda path: pytest.fail(f"{path} is read"))
    assert identity() == first


def test_files_newer_than_the_process_have_no_identity(package, monkeypatch):
    monkeypatch.setattr(source_identity, "IMPORTED_AT", time.time() - 60)
    assert identity() is None
    assert list(Store("sources").names()) == []


def test_a_package_that_is_no_folder_has_none(monkeypatch):
    monkeypatch.setitem(sys.modules, NAME, ModuleType(NAME))
    assert identity() is None
    monkeypatch.delitem(sys.modules, NAME)
    assert identity() is None


def test_without_a_cache_it_is_the_same(package, monkeypatch, tmp_path):
    first = identity()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "file"))
    cache.warn_once.cache_clear()
    assert identity() == first


def test_lazygrad_has_one():
    script = "import lazygrad.runtime.source_identity as s; print(s.source_identity('lazygrad'))"
    found = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=True).stdout.strip()
    assert found == "None" or len(found) == 64  # None while somebody edits lazygrad
