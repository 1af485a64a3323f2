"""Whatever happens between and during steps, in any order: plain, compiled and reference training stay equal."""

import numpy
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import lazygrad as lg
from lazygrad.optim import SGD, AdamW
from lazygrad.optim.lr_scheduler import StepLR

ROWS = (2, 3, 5)
FEATURES, CLASSES = 4, 3
# The reference adds in another order.
TOLERANCE = 1e-8


class Failure(Exception):
    """Raised in the middle of a step on purpose."""


class Side:
    """A model in training on one device, with steps that are compiled or not."""

    def __init__(self, device, compiled, adam):
        self.device = device
        lg.set_default_device(device)
        lg.manual_seed(1)
        # No bias in front of batch norm: its gradient is 0 but for rounding, of which Adam would make full steps.
        self.model = lg.nn.Sequential(
            lg.nn.Linear(FEATURES, 6, bias=False),
            lg.nn.BatchNorm1d(6),
            lg.nn.Tanh(),
            lg.nn.Dropout(0.3),
            lg.nn.Linear(6, CLASSES),
        ).to(lg.float64)
        parameters = self.model.parameters()
        self.optimizer = AdamW(parameters, lr=0.02) if adam else SGD(parameters, lr=0.1, momentum=0.8, dampening=0.1)
        self.schedule = StepLR(self.optimizer, 3, 0.7)
        self.total = lg.zeros((), dtype=lg.float64)
        self.fails = False
        self.saved = None
        self.train_step = lg.compile(self.plain_step) if compiled else self.plain_step
        self.predict = lg.compile(self.plain_predict) if compiled else self.plain_predict

    def plain_step(self, x, y, accumulate):
        if not accumulate:
            self.optimizer.zero_grad()
        loss = lg.nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        self.total.add_(loss.detach())
        if self.fails:
            raise Failure
        self.optimizer.step()
        self.schedule.step()
        return loss

    def plain_predict(self, x):
        with lg.no_grad():
            return self.model(x).softmax(1)

    def values(self):
        found = {name: value.numpy() for name, value in self.model.state_dict().items()}
        for number, parameter in enumerate(self.model.parameters()):
            if parameter.grad is not None:
                found[f"gradient {number}"] = parameter.grad.numpy()
            for name, value in self.optimizer.state.get(parameter, {}).items():
                found[f"{name} {number}"] = numpy.asarray(value.numpy() if isinstance(value, lg.Tensor) else value)
        found["total"] = self.total.numpy()
        found["rate"] = numpy.asarray(self.optimizer.param_groups[0]["lr"])
        return found


class AnyOrder(RuleBasedStateMachine):
    adam = False

    def __init__(self):
        super().__init__()
        self.sides = [Side(d, c, self.adam) for d, c in (("numpy", False), ("opencl", False), ("opencl", True))]
        self.calls = 0
        start = {name: value.numpy() for name, value in self.sides[0].model.state_dict().items()}
        self.everywhere(lambda side: side.model.load_state_dict({n: lg.tensor(v) for n, v in start.items()}))

    def everywhere(self, act):
        """The same on every side, each with the random numbers that it would draw alone."""
        state = lg.get_rng_state()
        results = []
        for side in self.sides:
            lg.set_default_device(side.device)
            lg.set_rng_state(state)
            results.append(act(side))
        return results

    def batch(self, rows):
        self.calls += 1
        numbers = numpy.random.default_rng(self.calls)
        return numbers.normal(size=(rows, FEATURES)), numbers.integers(0, CLASSES, rows)

    @rule(rows=st.sampled_from(ROWS), accumulate=st.booleans())
    def step(self, rows, accumulate):
        x, y = self.batch(rows)
        losses = self.everywhere(lambda side: side.train_step(lg.tensor(x), lg.tensor(y), accumulate).item())
        assert losses[1] == losses[2]

    @rule(rows=st.sampled_from(ROWS))
    def failing_step(self, rows):
        x, y = self.batch(rows)
        before = self.sides[2].values()

        def fail(side):
            if side is not self.sides[2]:
                return
            side.fails = True
            try:
                with pytest.raises(Failure):
                    side.train_step(lg.tensor(x), lg.tensor(y), False)
            finally:
                side.fails = False

        state = lg.get_rng_state()
        self.everywhere(fail)
        # A compiled step that fails has not happened.
        assert lg.get_rng_state() == state
        after = self.sides[2].values()
        assert before.keys() == after.keys()
        for name, value in before.items():
            numpy.testing.assert_array_equal(value, after[name])

    @rule(rows=st.sampled_from(ROWS))
    def evaluate(self, rows):
        x, _ = self.batch(rows)

        def act(side):
            side.model.eval()
            try:
                return side.predict(lg.tensor(x)).numpy()
            finally:
                side.model.train()

        _, plain, compiled = self.everywhere(act)
        numpy.testing.assert_array_equal(plain, compiled)

    @rule(rate=st.sampled_from([0.0, 0.01, 0.5]))
    def set_rate(self, rate):
        self.everywhere(lambda side: side.optimizer.param_groups[0].update(lr=rate))

    @rule(seed=st.integers(0, 3))
    def seed(self, seed):
        lg.manual_seed(seed)

    @rule()
    def save(self):
        def act(side):
            model = {name: value.clone() for name, value in side.model.state_dict().items()}
            optimizer = side.optimizer.state_dict()
            state = {
                number: {name: value.clone() for name, value in values.items()}
                for number, values in optimizer["state"].items()
            }
            side.saved = model, {**optimizer, "state": state}

        self.everywhere(act)

    @rule()
    def load(self):
        def act(side):
            if side.saved is not None:
                side.model.load_state_dict(side.saved[0])
                side.optimizer.load_state_dict(side.saved[1])

        self.everywhere(act)

    @rule()
    def change_in_place(self):
        def act(side):
            with lg.no_grad():
                next(side.model.parameters()).mul_(0.5)

        self.everywhere(act)

    @rule()
    def drop_gradients(self):
        self.everywhere(lambda side: side.optimizer.zero_grad())

    @invariant()
    def all_are_equal(self):
        reference, plain, compiled = (side.values() for side in self.sides)
        assert reference.keys() == plain.keys() == compiled.keys()
        for name, value in plain.items():
            numpy.testing.assert_array_equal(value, compiled[name], err_msg=name)
            numpy.testing.assert_allclose(value, reference[name], TOLERANCE, TOLERANCE, err_msg=name)

    def teardown(self):
        lg.set_default_device(None)


class AnyOrderWithAdam(AnyOrder):
    adam = True


SETTINGS = settings(
    max_examples=5,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
pytest.importorskip("pyopencl")
TestSGD = AnyOrder.TestCase
TestSGD.settings = SETTINGS
TestAdam = AnyOrderWithAdam.TestCase
TestAdam.settings = SETTINGS
