"""Nodes: equal expressions are one object, leaves are not, and walks are iterative."""

import gc

import pytest

from lazygrad import ops
from lazygrad.ir.dtype import bool_, float32, float64, int64
from lazygrad.ir.node import ORIGIN, live_nodes, topological

NUMPY = "numpy:0"


def placeholder(*shape, dtype=float32, device=NUMPY):
    return ops.placeholder(shape, dtype, device)


def test_equal_expressions_are_one_node():
    x, y = placeholder(2), placeholder(2)
    assert ops.add(x, y) is ops.add(x, y)
    assert ops.add(x, y) is not ops.add(x, x)
    assert ops.sum_(x, (0,)) is ops.sum_(x, (0,))
    assert ops.mul(x, 2) is ops.mul(x, 2.0)


def test_constants_are_told_apart_by_their_bits():
    def constant(value, dtype=float32):
        return ops.constant(value, (2,), dtype, NUMPY)

    assert constant(1) is constant(1.0) is constant(True)
    assert constant(0.0) is not constant(-0.0)
    assert constant(float("nan")) is constant(float("nan"))
    assert constant(1) is not constant(1, float64)
    assert constant(1, int64) is not constant(True, bool_)
    assert constant(0.1) is constant(0.10000000149011612)
    assert constant(0.1, float64) is not constant(0.10000000149011612, float64)


def test_leaves_are_unique():
    x = placeholder(2)
    assert ops.leaf(x) is not ops.leaf(x)
    assert placeholder(2) is not placeholder(2)
    assert ops.argument(1, float32, NUMPY) is not ops.argument(1, float32, NUMPY)


def test_unused_nodes_die():
    gc.collect()
    before = live_nodes()
    x = placeholder(3)
    for _ in range(100):
        x = ops.sin(x)
    assert live_nodes() >= before + 100
    del x
    gc.collect()
    assert live_nodes() == before


def test_devices_must_agree():
    with pytest.raises(
        RuntimeError, match=r"add: all tensors must be on one device, but these are on numpy:0 and other:0"
    ):
        ops.add(placeholder(2), placeholder(2, device="other:0"))


def test_topological_order_is_fixed_by_the_roots():
    x, y = placeholder(2), placeholder(2)
    a, b = ops.sin(x), ops.cos(y)
    c = ops.add(a, b)
    assert topological([c]) == [x, a, y, b, c]
    assert topological([b, c]) == [y, b, x, a, c]
    assert topological([c, c, a]) == [x, a, y, b, c]


def test_the_walk_stops_where_it_is_told():
    x = placeholder(2)
    a = ops.sin(x)
    b = ops.cos(a)
    assert topological([b], lambda of: () if of is a else of.inputs) == [a, b]


def test_places_point_to_the_users_line():
    x = placeholder(2)
    made = ops.exp(x)  # here
    assert made.place.filename == __file__
    assert str(made.place).endswith("made = ops.exp(x)  # here")
    ORIGIN.place = made.place
    try:
        derived = ops.sin(made)
    finally:
        ORIGIN.place = None
    assert derived.place is made.place


def test_nodes_print_short():
    assert repr(ops.add(placeholder(2, 3), 1)) == "<add float32[2, 3] on numpy:0>"
