"""Long expressions are cut into lines; names; depth and sharing cost nothing."""

import time

import pytest

from lazygrad import ops
from lazygrad.mathematics import symbolic
from lazygrad.mathematics.lines import LINE_LENGTH
from unit.mathematics.expressions import derivative, leaf, text


def test_a_chain_is_cut_into_lines_that_fit():
    x = y = leaf(3)
    for _ in range(50):
        y = ops.sin(y)
    lines = text(y, x=x).splitlines()
    assert [line.split(" = ")[0] for line in lines[:-1]] == [f"t{i}" for i in range(1, len(lines))]
    assert all(len(line) <= LINE_LENGTH + 8 for line in lines)
    assert sum(line.count("sin(") for line in lines) == 50


def test_shared_parts_are_written_once():
    x = y = leaf(3)
    for _ in range(60):
        y = ops.add(ops.sin(y), ops.cos(y))
    lines = text(y, x=x).splitlines()
    assert lines[0] == "t1 = sin(x) + cos(x)"
    assert lines[1] == "t2 = sin(t1) + cos(t1)"
    assert lines[-1] == "sin(t59) + cos(t59)"


def test_short_shared_parts_are_not_cut_out():
    x = leaf(3)
    s = ops.sigmoid(x)
    assert "\n" not in text(derivative(ops.mul(s, ops.sub(1.0, s)), x), x=x)


def test_long_sums_become_running_totals():
    leaves = [leaf(3) for _ in range(60)]
    y = leaves[0]
    for other in leaves[1:]:
        y = ops.add(y, other)
    lines = symbolic(y, {x: f"weight{i}" for i, x in enumerate(leaves)}).splitlines()
    assert all(len(line) <= LINE_LENGTH + 8 for line in lines)
    assert sum(line.count("weight") for line in lines) == 60


def test_lines_avoid_the_names_of_leaves():
    x = y = leaf(3)
    for _ in range(40):
        y = ops.sin(y)
    assert text(y, t1=x).startswith("t2 = ")


@pytest.mark.parametrize("build", [ops.sin, lambda y: ops.add(ops.mul(y, y), 1.0)], ids=["sin", "square"])
def test_deep_graphs(build):
    y = leaf(2)
    for _ in range(100_000 if build is ops.sin else 10_000):
        y = build(y)
    start = time.perf_counter()
    assert len(symbolic(y)) > 10_000
    assert time.perf_counter() - start < 60


def test_deep_affine_chains_collapse():
    x = y = leaf(2)
    for _ in range(10_000):
        y = ops.add(ops.mul(y, 0.5), x)
    assert text(y, x=x) == "2*x"


def test_the_text_is_the_same_every_time():
    def build():
        x, y = leaf(3, 4), leaf(3, 4)
        z = ops.mul(ops.tanh(ops.add(ops.mul(x, y), ops.exp(y))), ops.sigmoid(ops.sub(x, y)))
        return symbolic(derivative(z, x), {x: "x", y: "y"})

    assert len({build() for _ in range(5)}) == 1
