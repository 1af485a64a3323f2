"""What a replay puts away is there for whoever asks, and the next replay knows that somebody has."""

import copy
import gc
import pickle
import threading

import numpy
import pytest

import lazygrad as lg
from lazygrad.capture import variant
from lazygrad.tensor.deposit import Deposit, Depositor

CALLS = 5  # after which everything is put away


@pytest.fixture(autouse=True)
def chosen():
    lg.set_default_device("opencl:0")
    yield
    lg.set_default_device(None)


class Training:
    """A step, plain or compiled."""

    def __init__(self, compiled):
        lg.manual_seed(3)
        self.model = lg.nn.Sequential(lg.nn.Linear(6, 8), lg.nn.BatchNorm1d(8), lg.nn.ReLU(), lg.nn.Linear(8, 3))
        self.weight = self.model[0].weight
        self.optimizer = lg.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.step = lg.compile(self._step) if compiled else self._step
        self.batches = iter(numpy.random.default_rng(8).normal(size=(20, 4, 6)).astype("float32"))

    def _step(self, x):
        self.optimizer.zero_grad()
        loss = (self.model(x) ** 2).sum()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def run(self, count=CALLS):
        return [self.step(lg.from_numpy(next(self.batches))) for _ in range(count)]

    def values(self):
        found = {name: value.numpy() for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            found[f"gradient of {name}"] = parameter.grad.numpy()
            found[f"momentum of {name}"] = self.optimizer.state[parameter]["momentum_buffer"].numpy()
        return found


def is_put_away(holder):
    try:
        object.__getattribute__(holder, holder._deposited)
    except AttributeError:
        return True
    return False


def same(found, want):
    assert found.keys() == want.keys()
    for name, value in want.items():
        numpy.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)


def test_a_replay_that_finds_nothing_touched_looks_at_nothing(monkeypatch):
    training = Training(compiled=True)
    training.run()
    assert is_put_away(training.weight)
    assert is_put_away(training.weight._cell)
    asked = []
    references = variant.references
    monkeypatch.setattr(variant, "references", lambda cells: asked.extend(cells) or references(cells))
    training.run(1)
    assert training.weight._cell not in asked
    assert is_put_away(training.weight._cell)


def test_a_step_moves_nothing():
    training = Training(compiled=True)
    training.run()
    (captured,) = next(iter(training.step._variants.values()))
    loose = captured._deposit.left.loose
    assert len(loose.leaves) == 1  # the batch
    assert not loose.replaced
    assert not loose.gradients
    assert not loose.targets


ACTS = {
    "a clone": lambda t: t.weight.clone(),
    "a detached clone": lambda t: t.weight.detach().clone(),
    "a part": lambda t: t.weight[1:3],
    "what is computed from it": lambda t: t.weight * 2,
    "the gradient": lambda t: t.weight.grad,
    "a part of the gradient": lambda t: t.weight.grad[1:],
    "a copy of the model": lambda t: copy.deepcopy(t.model)[0].weight,
    "an output": lambda t: t.model(lg.ones(4, 6)).detach(),
    "the momentum": lambda t: t.optimizer.state[t.weight]["momentum_buffer"].clone(),
    "a pickled tensor": lambda t: pickle.loads(pickle.dumps(t.weight)),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_what_somebody_takes_between_calls_stays(act):
    found = []
    for compiled in (False, True):
        training = Training(compiled)
        training.run()
        held = act(training)
        training.run()
        found.append({**training.values(), "held": held.detach().numpy()})
    same(found[1], found[0])


def _load(training):
    training.model.load_state_dict({n: lg.full_like(v, 0.5) for n, v in training.model.state_dict().items()})


def _other_function(training):
    double = lg.compile(lambda: training.weight.detach().mul_(1.5).sum())
    for _ in range(CALLS):
        double()


CHANGES = {
    "in place": lambda t: t.weight.detach().add_(1),
    "data": lambda t: t.weight.data.copy_(lg.ones(8, 6)),
    "a loaded state": _load,
    "the optimizer's loaded state": lambda t: t.optimizer.load_state_dict(copy.deepcopy(t.optimizer.state_dict())),
    "no gradients": lambda t: t.optimizer.zero_grad(),
    "another gradient": lambda t: setattr(t.weight, "grad", lg.ones(8, 6)),
    "a plain step": lambda t: t._step(lg.ones(4, 6)),
    "another compiled function": _other_function,
    "a rate": lambda t: t.optimizer.param_groups[0].update(lr=0.01),
    "another mode and back": lambda t: (t.model.eval(), t.model(lg.ones(4, 6)), t.model.train()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_somebody_changes_between_calls_counts(change):
    found = []
    for compiled in (False, True):
        training = Training(compiled)
        for _ in range(2):  # the second deposit is made after the first was touched
            training.run()
            change(training)
        losses = training.run()
        found.append({**training.values(), "losses": numpy.array([loss.item() for loss in losses])})
    same(found[1], found[0])


def test_results_that_lie_elsewhere_are_seen(monkeypatch):
    plain, compiled = Training(False), Training(True)
    plain.run(CALLS + 2)
    compiled.run()
    (captured,) = next(iter(compiled.step._variants.values()))
    run = captured.executable.run

    def elsewhere(device, leaves, numbers, place, donated, kept, into):
        return run(device, leaves, numbers, place)

    monkeypatch.setattr(captured.executable, "begin_whole", lambda device: False)
    monkeypatch.setattr(captured.executable, "run", elsewhere)
    compiled.run(1)
    monkeypatch.undo()
    compiled.run(1)
    same(compiled.values(), plain.values())


def test_values_outlive_the_function():
    plain, compiled = Training(False), Training(True)
    for training in (plain, compiled):
        training.run()
    compiled.step = None
    gc.collect()
    assert is_put_away(compiled.weight._cell)
    same(compiled.values(), plain.values())


def test_a_failure_leaves_what_was_put_away(monkeypatch):
    plain, compiled = Training(False), Training(True)
    plain.run()
    next(plain.batches)  # the one that fails
    plain.run(1)
    compiled.run()
    (captured,) = next(iter(compiled.step._variants.values()))

    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(captured.executable, "launch", fail)
    with pytest.raises(MemoryError):
        compiled.run(1)
    monkeypatch.undo()
    compiled.run(1)
    same(compiled.values(), plain.values())


class Holder(Depositor):
    __slots__ = ("__weakref__", "value")

    _deposited = "value"


def test_all_threads_get_a_value_that_is_put_away():
    for _ in range(50):
        holders = [Holder() for _ in range(20)]
        deposit = Deposit("known")
        for number, holder in enumerate(holders):
            holder.value = number
            holder._put_away(deposit)
        found = [[] for _ in range(4)]
        threads = [threading.Thread(target=lambda m=m, h=holders: m.extend([x.value for x in h])) for m in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [list(range(20))] * 4
        assert deposit.left is None


def test_other_attributes_are_missed_as_ever():
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nothing'"):
        lg.ones(2).nothing  # noqa: B018
    assert not hasattr(lg.ones(2), "nothing")
