from __future__ import annotations

import json

from lazygrad.runtime import profile
from lazygrad.runtime.profile import Run


def test_a_trace_has_one_row_for_each_device():
    found = profile.trace({"a:0": [Run("sum", 1000, 3500)], "b:0": []})
    rows = [event["args"]["name"] for event in found["traceEvents"] if event["ph"] == "M"]
    assert rows == ["a:0", "b:0"]
    (run,) = [event for event in found["traceEvents"] if event["ph"] == "X"]
    assert run == {"name": "sum", "ph": "X", "pid": 0, "tid": 0, "ts": 1.0, "dur": 2.5}


def test_the_file_is_written_when_it_is_wanted(monkeypatch, tmp_path):
    monkeypatch.setattr(profile, "_SOURCES", {})
    monkeypatch.setattr(profile.forking, "at_exit", lambda function: None)
    monkeypatch.delenv("LAZYGRAD_PROFILE", raising=False)
    monkeypatch.delenv("LAZYGRAD_DEBUG", raising=False)
    assert not profile.is_wanted()
    profile.at_exit("a:0", list)
    assert not profile._SOURCES
    monkeypatch.setenv("LAZYGRAD_PROFILE", str(tmp_path / "trace.json"))
    assert profile.is_wanted()
    profile.at_exit("a:0", lambda: [Run("sum", 0, 1)])
    profile._write()
    assert len(json.loads((tmp_path / "trace.json").read_text())["traceEvents"]) == 2
