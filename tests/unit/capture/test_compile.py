"""lazygrad.compile: a captured function does what the function does, whatever changes between its calls."""

import gc
import logging
import threading

import numpy
import pytest

import lazygrad as lg
from lazygrad.capture import CaptureError
from lazygrad.runtime import statistics


@pytest.fixture(params=["numpy:0", "opencl:0"], autouse=True)
def chosen(request):
    lg.set_default_device(request.param)
    yield request.param
    lg.set_default_device(None)


def network():
    lg.manual_seed(3)
    return lg.nn.Sequential(
        lg.nn.Linear(6, 8), lg.nn.BatchNorm1d(8), lg.nn.ReLU(), lg.nn.Dropout(0.25), lg.nn.Linear(8, 3)
    )


OPTIMIZERS = {
    "sgd": lambda p: lg.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: lg.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: lg.optim.Adam(p, lr=0.01),
    "adamw": lambda p: lg.optim.AdamW(p, lr=0.01),
}


class Training:
    """A step, plain or compiled, with all that it changes."""

    def __init__(self, kind, compiled):
        self.model = network()
        self.optimizer = OPTIMIZERS[kind](self.model.parameters())
        self.schedule = lg.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)
        self.step = lg.compile(self._step) if compiled else self._step

    def _step(self, x, y):
        self.optimizer.zero_grad()
        scores = self.model(x)
        loss = lg.nn.functional.cross_entropy(scores, y)
        if self.model.training:
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
        return {"loss": loss.detach(), "scores": (scores.detach(), scores.argmax(1))}

    def values(self):
        found = {name: value.numpy() for name, value in self.model.state_dict().items()}
        for number, parameter in enumerate(self.model.parameters()):
            found[f"grad {number}"] = None if parameter.grad is None else parameter.grad.numpy()
            state = self.optimizer.state.get(parameter, {})
            found.update({f"{k} {number}": lg.tensor(v).numpy() for k, v in state.items() if isinstance(v, float)})
            found.update({f"{k} {number}": v.numpy() for k, v in state.items() if isinstance(v, lg.Tensor)})
        return found


def batches(count, rows=4):
    numbers = numpy.random.default_rng(8)
    return [
        (lg.from_numpy(numbers.normal(size=(rows, 6)).astype("float32")), lg.tensor(numbers.integers(0, 3, rows)))
        for _ in range(count)
    ]


