"""The garbage collector is held back while a plan is made, and only then."""

from __future__ import annotations

import gc

import pytest

import lazygrad as lg
from lazygrad.runtime import compiled, registry
from lazygrad.runtime.collecting import held_back

CPU = "opencl:0"


def test_it_is_left_as_it_was():
    for enabled in (True, False):
        gc.enable() if enabled else gc.disable()
        try:
            with held_back:
                assert not gc.isenabled()
                with held_back:
                    assert not gc.isenabled()
                assert not gc.isenabled()
            assert gc.isenabled() == enabled
            with pytest.raises(KeyError), held_back:
                raise KeyError
            assert gc.isenabled() == enabled
        finally:
            gc.enable()


def test_plans_are_made_without_it(monkeypatch):
    if not registry.backend("opencl").devices():
        pytest.skip("there is no OpenCL device")
    seen = []
    make = compiled._make
    monkeypatch.setattr(compiled, "_make", lambda *arguments: seen.append(gc.isenabled()) or make(*arguments))
    monkeypatch.setattr(compiled.schedule_store.Slot, "load", lambda self: seen.append(gc.isenabled()))
    (lg.ones(3, 7, 5, device=CPU).realize() * 1.25).exp().sum(1).realize()
    assert seen
    assert not any(seen)
    assert gc.isenabled()
