"""StepArguments: one argument a role, whatever the values are."""

import pytest

import lazygrad as lg
from lazygrad.optim.step_arguments import StepArguments


def test_shared_by_role_and_not_by_value() -> None:
    arguments = StepArguments()
    single = lg.zeros(3)
    rate = arguments(lambda: 0.1, single, "lr")
    assert arguments(lambda: 0.1, lg.zeros(5), "lr") is rate
    assert arguments(lambda: 0.1, single, "weight_decay") is not rate
    assert arguments(lambda: 0.1, single, "lr", 7) is not rate
    assert rate.item() == pytest.approx(0.1)


def test_float64_parameters_get_float64_numbers() -> None:
    arguments = StepArguments()
    double = arguments(lambda: 0.1, lg.zeros(3, dtype=lg.float64), "lr")
    assert double.dtype == lg.float64
    assert double.item() == 0.1
    assert arguments(lambda: 0.1, lg.zeros(3, dtype=lg.float16), "lr").dtype == lg.float32
