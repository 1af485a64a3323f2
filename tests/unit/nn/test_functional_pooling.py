"""Pooling against torch: values and gradients."""

import numpy
import pytest

import lazygrad as lg
from lazygrad.nn import functional
from unit.tensor.against_torch import agree, agree_to_order, numbers, numpy_device

__all__ = ["numpy_device"]

MAXIMA = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": 2, "dilation": 2},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True, "padding": 1},
]


@pytest.mark.parametrize("case", MAXIMA, ids=repr)
@pytest.mark.parametrize("shape", [(2, 3, 7, 8), (3, 6, 6)])
def test_max_pool2d(case, shape):
    agree(lambda lib, x: lib.nn.functional.max_pool2d(x, **case), numbers(*shape))


# One axis compares a window's points one by one, the other reduces them at once.
LARGE = [
    {"kernel_size": (11, 3), "stride": (1, 2), "padding": (5, 1)},
    {"kernel_size": (2, 9), "stride": (2, 3), "padding": (1, 4), "ceil_mode": True},
    {"kernel_size": (9, 9), "stride": 2, "padding": 4, "dilation": (1, 2)},
    {"kernel_size": (12, 13)},
]


@pytest.mark.parametrize("case", LARGE, ids=repr)
def test_max_pool2d_with_large_windows(case):
    agree(lambda lib, x: lib.nn.functional.max_pool2d(x, **case), numbers(2, 2, 14, 18))


def few_values(*shape, dtype="float64"):
    """Numbers of which many are equal."""
    return numpy.random.default_rng(shape).integers(-1, 2, shape).astype(dtype)


def with_indices(case):
    return lambda lib, x: lib.nn.functional.max_pool2d(x, return_indices=True, **case)


@pytest.mark.parametrize("case", MAXIMA + LARGE, ids=repr)
def test_the_first_of_equals_gets_the_gradient(case):
    agree(with_indices(case), few_values(2, 3, 14, 18))
    agree(with_indices(case), few_values(3, 14, 18))
    agree(with_indices(case), numpy.zeros((1, 2, 14, 18)))


@pytest.mark.parametrize("case", MAXIMA + LARGE, ids=repr)
def test_the_border_is_not_taken_even_where_nothing_is_larger(case):
    agree(with_indices(case), numpy.full((1, 1, 14, 18), -numpy.inf))
    some = few_values(2, 2, 14, 18)
    agree(with_indices(case), numpy.where(some > 0, some, -numpy.inf))


@pytest.mark.parametrize("case", MAXIMA, ids=repr)
def test_the_last_nan_is_taken(case):
    some = few_values(2, 2, 14, 18)
    agree(with_indices(case), numpy.where(some > 0, numpy.nan, some))


def test_nan_is_larger_than_all_in_large_windows():
    x = numbers(1, 2, 14, 18)
    x[0, 0, 3, 4] = numpy.nan
    agree(lambda lib, x: lib.nn.functional.max_pool2d(x, (11, 3), 1, (5, 1)), x)


def test_max_pool2d_of_integers():
    agree(with_indices({"kernel_size": 3, "stride": 2, "padding": 1}), few_values(1, 2, 7, 8, dtype="int64"))


def test_derivatives_of_squared_maxima():
    agree_to_order(
        2, lambda lib, x: lib.nn.functional.max_pool2d(x, 3, 2, 1).square() * x[..., ::2, ::2], few_values(2, 2, 8, 6)
    )


@pytest.mark.parametrize("case", [MAXIMA[1], MAXIMA[3], LARGE[1]], ids=repr)
def test_equals_on_devices(case, compiled_device):
    x = few_values(2, 3, 14, 18, dtype="float32")

    def computed(device):
        given = lg.tensor(x, device=device, requires_grad=True)
        values, positions = functional.max_pool2d(given, return_indices=True, **case)
        cotangent = lg.tensor(numbers(*values.shape, dtype="float32"), device=device)
        (slope,) = lg.autograd.grad(values, given, cotangent)
        lg.realize(values, positions, slope)
        return values.detach().tolist(), positions.tolist(), slope.numpy()

    values, positions, slope = computed(compiled_device)
    wanted_values, wanted_positions, wanted_slope = computed("numpy")
    assert (values, positions) == (wanted_values, wanted_positions)
    numpy.testing.assert_allclose(slope, wanted_slope, rtol=1e-5, atol=1e-6)


MEANS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    {"kernel_size": (2, 3), "stride": 1, "divisor_override": 5},
]


@pytest.mark.parametrize("case", MEANS, ids=repr)
@pytest.mark.parametrize("shape", [(2, 3, 7, 8), (3, 6, 6)])
def test_avg_pool2d(case, shape):
    agree(lambda lib, x: lib.nn.functional.avg_pool2d(x, **case), numbers(*shape))


@pytest.mark.parametrize("size", [1, 2, 3, 5, (1, 1), (3, 7), (None, 2), (9, 11)])
def test_adaptive_avg_pool2d(size):
    agree(lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, size), numbers(2, 3, 6, 7))


@pytest.mark.parametrize("strange", [float("inf"), float("nan")])
def test_adaptive_avg_pool2d_keeps_strange_values_in_their_windows(strange):
    x = numbers(2, 3, 6, 7)
    x[0, 1, 2, 3] = strange
    agree(lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, (4, 3)), x, gradients=False)


def test_padding_is_never_the_maximum():
    x = lg.full((1, 1, 2, 2), -5.0)
    assert functional.max_pool2d(x, 3, 1, 1).tolist() == [[[[-5, -5], [-5, -5]]]]


def test_errors():
    with pytest.raises(RuntimeError, match="at most half"):
        functional.max_pool2d(lg.ones(1, 1, 4, 4), 2, padding=2)
    with pytest.raises(RuntimeError, match="output size is too small"):
        functional.avg_pool2d(lg.ones(1, 1, 2, 2), 3)
    with pytest.raises(RuntimeError, match="expected 3D or 4D"):
        functional.max_pool2d(lg.ones(4, 4), 2)
    with pytest.raises(RuntimeError, match=r"window \[5, 2\] is larger than the padded image \[4, 6\]"):
        functional.max_pool2d(lg.ones(1, 4, 4), (5, 2), padding=(0, 1))
