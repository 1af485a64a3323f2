"""What tests in several files begin with."""

from __future__ import annotations

import pytest


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    """Nothing that other tests have compiled."""
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path))


@pytest.fixture
def opened(fresh_cache, monkeypatch):
    """A device whose launches are easily told apart (``chains.py``)."""
    from backends.opencl.chains import scaling_device

    return scaling_device(monkeypatch)