def equal(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        if value is None:
            assert b[name] is None
        else:
            numpy.testing.assert_array_equal(value, b[name], err_msg=name)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_is_the_same(kind):
    plain, compiled = Training(kind, False), Training(kind, True)
    results = []
    for training in (plain, compiled):
        lg.manual_seed(11)
        results.append([training.step(*batch) for batch in batches(5)])
    for one, other in zip(*results, strict=True):
        assert one.keys() == other.keys()
        assert isinstance(other["scores"], tuple)
        numpy.testing.assert_array_equal(one["loss"].numpy(), other["loss"].numpy())
        numpy.testing.assert_array_equal(one["scores"][1].numpy(), other["scores"][1].numpy())
    equal(plain.values(), compiled.values())
    assert len(compiled.step.explain().variants) == 1
    assert plain.optimizer.param_groups[0]["lr"] == compiled.optimizer.param_groups[0]["lr"]


def test_what_changes_between_calls_is_seen():
    plain, compiled = Training("adam", False), Training("adam", True)
    saved = None
    for training in (plain, compiled):
        (x, y), (long_x, long_y) = batches(1)[0], batches(1, rows=7)[0]
        lg.manual_seed(2)
        training.step(x, y)
        training.optimizer.param_groups[0]["lr"] = 0.5
        training.step(x, y)
        training.step(long_x, long_y)
        lg.manual_seed(2)
        training.step(x, y)
        training.model.eval()
        training.step(x, y)
        training.model.train()
        with lg.no_grad():
            next(training.model.parameters()).mul_(0.5)
        training.step(x, y)
        saved = saved or ({k: v.clone() for k, v in training.model.state_dict().items()})
        training.model.load_state_dict(saved)
        training.optimizer.load_state_dict(training.optimizer.state_dict())
        training.step(x, y)
    equal(plain.values(), compiled.values())
    compiled_why = [variant.why for variant in compiled.step.explain().variants]
    assert compiled_why[0] == "it is the first call"
    assert any("7, 6" in why and "4, 6" in why for why in compiled_why)
    assert any("training" in why for why in compiled_why)


def test_nothing_is_built_scheduled_or_traced_again(chosen):
    training = Training("sgd", True)
    (x, y), *rest = batches(6)
    training.step(x, y)
    with statistics.counting() as counted:
        for batch in rest:
            training.step(*batch)
    assert counted.schedules_made == counted.kernels_built == 0
    assert len(training.step.explain().variants) == 1


def test_results_are_not_overwritten():
    @lg.compile
    def double(x):
        return x * 2

    results = [double(lg.full((5,), float(n))) for n in range(4)]
    assert [float(r[0]) for r in results] == [0, 2, 4, 6]


def test_the_old_value_of_state_survives_where_somebody_holds_it():
    total = lg.zeros(3)

    @lg.compile
    def add(x):
        total.add_(x)
        return total

    assert add(lg.ones(3)) is total
    copy = total.clone()
    lazily = total * 10
    add(lg.ones(3))
    add(lg.ones(3))
    assert copy.tolist() == [1, 1, 1]
    assert lazily.tolist() == [10, 10, 10]
    assert total.tolist() == [3, 3, 3]


def test_arguments_may_be_changed_in_place():
    @lg.compile
    def fill(x, y):
        x.add_(y)
        y.zero_()
        return x

    for _ in range(3):
        a, b = lg.ones(2), lg.full((2,), 4.0)
        assert fill(a, b) is a
        assert (a.tolist(), b.tolist()) == ([5, 5], [0, 0])


def test_one_tensor_given_twice_is_not_two():
    @lg.compile
    def both(x, y):
        x.add_(1)
        return x + y

    a = lg.ones(2)
    assert both(a, lg.zeros(2)).tolist() == [2, 2]
    assert both(a, a).tolist() == [6, 6]
    assert both(lg.ones(2), lg.zeros(2)).tolist() == [2, 2]


def test_slices_of_a_larger_tensor_are_not_copied(chosen):
    data = lg.arange(24).reshape(12, 2).float().realize()

    @lg.compile
    def mean(x):
        return x.mean()

    assert [float(mean(data[i : i + 3])) for i in range(0, 12, 3)] == [2.5, 8.5, 14.5, 20.5]
    assert len(mean.explain().variants) == 1


def test_reading_inside_names_the_line():
    @lg.compile
    def careless(x):
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(CaptureError, match=r"careless.*cannot read the elements of a tensor(?s:.*)if x\.sum\(\) > 0"):
        careless(lg.ones(2))

    weight = lg.zeros(2)

    @lg.compile
    def halfway(x):
        weight.add_(x)
        return weight.numpy()

    with pytest.raises(CaptureError, match="where"):
        halfway(lg.ones(2))
    assert weight.tolist() == [0, 0]

    @lg.compile
    def freezing(x):
        return x + lg.from_numpy(numpy.ones(2, "float32"))

    with pytest.raises(CaptureError, match="NumPy array"):
        freezing(lg.ones(2))


def test_an_exception_in_the_middle_changes_nothing():
    training = Training("adam", True)
    x, y = batches(1)[0]
    training.step(x, y)
    before, seed = training.values(), lg.get_rng_state()
    original = training.optimizer._update

    def failing(*arguments):
        original(*arguments)
        raise ValueError("in the middle")

    training.optimizer._update = failing
    training.step.reset()
    with pytest.raises(ValueError, match="in the middle"):
        training.step(x, y)
    equal(before, training.values())
    assert lg.get_rng_state() == seed
    del training.optimizer._update
    training.step(x, y)
    assert training.optimizer.state[next(training.model.parameters())]["step"] == 2


def test_nested_functions_are_one_capture():
    @lg.compile
    def inner(x):
        return x + 1

    @lg.compile
    def outer(x):
        return inner(x) * 2

    assert [outer(lg.ones(2)).tolist() for _ in range(2)] == [[4, 4]] * 2
    assert len(outer.explain().variants) == 1
    assert not inner.explain().variants


class Counter:
    def __init__(self, by):
        self.by = by
        self.seen = lg.zeros(2)

    @lg.compile
    def add(self, x):
        self.seen.add_(x * self.by)
        return self.seen * 1


def test_methods_belong_to_their_objects():
    one, ten = Counter(1.0), Counter(10.0)
    for _ in range(2):
        one.add(lg.ones(2))
        ten.add(lg.ones(2))
    assert (one.seen.tolist(), ten.seen.tolist()) == ([2, 2], [20, 20])
    one.by = 5.0
    assert one.add(lg.ones(2)).tolist() == [7, 7]
    one.seen = lg.zeros(2)
    assert one.add(lg.ones(2)).tolist() == [5, 5]
    assert ten.add(lg.ones(2)).tolist() == [30, 30]


def test_plain_values_and_closures_are_guarded():
    factor = 2.0

    @lg.compile
    def scaled(x, *, power=1, names=("a",)):
        return (x * factor) ** power, names

    assert scaled(lg.full((1,), 3.0))[0].tolist() == [6]
    assert scaled(lg.full((1,), 3.0), power=2)[0].tolist() == [36]
    factor = 3.0
    value, names = scaled(lg.full((1,), 3.0), names=("b", "c"))
    assert (value.tolist(), names) == ([9], ("b", "c"))
    assert "factor" in scaled.explain().variants[-1].why or "form" in scaled.explain().variants[-1].why


def test_random_numbers_go_on_and_obey_the_seed():
    @lg.compile
    def noise():
        return lg.rand(3), lg.randn(2)

    lg.manual_seed(4)
    compiled = [noise()[0].tolist() for _ in range(3)]
    lg.manual_seed(4)
    plain = []
    for _ in range(3):
        plain.append(lg.rand(3).tolist())
        lg.randn(2)
    assert compiled == plain
    assert len({tuple(row) for row in compiled}) == 3
    lg.manual_seed(4)
    assert noise()[0].tolist() == plain[0]


def test_gradients_accumulate_as_without():
    weight = lg.ones(2, requires_grad=True)

    @lg.compile
    def accumulate(x):
        (weight * x).sum().backward()

    for n in range(1, 4):
        accumulate(lg.full((2,), 2.0))
        assert weight.grad.tolist() == [2.0 * n] * 2
    weight.grad = None
    accumulate(lg.full((2,), 3.0))
    assert weight.grad.tolist() == [3, 3]


def test_tensors_left_behind_are_right_and_reported(caplog):
    losses = []

    @lg.compile
    def careless(x):
        losses.append((x * 2).sum())
        return x + 1

    with caplog.at_level(logging.WARNING):
        for n in range(9):
            careless(lg.full((2,), float(n)))
    assert [float(value) for value in losses] == [4.0 * n for n in range(9)]
    assert "careless has been captured 8 times" in caplog.text
    assert not any(variant.kept for variant in careless.explain().variants)


def test_a_result_that_is_differentiated_outside_is_not_captured(caplog):
    weight = lg.ones(2, requires_grad=True)

    @lg.compile
    def forward(x):
        return (weight * x).sum()

    with caplog.at_level(logging.WARNING):
        forward(lg.full((2,), 3.0)).backward()
    assert weight.grad.tolist() == [3, 3]
    assert "without being captured" in caplog.text
    assert "autograd history" in forward.explain().plain
    with lg.no_grad():
        assert float(forward(lg.ones(2))) == 2
    assert len(forward.explain().variants) == 1


def test_modes_are_guarded():
    @lg.compile
    def product(x):
        return x @ x

    x = lg.ones(2, 2)
    product(x)
    with lg.autocast("cpu", dtype=lg.bfloat16):
        assert product(x).dtype is lg.bfloat16
    assert product(x).dtype is lg.float32
    assert any("autocast" in variant.why for variant in product.explain().variants)


def test_generators_and_coroutines_are_refused():
    def steps(x):
        yield x

    async def later(x):
        return x

    for function in (steps, later):
        with pytest.raises(TypeError, match="stops in the middle"):
            lg.compile(function)
    with pytest.raises(TypeError, match="runs later"):
        lg.compile(lambda x: (y for y in [x]))(lg.ones(1))
    with pytest.raises(TypeError, match="not callable"):
        lg.compile(3)


def test_two_threads_call_one_function():
    training = Training("sgd", True)
    data = batches(8)
    training.step(*data[0])
    errors = []

    def work(part):
        try:
            for batch in part:
                training.step(*batch)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(data[i::2],)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert training.optimizer._step_count == 9
    assert all(numpy.isfinite(v).all() for v in training.values().values() if v is not None)


def test_a_dropped_function_gives_everything_back():
    def count():
        gc.collect()
        return len(gc.get_objects())

    def use():
        training = Training("sgd", True)
        for batch in batches(3):
            training.step(*batch)

    use()
    before = count()
    for _ in range(3):
        use()
    assert count() - before < 300


def test_decorator_with_options_and_disable():
    @lg.compile(disable=True)
    def plain(x):
        return float(x.sum())

    assert plain(lg.ones(2)) == 2

    @lg.compile()
    def captured(x):
        """Doc."""
        return x

    assert captured.__name__ == "captured"
    assert captured.__doc__ == "Doc."


def test_results_without_elements():
    @lg.compile
    def parts(x):
        return x[:0], x * 2

    for _ in range(2):
        empty, doubled = parts(lg.ones(3))
        assert tuple(empty.shape) == (0,)
        assert doubled.tolist() == [2, 2, 2]


def test_memory_of_what_is_not_captured_says_why():
    weight = lg.ones(2, requires_grad=True)
    forward = lg.compile(lambda x: (weight * x).sum())
    with pytest.raises(RuntimeError, match="without being captured: its result has autograd history"):
        forward.memory(lg.ones(2))
    with pytest.raises(RuntimeError, match="without being captured: an argument has autograd history"):
        forward.memory(weight * 2)


class Table:
    def __init__(self):
        self.entries = {"a": lg.ones(2)}


def test_a_dict_of_tensors_that_is_replaced_is_seen():
    table = Table()
    total = lg.compile(lambda x: table.entries["a"] + x)
    assert total(lg.ones(2)).tolist() == [2, 2]
    table.entries = {"a": lg.zeros(2)}
    assert total(lg.ones(2)).tolist() == [1, 1]


def test_gradients_are_written_where_those_of_the_step_before_lie(chosen):
    training = Training("sgd", compiled=True)
    weight = next(training.model.parameters())
    data = list(batches(6))
    for x, y in data[:2]:
        training.step(x, y)
    if chosen.startswith("opencl"):
        memory = weight.grad._cell.node.result.allocation.memory
        training.step(*data[2])
        assert weight.grad._cell.node.result.allocation.memory is memory


@pytest.mark.parametrize("how", ["the gradient", "a view of it", "what is computed from it", "its detached twin"])
def test_gradients_that_somebody_holds_stay(how):
    plain, compiled = Training("sgd", False), Training("sgd", True)
    found = []
    for training in (plain, compiled):
        weight = next(training.model.parameters())
        held = []
        for x, y in batches(4):
            lg.manual_seed(2)
            training.step(x, y)
            gradient = weight.grad
            held.append(
                {
                    "the gradient": lambda g=gradient: g,
                    "a view of it": lambda g=gradient: g[1:],
                    "what is computed from it": lambda g=gradient: g * 2,
                    "its detached twin": lambda g=gradient: g.detach(),
                }[how]()
            )
            del gradient
        found.append([each.numpy() for each in held])
    for want, got in zip(*found, strict=True):
        assert numpy.allclose(want, got, atol=1e-5)


def test_what_takes_the_memory_of_another_tensor_keeps_its_shape():
    wide, high = lg.rand(4, 8), lg.rand(8, 4)
    lg.realize(wide, high)

    def mix():
        total = (wide * 2).sum(dim=0)
        weights = lg.nn.functional.softmax(high, dim=0)
        mixed = weights @ weights.T
        high.copy_(mixed @ high + total.sum() / 100)  # where wide was
        wide.copy_(wide * total.sum() / 100 + mixed.sum())

    start = wide.clone(), high.clone()
    found = []
    for function in (mix, lg.compile(mix)):
        wide.copy_(start[0])
        high.copy_(start[1])
        for _ in range(3):
            function()
        found.append((wide.numpy(), high.numpy()))
    assert [value.shape for value in found[1]] == [(4, 8), (8, 4)]
    for plain, compiled in zip(*found, strict=True):
        numpy.testing.assert_allclose(compiled, plain, rtol=1e-5)
