"""Which loops' indices are hidden from compilers."""

from lazygrad_opencl.outer_loops import hide_outer_indices


def test_loops_with_loops_inside():
    lines = [
        "for (long i = 0; i < 2; i++) { // i0 of 2",
        "    long k = 0;",
        "    for (; k < 8; k += 2) {",
        "    }",
        "}",
        "for (long i = 0; i < 3; i++) {",
        "    x[i] = 0;",
        "}",
        "for (long i = 0; i < 4; i++) {",
        "    if (i) {",
        "        for (long j = i; j < 4; j++) {",
        "        }",
        "    }",
        "}",
    ]
    hidden = hide_outer_indices(lines)
    assert [line for line in hidden if "HIDE" not in line] == lines
    assert [number for number, line in enumerate(hidden) if line == "    HIDE(i);"] == [1, 10]
