"""Schedules against torch's: rates and momenta step by step, resumed, composed; messages."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import lazygrad as lg
from lazygrad.optim import lr_scheduler

STEPS = 14

# What makes the schedule, from the lr_scheduler module and an optimizer.
CASES: dict[str, Callable[[Any, Any], Any]] = {
    "step": lambda m, o: m.StepLR(o, step_size=3, gamma=0.5),
    "multi_step": lambda m, o: m.MultiStepLR(o, milestones=[2, 5, 5, 9], gamma=0.5),
    "exponential": lambda m, o: m.ExponentialLR(o, gamma=0.9),
    "cosine": lambda m, o: m.CosineAnnealingLR(o, T_max=5, eta_min=0.01),
    "linear": lambda m, o: m.LinearLR(o, start_factor=0.25, total_iters=6),
    "linear_down": lambda m, o: m.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=4),
    "lambda": lambda m, o: m.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "lambda_a_group": lambda m, o: m.LambdaLR(o, [lambda epoch: 0.9**epoch, lambda epoch: epoch + 1]),
    "one_cycle": lambda m, o: m.OneCycleLR(o, max_lr=1.0, total_steps=STEPS),
    "one_cycle_linear": lambda m, o: m.OneCycleLR(
        o, max_lr=[1.0, 0.5], epochs=3, steps_per_epoch=5, anneal_strategy="linear", pct_start=0.4
    ),
    "one_cycle_three_phases": lambda m, o: m.OneCycleLR(
        o, max_lr=1.0, total_steps=20, three_phase=True, final_div_factor=10.0
    ),
    "one_cycle_plain": lambda m, o: m.OneCycleLR(o, max_lr=1.0, total_steps=STEPS, cycle_momentum=False),
}


def optimizer_of(library: Any, name: str = "SGD") -> Any:
    groups = [
        {"params": [library.nn.Parameter(library.zeros(1))]},
        {"params": [library.nn.Parameter(library.zeros(1))], "lr": 0.3},
    ]
    options = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(library.optim, name)(groups, lr=0.1, **options)


def course(library: Any, make: Callable[[Any, Any], Any], name: str) -> list[list[float]]:
    optimizer = optimizer_of(library, name)
    schedule = make(library.optim.lr_scheduler, optimizer)
    rows = []
    for _ in range(STEPS):
        momenta = [group["momentum"] if name == "SGD" else group["betas"][0] for group in optimizer.param_groups]
        rows.append(schedule.get_last_lr() + momenta)
        assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        optimizer.step()
        schedule.step()
    return rows


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("case", CASES)
def test_rates_and_momenta(case: str, name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = course(lg, CASES[case], name), course(torch, CASES[case], name)
    for our, their in zip(ours, theirs, strict=True):
        assert our == pytest.approx(their, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("case", CASES)
def test_resumed_from_its_state(case: str) -> None:
    expected = course(lg, CASES[case], "SGD")
    first = optimizer_of(lg)
    schedule = CASES[case](lr_scheduler, first)
    for _ in range(5):
        first.step()
        schedule.step()
    second = optimizer_of(lg)
    resumed = CASES[case](lr_scheduler, second)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for row in expected[6:]:
        second.step()
        resumed.step()
        assert resumed.get_last_lr() == pytest.approx(row[:2])


def test_schedules_compose() -> None:
    torch = pytest.importorskip("torch")

    def run(library: Any) -> list[float]:
        optimizer = optimizer_of(library)
        module = library.optim.lr_scheduler
        schedules = [module.ExponentialLR(optimizer, 0.9), module.LinearLR(optimizer, 0.5, total_iters=3)]
        rates = []
        for _ in range(6):
            optimizer.step()
            for schedule in schedules:
                schedule.step()
            rates.append(optimizer.param_groups[0]["lr"])
        return rates

    assert run(lg) == pytest.approx(run(torch))


def test_a_callable_object_of_lambda_lr_is_saved() -> None:
    class Decay:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def __call__(self, epoch: int) -> float:
            return self.factor**epoch

    schedule = lr_scheduler.LambdaLR(optimizer_of(lg), Decay(0.5))
    restored = lr_scheduler.LambdaLR(optimizer_of(lg), Decay(0.9))
    restored.load_state_dict(schedule.state_dict())
    restored.optimizer.step()
    restored.step()
    assert restored.get_last_lr() == pytest.approx([0.05, 0.15])


def test_stepping_before_the_optimizer_warns() -> None:
    schedule = lr_scheduler.StepLR(optimizer_of(lg), 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()
    optimizer = optimizer_of(lg)
    schedule = lr_scheduler.StepLR(optimizer, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: lr_scheduler.StepLR(3, 1), TypeError, "int is not an Optimizer"),  # type: ignore[arg-type]
        (lambda o: lr_scheduler.StepLR(o, 1, last_epoch=4), KeyError, "'initial_lr' is not specified"),
        (lambda o: lr_scheduler.LinearLR(o, start_factor=0.0), ValueError, "greater than 0"),
        (lambda o: lr_scheduler.LinearLR(o, end_factor=1.5), ValueError, "between 0 and 1"),
        (lambda o: lr_scheduler.LambdaLR(o, [abs]), ValueError, "Expected 2 lr_lambdas, but got 1"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0), ValueError, "either total_steps OR"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=0), ValueError, "positive integer"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 5, pct_start=2.0), ValueError, "pct_start"),
        (lambda o: lr_scheduler.OneCycleLR(o, [1.0], 5), ValueError, "max_lr must have 2 values"),
        (
            lambda o: lr_scheduler.OneCycleLR(o, 1.0, 5, anneal_strategy="exp"),  # type: ignore[arg-type]
            ValueError,
            "'cos' or 'linear', instead got exp",
        ),
    ],
)
def test_arguments_are_checked(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(optimizer_of(lg))


def test_one_cycle_ends() -> None:
    optimizer = optimizer_of(lg)
    schedule = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=2)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    with pytest.raises(ValueError, match="Tried to step 3 times"):
        schedule.step()
