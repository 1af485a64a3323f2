"""Updates that are built only when nobody has met the graph before: the same numbers, with no rule run."""

import numpy
import pytest

import lazygrad as lg
from lazygrad.optim.adam import AdamRule
from lazygrad.optim.optimizer import Optimizer
from lazygrad.optim.sgd import SGDRule
from lazygrad.runtime import statistics

OPTIMIZERS = {
    "sgd": lambda p: lg.optim.SGD(p, lr=0.1),
    "sgd with decay": lambda p: lg.optim.SGD(p, lr=0.1, weight_decay=0.01, maximize=True),
    "momentum": lambda p: lg.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.01),
    "nesterov": lambda p: lg.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: lg.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "amsgrad": lambda p: lg.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: lg.optim.AdamW(p, lr=0.01),
}


@pytest.fixture
def rules(monkeypatch):
    """How often a rule was run."""
    run = []
    for rule in (SGDRule, AdamRule):
        call = rule.__call__
        monkeypatch.setattr(rule, "__call__", lambda *all, call=call: run.append(1) or call(*all))
    return run


class Trained:
    def __init__(self, make, device, dtype=lg.float32):
        values = numpy.random.default_rng(0).normal(size=(2, 4, 3))
        self.params = [lg.tensor(value, dtype=dtype, device=device, requires_grad=True) for value in values]
        self.optimizer = make(self.params)

    def step(self, found_inf=None):
        self.optimizer.zero_grad()
        first, second = self.params
        (first * second).tanh().square().sum().backward()
        self.optimizer.found_inf = found_inf
        self.optimizer.step()
        self.optimizer.found_inf = None

    def values(self):
        state = [v for p in self.params for v in self.optimizer.state[p].values() if isinstance(v, lg.Tensor)]
        return [value.detach().float().numpy() for value in (*self.params, *state)]


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("dtype", [lg.float32, lg.bfloat16], ids=["float32", "bfloat16"])
def test_deferred_updates_are_those_of_the_reference(make, dtype):
    found = []
    for device in ("numpy:0", "opencl:0"):  # the reference defers nothing
        trained = Trained(make, device, dtype)
        for number in range(4):
            skip = lg.tensor(number == 2, device=device) if trained.optimizer.can_skip() else None
            trained.step(skip)
        found.append(trained.values())
    for want, got in zip(*found, strict=True):
        rounding = 1e-6 if dtype is lg.float32 else 2e-2  # kernels round what they store only
        numpy.testing.assert_allclose(got, want, rtol=10 * rounding, atol=rounding)


@pytest.mark.parametrize("name", ["momentum", "amsgrad"])
def test_a_step_that_was_met_before_runs_no_rule(name, rules):
    trained = Trained(OPTIMIZERS[name], "opencl:0")
    for _ in range(2):
        trained.step()
    known = len(rules), statistics.sums().schedules_made
    for rate in (0.1, 0.2, 0.2):
        trained.optimizer.param_groups[0]["lr"] = rate
        trained.step()
    assert (len(rules), statistics.sums().schedules_made) == known
    trained.values()


def test_options_that_belong_to_a_rule_make_another_graph(rules):
    trained = Trained(lambda p: lg.optim.Adam(p, lr=0.01), "opencl:0")
    other = Trained(lambda p: lg.optim.Adam(p, lr=0.01), "numpy:0")
    for eps in (1e-8, 1e-8, 0.5, 0.5):
        for each in (trained, other):
            each.optimizer.param_groups[0]["eps"] = eps
            each.step()
    for want, got in zip(other.values(), trained.values(), strict=True):
        numpy.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


class Signs(Optimizer):
    """An optimizer of a user's, by the interface that says nothing of rules."""

    def _update(self, group, gradients, arguments):
        self._ensure_zeros(group, gradients)
        for parameter, gradient in gradients.items():
            trace = self.state[parameter]["trace"]
            trace.copy_(0.5 * trace + gradient)
            parameter.copy_(parameter - arguments(lambda: group["lr"], parameter, "lr") * trace.sign())

    def _state_names(self, group):
        return ("trace",)


def test_optimizers_without_rules_work():
    found = []
    for device in ("numpy:0", "opencl:0"):
        trained = Trained(lambda p: Signs(p, {"lr": 0.1}), device)
        for _ in range(3):
            trained.step()
        found.append(trained.values())
    for want, got in zip(*found, strict=True):
        numpy.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_a_value_that_is_held_keeps_its_elements():
    trained = Trained(OPTIMIZERS["momentum"], "opencl:0")
    trained.step()
    before, twice = trained.params[0].detach().clone(), trained.params[0].detach() * 2
    expected = trained.params[0].detach().numpy()
    trained.step()
    numpy.testing.assert_array_equal(before.numpy(), expected)
    numpy.testing.assert_array_equal(twice.numpy(), 2 * expected)
