"""Several threads build and run graphs: the same results as one after the other, nothing lost, nothing twice, no deadlock."""

from __future__ import annotations

import gc
import sys
import threading
import time

import numpy
import pytest

import lazygrad as lg
from integration.interpreted_device import NAME, InterpretedDevice, opened
from integration.small_training import Training, same
from lazygrad.ir.node import ORIGIN
from lazygrad.runtime import compiled, registry, statistics
from lazygrad.tensor.random import Generator

STEPS = 4
# A thread that has not ended then has met another that waits for it.
DEADLOCK_SECONDS = 120


@pytest.fixture(autouse=True)
def _frequent_switches():
    """Threads take turns after a few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(*functions):
    """What the functions return, each run in a thread of its own, all started at once."""
    start = threading.Barrier(len(functions))
    results, errors = [None] * len(functions), []

    def run(number, function):
        start.wait()
        try:
            results[number] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLOCK_SECONDS)
        assert not thread.is_alive(), "a thread waits for ever"
    if errors:
        raise errors[0]
    return results


def test_models_are_trained_as_one_after_the_other(device):
    alone = [Training(device, seed).run(STEPS) for seed in range(3)]
    together = in_threads(*(lambda seed=seed: Training(device, seed).run(STEPS) for seed in range(3)))
    for expected, found in zip(alone, together, strict=True):
        assert all(same(*each) for each in zip(expected, found, strict=True))


def test_threads_on_several_devices():
    with opened() as _, opened("interpreted_too:0") as _:
        names = ["numpy:0", NAME, "interpreted_too:0"]
        alone = [Training("numpy:0", seed).run(STEPS)[-1] for seed in range(3)]
        together = in_threads(
            *(lambda n=n, seed=seed: Training(n, seed).run(STEPS)[-1] for seed, n in enumerate(names))
        )
        assert all(same(*each) for each in zip(alone, together, strict=True))


def test_steps_of_other_threads_do_not_enter_a_step():
    """A step submits what its own thread has left pending, so that its graph is the same each time."""
    with opened():
        Training(NAME).run(STEPS)
        with statistics.counting() as counted:
            in_threads(*(lambda seed=seed: Training(NAME, seed).run(10 * STEPS) for seed in range(3)))
        assert counted.schedules_made == 0


def test_one_graph_is_computed_once():
    with opened() as device:
        x = lg.ones(4, 5, device=NAME)
        lg.realize(x)
        after_launches(device, lambda: time.sleep(0.05))  # lets other threads run
        expected = (x * 3 + 1).sum(1).numpy()
        y = (x * 3 + 1).sum(1)
        with statistics.counting() as counted:
            found = in_threads(*[y.numpy] * 6)
        assert all(numpy.array_equal(each, expected) for each in found)
        assert counted.kernels_launched == 1


def after_launches(device, function):
    """Has the function called after every launch."""
    compile_ = device.compile

    def compiled(kernels):
        programs = compile_(kernels)
        for program in programs:
            program.launch = lambda *arguments, launch=program.launch: (launch(*arguments), function())
        return programs

    device.compile = compiled


def test_threads_may_read_what_all_share():
    """One model serves several threads."""
    with opened():
        training = Training(NAME)
        training.run(1)
        first, bias, second = training.parameters

        def infer():
            return [(lg.tanh(training.inputs @ first + bias) @ second).detach().numpy() for _ in range(5)]

        expected = infer()[0]
        for found in in_threads(infer, infer, infer):
            assert all(numpy.allclose(each, expected, rtol=1e-5) for each in found)


def test_gradients_of_several_threads_add_up():
    leaf = lg.ones(3, device="numpy", requires_grad=True)

    def work():
        for _ in range(50):
            (leaf * 2).sum().backward()

    in_threads(work, work, work)
    assert leaf.grad.tolist() == [300.0] * 3


class Computing:
    """Garbage whose finalizer computes, and updates, wherever the collector finds it."""

    made = 0
    finalized = 0

    def __init__(self, tensor):
        self.tensor = tensor
        self.itself = self
        Computing.made += 1

    def __del__(self):
        with lg.no_grad():
            self.tensor.add_(1)
        assert (self.tensor * 2).sum().item() > 0
        Computing.finalized += 1


@pytest.mark.parametrize("name", ["numpy:0", NAME, "opencl:0"])
def test_the_garbage_collector_may_run_anything_anywhere(name):
    if name == "opencl:0" and not registry.backend("opencl").devices():
        pytest.skip("there is no OpenCL device")
    before = gc.get_threshold()
    with opened():
        tensor = lg.ones(16, device=name)
        Computing(tensor)
        gc.collect()

        def work(seed):
            training = Training(name, seed)
            found = [training.values()]
            for _ in range(STEPS):
                Computing(tensor)
                training.step()
                found.append(training.values())
            return found

        alone = [Training(name, seed).run(STEPS) for seed in range(2)]
        Computing.made = Computing.finalized = 0
        gc.set_threshold(20, 2, 2)
        try:
            together = in_threads(lambda: work(0), lambda: work(1))
        finally:
            gc.set_threshold(*before)
        gc.collect()
        assert Computing.finalized == Computing.made == 2 * STEPS
        for expected, found in zip(alone, together, strict=True):
            assert all(same(*each) for each in zip(expected, found, strict=True))


def test_what_interrupts_a_submission_overwrites_nothing(monkeypatch):
    """A finalizer, or a signal's handler, updates a tensor in place between two launches that may need its old value."""
    with opened() as device:
        tensor = lg.ones(4, 4, device=NAME)
        lg.realize(tensor)
        product = tensor @ (tensor @ tensor)
        overwritable = []
        realize = compiled.realize_compiled

        def realizing(device, roots, expendable):
            overwritable.append(len(expendable))
            realize(device, roots, expendable)

        def update():
            with lg.no_grad():
                tensor.add_(5)
            lg.realize(tensor)

        def meddle():
            if len(overwritable) == 1:
                update()

        monkeypatch.setattr(compiled, "realize_compiled", realizing)
        after_launches(device, meddle)
        assert product.tolist() == [[16.0] * 4] * 4
        assert overwritable == [0, 0]
        update()
        assert overwritable == [0, 0, 1]
        assert tensor.tolist() == [[11.0] * 4] * 4


