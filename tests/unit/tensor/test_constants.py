"""Tensors of one number: computed without anything being compiled."""

import numpy
import pytest

import lazygrad as lg
from lazygrad.runtime import BackendError, device
from lazygrad.runtime.statistics import total


@pytest.fixture(params=["opencl", "numpy"])
def name(request):
    try:
        device(request.param)
    except BackendError as error:
        pytest.skip(str(error))
    return request.param


def test_nothing_is_compiled_for_constants(name):
    made = [
        lg.zeros(3, 4, device=name), lg.ones(2, device=name, dtype=lg.int64), lg.full((5,), True, device=name),
        lg.full((), -2.5, device=name).detach(), lg.full((7,), float("nan"), device=name, dtype=lg.float16),
        lg.full((2, 2), 1.5, device=name, dtype=lg.bfloat16), lg.zeros(0, 3, device=name),
    ]  # fmt: skip
    before = (total.schedules_made, total.kernels_launched)
    lg.realize(*made)
    assert (total.schedules_made, total.kernels_launched) == before
    zeros, ones, truths, number, nans, halves, none = (each.numpy() for each in made)
    assert zeros.tolist() == [[0.0] * 4] * 3
    assert (ones.tolist(), truths.tolist(), number.tolist()) == ([1, 1], [True] * 5, -2.5)
    assert numpy.isnan(nans).all()
    assert halves.astype("float32").tolist() == [[1.5, 1.5], [1.5, 1.5]]
    assert none.shape == (0, 3)


def test_each_constant_has_memory_of_its_own(name):
    one, other = lg.zeros(3, device=name), lg.zeros(3, device=name)
    lg.realize(one, other)
    one += 1
    assert (one.tolist(), other.tolist()) == ([1.0] * 3, [0.0] * 3)
