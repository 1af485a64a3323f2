"""What is updated in the kernel that sums its gradient lies where it lay, and every element is updated once."""

from __future__ import annotations

import numpy
import pytest

import lazygrad as lg

STEPS = 3
# Columns that fill vectors, and that do not; sums of few rows and of many, which are walked in blocks.
SHAPES = [(5, 64), (6, 10), (900, 37)]


@pytest.fixture(autouse=True)
def chosen(compiled_device):
    lg.set_default_device(compiled_device)
    yield
    lg.set_default_device(None)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_parameter_behind_a_sum_of_columns(shape):
    x = numpy.random.default_rng(1).normal(size=shape).astype(numpy.float32)
    check(lg.from_numpy(x), x.astype(numpy.float64).sum(0), shape[1:])


def test_a_parameter_behind_a_sum_of_rows():
    x = numpy.random.default_rng(1).normal(size=(6, 50)).astype(numpy.float32)
    check(lg.from_numpy(x), x.astype(numpy.float64).sum(1), (6, 1))


def check(x, gradient, shape):
    """Momentum and parameter against NumPy; the gradient of (x * parameter).sum() is a sum of x."""
    parameter = lg.nn.Parameter(lg.ones(*shape))
    optimizer = lg.optim.SGD([parameter], lr=0.125, momentum=0.5)

    @lg.compile
    def step():
        optimizer.zero_grad()
        (x * parameter).sum().backward()
        optimizer.step()

    wanted, momentum = numpy.ones(shape), numpy.zeros(shape)
    places = set()
    for _ in range(STEPS):
        step()
        momentum = 0.5 * momentum + gradient.reshape(shape)
        wanted -= 0.125 * momentum
        tensors = parameter, optimizer.state[parameter]["momentum_buffer"]
        places.add(tuple(id(tensor._cell.node.result.allocation) for tensor in tensors))
    numpy.testing.assert_allclose(parameter.detach().numpy(), wanted, rtol=1e-4, atol=1e-3)
    assert len(places) <= 2  # the first step may find the momentum in memory that it shares