def test_what_interrupts_a_submission_may_compute_the_same_graph():
    with opened() as device:
        ones, twos = lg.ones(4, 4, device=NAME), lg.ones(4, 4, device=NAME) * 2
        lg.realize(ones, twos)
        found = []

        def meddle():
            if not found:
                found.append(None)
                found.append((twos @ (twos @ twos)).tolist())

        after_launches(device, meddle)
        assert (ones @ (ones @ ones)).tolist() == [[16.0] * 4] * 4
        assert found[1] == [[128.0] * 4] * 4
        found.clear()
        assert (ones @ (ones @ ones)).tolist() == [[16.0] * 4] * 4


class SlowInteger(int):
    """Lets other threads run in the middle of an addition."""

    def __add__(self, other):
        time.sleep(0.001)
        return SlowInteger(int(self) + other)

    __radd__ = __add__


def test_no_random_number_is_drawn_twice():
    generator = Generator()
    generator._calls = SlowInteger(0)
    taken = in_threads(*[lambda: [generator.take() for _ in range(20)]] * 4)
    assert sorted(int(number) for numbers in taken for number in numbers) == list(range(80))


def test_nothing_is_left_uncounted():
    def count():
        statistics.total.kernels_built += SlowInteger(0)
        for _ in range(20):
            statistics.total.kernels_built += 1

    with statistics.counting() as counted:
        in_threads(*[count] * 4)
        in_threads(*[count] * 4)
    assert counted.kernels_built == 160


def test_a_device_is_opened_once(monkeypatch):
    made = []

    class Backend:
        name, preference = "slow", -1

        def devices(self):
            return ()

        def open(self, variant):
            time.sleep(0.05)
            made.append(InterpretedDevice("slow:0"))
            return made[-1]

    monkeypatch.setattr(registry, "_loaded", {**registry._loaded, "slow": Backend()})
    monkeypatch.setattr(registry, "_opened", dict(registry._opened))
    found = in_threads(*[lambda: registry.device("slow:0")] * 6, lambda: registry.device("slow"))
    assert set(found[:6]) == {found[6]} == {registry.device("slow:0")}
    assert len(made) <= 2  # by the one name, and by the other: which is another device only its name tells


def test_modes_belong_to_threads():
    inside, seen = threading.Barrier(2), {}
    x = lg.ones(2, device="numpy", requires_grad=True)

    def sets():
        with lg.no_grad(), lg.autocast("numpy", dtype=lg.bfloat16):
            ORIGIN.place = "a line"
            inside.wait()
            seen["sets"] = (x * 2).requires_grad, (x.reshape(1, 2) @ x).dtype
            inside.wait()
        ORIGIN.place = None

    def sees():
        inside.wait()
        y = x * 2
        seen["sees"] = y.requires_grad, (x.reshape(1, 2) @ x).dtype
        seen["place"] = y._cell.node.place.filename
        inside.wait()

    in_threads(sets, sees)
    assert seen == {"sets": (False, lg.bfloat16), "sees": (True, lg.float32), "place": __file__}


def test_threads_may_share_a_function_that_autocasts():
    x = lg.ones(2, 2, device="numpy")
    inside = threading.Barrier(2)

    @lg.autocast("numpy", dtype=lg.bfloat16)
    def product():
        inside.wait()
        found = x @ x
        inside.wait()
        return found

    def outside():
        with lg.autocast("numpy", dtype=lg.float16):
            inner = product().dtype
            return inner, (x @ x).dtype

    def bare():
        return product().dtype, (x @ x).dtype

    assert in_threads(outside, bare) == [(lg.bfloat16, lg.float16), (lg.bfloat16, lg.float32)]
