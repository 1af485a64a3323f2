"""Pooling against torch: values and gradients."""

import pytest

import lazygrad as lg
from lazygrad.nn import functional
from unit.tensor.against_torch import agree, numbers, numpy_device

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
    with pytest.raises(NotImplementedError, match="return_indices"):
        functional.max_pool2d(lg.ones(1, 4, 4), 2, return_indices=True)
