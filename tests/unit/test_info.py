from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import lazygrad
from lazygrad import environment
from lazygrad.__main__ import main
from lazygrad.commands.info import info
from lazygrad.runtime import registry
from lazygrad.runtime.cache import Store

SOURCES = [Path(lazygrad.__path__[0]), *Path(lazygrad.__path__[0]).parent.glob("backends")]


def printed() -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    info(console)
    return console.file.getvalue()


def test_what_it_shows(monkeypatch, tmp_path):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path))
    Store("schedules").write("entry", b"x" * 2048)
    text = printed()
    assert re.search(r"^numpy:0\*? +NumPy reference +numpy \d", text, re.MULTILINE)
    assert re.search(r"^Python +3\.", text, re.MULTILINE)
    assert re.search(r"^lazygrad +\d", text, re.MULTILINE)
    assert re.search(r"[12] files, 2\.\d KiB of at most 2\.0 GiB", text)
    assert str(tmp_path) in text
    for variable in environment.VARIABLES:
        assert f"\n{variable.name} " in text
    assert "[" not in text.split("Environment variables")[1]


def test_a_wrong_device_does_not_hide_the_others(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_DEVICE", "abacus:3")
    text = printed()
    assert "no backend named 'abacus' is installed" in text
    assert "numpy:0" in text


def test_a_backend_that_fails_is_shown_with_its_reason(monkeypatch):
    def broken(name):
        raise registry.BackendError(f"{name} is broken today")

    monkeypatch.setattr("lazygrad.commands.info.backend", broken)
    assert "numpy is broken today" in printed()


def test_a_backend_without_devices_says_why(monkeypatch):
    class Empty:
        def devices(self):
            return ()

        def reason(self):
            return "no [driver] is installed"

    monkeypatch.setattr("lazygrad.commands.info.backend", lambda name: Empty())
    assert re.search(r"numpy +no device +no \[driver\] is installed", printed())
    del Empty.reason  # which need not be there
    assert re.search(r"numpy +no device", printed())


def test_the_command_line():
    done = subprocess.run([sys.executable, "-m", "lazygrad", "info"], capture_output=True, text=True, check=True)
    assert "Devices" in done.stdout
    assert done.stderr == ""
    with pytest.raises(SystemExit):
        main([])
    with pytest.raises(SystemExit):
        main(["frobnicate"])


def test_every_variable_in_the_source_is_on_the_list():
    used = {
        name
        for folder in SOURCES
        for path in folder.rglob("*.py")
        for name in re.findall(r"\bLAZYGRAD_[A-Z_]+\b", path.read_text())
    }
    assert used == {variable.name for variable in environment.VARIABLES}


def test_variables_are_read_by_their_listed_names_only(monkeypatch):
    with pytest.raises(KeyError, match="LAZYGRAD_TYPO is not among"):
        environment.value("LAZYGRAD_TYPO")
    monkeypatch.setenv("LAZYGRAD_DEBUG", "")
    assert environment.level("LAZYGRAD_DEBUG") == 0
    monkeypatch.setenv("LAZYGRAD_DEBUG", "much")
    with pytest.raises(ValueError, match="LAZYGRAD_DEBUG must be a whole number, got 'much'"):
        environment.level("LAZYGRAD_DEBUG")
