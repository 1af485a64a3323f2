"""The examples in docstrings run and print what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["binaries", "signature", "versions"])
def test_docstrings(name):
    outcome = doctest.testmod(importlib.import_module(f"lazygrad_triton.{name}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0
