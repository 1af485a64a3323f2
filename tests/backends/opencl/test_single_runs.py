"""Which loops become blocks."""

import pytest

from lazygrad_opencl.single_runs import without_single_runs


@pytest.mark.parametrize("head", ["long v = 0; v < 8; v += 8", "long v = 3; v < 4; v++", "long v = 4; v < 8; v += 16"])
def test_one_step_from_end_to_end(head):
    found = without_single_runs([f"    for ({head}) {{ // i1 of 8", "        x[v] = 0;", "    }"])
    begin = head.split(";")[0]
    assert found == ["    { // i1 of 8", f"        const {begin};", "        x[v] = 0;", "    }"]


@pytest.mark.parametrize(
    "head",
    [
        "long v = 0; v < 9; v += 8",
        "long v = 0; v < 0; v++",
        "long v = 0; v < n; v += 8",
        "long v = first; v < 8; v += 8",
        "long v = 0; v < 1; v += 8, w++",
    ],
)
def test_loops_that_may_run_more_often_or_never_stay(head):
    lines = [f"for ({head}) {{", "    x[v] = 0;", "}"]
    assert without_single_runs(lines) == lines
