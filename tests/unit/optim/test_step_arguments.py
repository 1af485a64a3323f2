"""StepArguments: one argument a role, whatever the values are."""

import pytest

import lazygrad as lg
from lazygrad.optim.step_arguments import StepArguments


def test_shared_by_role_and_not_by_value() -> None:
    arguments = StepArguments()
    single = lg.zeros(3)
    rate = arguments.scalar(lambda: 0.1, single, "lr")
    assert arguments.scalar(lambda: 0.1, lg.zeros(5), "lr") is rate
    assert arguments.scalar(lambda: 0.1, single, "weight_decay") is not rate
    assert arguments.scalar(lambda: 0.1, single, "lr", 7) is not rate
    assert rate.item() == pytest.approx(0.1)


def test_in_the_shape_of_its_parameter() -> None:
    arguments = StepArguments()
    rate = arguments(lambda: 0.1, lg.zeros(2, 3), "lr")
    assert rate.shape == (2, 3)
    assert arguments(lambda: 0.1, lg.zeros(2, 3), "lr") is rate
    assert arguments(lambda: 0.1, lg.zeros(3, 2), "lr").shape == (3, 2)


def test_half_precision_stays_what_it_is() -> None:
    arguments = StepArguments()
    half = lg.zeros(2, 3, dtype=lg.float16)
    assert (half * arguments(lambda: 0.1, half, "lr")).dtype == lg.float16


def test_float64_parameters_get_float64_numbers() -> None:
    arguments = StepArguments()
    double = arguments(lambda: 0.1, lg.zeros(3, dtype=lg.float64), "lr")
    assert double.dtype == lg.float64
    assert double.tolist() == [0.1] * 3
    assert arguments(lambda: 0.1, lg.zeros(3, dtype=lg.float16), "lr").dtype == lg.float32
