"""The examples in docstrings and in the README run and print what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import lazygrad

README = Path(__file__).parents[2] / "README.md"


def module_names() -> list[str]:
    found = pkgutil.walk_packages(lazygrad.__path__, "lazygrad.")
    return ["lazygrad", *sorted(module.name for module in found if not module.name.endswith(".__main__"))]


@pytest.mark.parametrize("name", module_names())
def test_docstrings(name):
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert outcome.failed == 0


def test_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testfile(str(README), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert outcome.failed == 0
