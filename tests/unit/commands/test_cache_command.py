from __future__ import annotations

import io
import os
import re
import sys
import time

import pytest
from rich.console import Console

from lazygrad.__main__ import main
from lazygrad.runtime.cache import Store


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "cache"


def fill(folder):
    Store("schedules").write("one", b"x" * 5000)
    store = Store("opencl", "device")
    store.write("kernel.binary", b"y" * 100)
    store.write_plain("kernel.cl", b"__kernel")
    used = time.mktime((2024, 5, 6, 7, 8, 0, 0, 0, -1))
    os.utime(store.path("kernel.cl"), (used, used))
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "weights.pth").write_bytes(b"z" * 100)


def test_show(folder, capsys):
    fill(folder)
    assert main(["cache", "show"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"of at most 2\.0 GiB", text)
    assert re.search(r"OpenCL programs and machine code +2 +\d+ bytes +2024-05-06 07:08 +20", text)
    assert re.search(r"schedules of graphs +1 +4\.9 KiB", text)
    assert "checkpoints" not in text


def test_show_of_nothing(folder, capsys):
    assert main(["cache", "show"]) == 0
    assert "0 bytes of at most" in capsys.readouterr().out


def test_verify_names_what_is_damaged(folder, capsys):
    fill(folder)
    assert main(["cache", "verify"]) == 0
    assert capsys.readouterr().out == "2 entries, all sound.\n"
    path = folder / "schedules" / "one"
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["cache", "verify"]) == 1
    text = capsys.readouterr().out
    assert f"{path} is damaged\n" in text
    assert "1 of 2 entries are damaged. They are never used" in text
    assert path.exists()


def test_clear_asks(folder, capsys, monkeypatch):
    fill(folder)

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert main(["cache", "clear"]) == 1
    text = capsys.readouterr().out
    assert "of compiled kernels and schedules from" in text
    assert "[y/N] Nothing is removed." in text
    assert (folder / "schedules" / "one").exists()
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert main(["cache", "clear"]) == 0
    assert not (folder / "schedules").exists()
    assert (folder / "checkpoints" / "weights.pth").exists()


def test_clear_without_anybody_to_ask(folder, capsys, monkeypatch):
    fill(folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["cache", "clear"]) == 2
    assert "Nobody can answer here: say --yes" in " ".join(capsys.readouterr().out.split())
    assert main(["cache", "clear", "--yes"]) == 0
    assert "Removed 5.1 KiB" in capsys.readouterr().out
    assert main(["cache", "clear", "--yes"]) == 0
    assert "is empty" in capsys.readouterr().out


def test_clear_leaves_what_lazygrad_has_not_made(folder):
    fill(folder)
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter").write_text("important")
    assert main(["cache", "clear", "--yes"]) == 0
    assert (folder / "thesis" / "chapter").exists()


@pytest.mark.parametrize("words", [["cache"], ["cache", "polish"], ["pack"], ["pack", "script.py"], []])
def test_what_is_not_understood(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: python -m lazygrad" in capsys.readouterr().err


def test_help_says_what_each_action_does(capsys):
    with pytest.raises(SystemExit):
        main(["cache", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("when it was last used", "the exit status is 1 when one is damaged", "add a pack"):
        assert words in text


def test_a_console_of_any_width(folder):
    from lazygrad.commands import cache

    fill(folder)
    console = Console(file=io.StringIO(), width=30)
    assert cache.show(None, console) == 0
