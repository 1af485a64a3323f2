"""Depth and sharing: deep graphs are built, differentiated, run and dropped without recursion; diamonds are linear."""

import gc
import time

import numpy
import pytest

import lazygrad as lg
from lazygrad import ops, runtime
from lazygrad.autodiff import jvp, vjp
from lazygrad.ir.dtype import float32
from lazygrad.ir.node import all_inputs, live_nodes, topological
from lazygrad.testing.gradcheck import evaluate

DEPTH = 100_000


def leaf(values, device):
    array = numpy.asarray(values, numpy.float32)
    return ops.leaf(ops.buffer(runtime.from_host(array, float32, device)))


@pytest.mark.timeout(600)
def test_a_deep_chain_of_nodes_is_differentiated_both_ways_and_run():
    x = y = leaf([0.5, -0.25], "numpy:0")
    for step in range(DEPTH):
        y = ops.add(y, 1e-6) if step % 2 else ops.mul(y, 0.9999999)
    ones = ops.constant(1, (2,), float32, "numpy:0")
    (gradient,) = vjp([y], [ones], [x])
    (tangent,) = jvp([y], [x], [ones])
    value, slope, along = evaluate([y, gradient, tangent])
    assert numpy.isfinite(value).all()
    numpy.testing.assert_allclose(slope, along, rtol=1e-3)
    assert len(topological([y], all_inputs)) > DEPTH


@pytest.mark.timeout(600)
def test_a_deep_chain_of_tensors_is_differentiated_and_run(device):
    """Tensors compute long chains in pieces, so this also runs where each piece is compiled."""
    x = lg.tensor([0.5, -0.25], device=device, requires_grad=True)
    y = x
    for _ in range(DEPTH // 2):
        y = y * 0.9999999 + 1e-6
    y.sum().backward()
    assert numpy.isfinite(y.detach().numpy()).all()
    numpy.testing.assert_allclose(x.grad.numpy(), [0.995, 0.995], rtol=2e-2)


def test_dropping_a_deep_graph_does_not_overflow():
    gc.collect()
    before = live_nodes()
    x = y = ops.placeholder((2,), float32, "numpy:0")
    for _ in range(DEPTH):
        y = ops.sin(y)
    assert live_nodes() - before >= DEPTH
    del x, y
    gc.collect()
    assert live_nodes() - before == 0


def test_dropping_a_deep_graph_of_tensors_does_not_overflow():
    x = lg.tensor([1.0, 2.0], requires_grad=True)
    y = x
    for _ in range(9_000):  # one less than what computes itself
        y = y.sin()
    z = y.sum()
    z.backward()
    del y, z
    x.grad = None
    gc.collect()


def test_a_diamond_is_linear(device):
    x = lg.tensor([0.5, -0.25], device=device, requires_grad=True)
    y = x
    for _ in range(60):
        y = y * 0.5 + y * 0.25
    start = time.perf_counter()
    y.sum().backward()
    expected = 0.75**60
    numpy.testing.assert_allclose(x.grad.numpy(), [expected, expected], rtol=1e-4)
    assert time.perf_counter() - start < 60


def test_a_diamond_of_functions_has_a_linear_gradient():
    x = y = ops.placeholder((2,), float32, "numpy:0")
    for _ in range(60):
        y = ops.mul(ops.sin(y), ops.cos(y))
    ones = ops.constant(1, (2,), float32, "numpy:0")
    (first,) = vjp([y], [ones], [x])
    (second,) = vjp([first], [ones], [x])
    assert len(topological([first], all_inputs)) < 60 * 12
    assert len(topological([second], all_inputs)) < 60 * 120


def test_wide_sums_are_linear(device):
    parts = [lg.tensor([float(i)], device=device, requires_grad=True) for i in range(300)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part * 2
    total.sum().backward()
    assert all(part.grad.item() == (2.0 if i else 1.0) for i, part in enumerate(parts))
