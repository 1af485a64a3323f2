"""Anomaly detection names the operation and the user's line."""

import math

import pytest

import lazygrad as lg


@pytest.fixture(autouse=True)
def detecting():
    with lg.autograd.set_detect_anomaly(True):
        yield


def test_the_forward_pass_is_checked():
    x = lg.tensor([-1.0, 4.0], requires_grad=True)
    with pytest.raises(
        RuntimeError, match=r"detect_anomaly: log made nan values of shape \[2\].*test_anomaly.py:\d+"
    ) as caught:
        x.log().sum().backward()
    assert "x.log().sum().backward()" in str(caught.value)


def test_the_backward_pass_is_checked_and_points_to_the_forward_line():
    x = lg.tensor([0.0], requires_grad=True)
    y = x.sqrt()
    with pytest.raises(RuntimeError, match=r"div made infinite values.*y = x.sqrt"):
        y.sum().backward()


def test_infinities_that_are_meant_pass():
    x = lg.tensor([1.0, 2.0], requires_grad=True)
    masked = x.masked_fill(lg.tensor([True, False]), -math.inf)
    masked.softmax(0)[1].backward()
    assert x.grad.tolist() == [0, 0]


def test_data_with_nan_is_named():
    x = lg.tensor([math.nan], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"buffer made nan values.*given as data"):
        (x * 2).sum().backward()


def test_grad_is_checked_too():
    x = lg.tensor([0.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="made infinite values"):
        lg.autograd.grad((1 / x).sum(), x)


def test_tensors_stay_usable_and_the_scope_ends():
    x = lg.tensor([-1.0], requires_grad=True)
    y = x.log()
    with pytest.raises(RuntimeError):
        y.sum().backward()
    lg.autograd.set_detect_anomaly(False)
    y.sum().backward()
    assert x.grad.item() == -1
    with (
        pytest.warns(UserWarning, match="Anomaly Detection"),
        lg.autograd.detect_anomaly(),
        pytest.raises(RuntimeError),
    ):
        y.sum().backward()


def test_finite_passes_are_quiet():
    x = lg.rand(3, 3, requires_grad=True)
    (x @ x).tanh().sum().backward()
    assert x.grad.shape == (3, 3)
