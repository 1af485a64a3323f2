"""What depends on leaves that stay the same is computed once, and every result is what it would be otherwise."""

import gc
import threading

import numpy
import pytest

import lazygrad as lg
from integration.interpreted_device import InterpretedProgram, opened
from lazygrad import memory
from lazygrad.runtime import OutOfMemoryError, preparing, statistics
from lazygrad.runtime.executable import Executable

NUMBERS = numpy.random.default_rng(11)


@pytest.fixture
def interpreted():
    """One whose memory is filled with what is NaN before it is lent: what has gone is not read unnoticed."""
    with opened() as made:
        lg.set_default_device(made.name)
        yield made
        lg.set_default_device(None)
        gc.collect()


def inputs(count=1, rows=50):
    return [lg.from_numpy(NUMBERS.normal(size=(rows, 20)).astype("float32")).realize() for _ in range(count)]


def network(seed=0):
    lg.manual_seed(seed)
    model = lg.nn.Sequential(lg.nn.Linear(20, 24), lg.nn.BatchNorm1d(24), lg.nn.ReLU(), lg.nn.Linear(24, 17))
    lg.realize(*model.state_dict().values())
    return model.eval()


class Looked:
    """A model in evaluation mode: each result is compared with that of the whole program; ``launched`` by the last."""

    def __init__(self, model, compiled=False):
        self.model = model
        self.function = lg.compile(self._run) if compiled else self._run

    def _run(self, x):
        with lg.no_grad():
            return self.model(x)

    def __call__(self, x):
        with statistics.counting() as counted:
            found = self.function(x).numpy()
        self.launched = counted.kernels_launched
        numpy.testing.assert_allclose(found, expected(self.model, x.numpy()), rtol=1e-4, atol=1e-4)
        return found


def expected(model, x):
    """The same in NumPy, without the library's help."""
    first, norm, _, last = model
    w, b, mean, variance, scale, shift, v, c = (
        tensor.detach().numpy()
        for tensor in (
            first.weight, first.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias, last.weight,
            last.bias,
        )
    )  # fmt: skip
    hidden = (x @ w.T + b - mean) / numpy.sqrt(variance + norm.eps) * scale + shift
    return numpy.maximum(hidden, 0) @ v.T + c


@pytest.fixture(params=["plain", "compiled"])
def looked(request, interpreted):
    made = Looked(network(), request.param == "compiled")
    for x in inputs(3):
        made(x)
    return made


def settle(looked, runs=2):
    """Runs until leaves that stay are known to stay."""
    for x in inputs(runs):
        looked(x)
    return looked.launched


def test_weights_are_packed_once(looked, interpreted):
    x, y = inputs(2)
    looked(x)
    steady = looked.launched
    looked(y)
    assert looked.launched == steady
    with_all = Looked(looked.model)
    with_all.function = looked.function
    run = preparing.PreparingExecutable.run
    try:
        preparing.PreparingExecutable.run = Executable.run
        with_all(x)
    finally:
        preparing.PreparingExecutable.run = run
    assert with_all.launched >= steady + 2
    assert memory.prepared() > 0


def test_bits_are_the_same(interpreted):
    looked, (x, y, z) = Looked(network()), inputs(3)
    whole = [looked(each) for each in (x, y)]
    looked(z)
    for each, want in zip((x, y), whole, strict=True):
        numpy.testing.assert_array_equal(looked(each), want)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.load_state_dict(network(5).state_dict()),
        lambda model: model[0].weight.mul_(2.0),
        lambda model: model[0].weight.__setitem__((slice(0, 3), slice(None)), 1.0),
        lambda model: model[1].running_var.add_(3.0),
        lambda model: setattr(model[3], "weight", lg.nn.Parameter(lg.rand(17, 24))),
        lambda model: model[3].weight.copy_(lg.rand(17, 24)),
    ],
    ids=["load_state_dict", "in place", "element", "running statistics", "another tensor", "copy_"],
)
def test_changes_are_seen(looked, change):
    before = settle(looked)
    with lg.no_grad():
        change(looked.model)
    (x,) = inputs()
    looked(x)  # compares
    assert settle(looked, 3) == before


def test_an_update_in_the_memory_of_the_old_value_is_seen(interpreted):
    """A compiled step writes a parameter into its own buffer."""
    model = network()
    looked = Looked(model, compiled=True)
    optimizer = lg.optim.SGD(model.parameters(), lr=0.5)

    @lg.compile
    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    for x in inputs(5):
        allocation = model[0].weight._cell.node.result.allocation
        step(x)
        found = [looked(each) for each in inputs(3)]
        assert all(numpy.isfinite(each).all() for each in found)
    assert model[0].weight._cell.node.result.allocation is allocation


def test_a_checkpoint_file(looked, tmp_path):
    path = tmp_path / "model.pt"
    other = network(9)
    lg.save(other.state_dict(), path)
    before = settle(looked)
    looked.model.load_state_dict(lg.load(path))
    (x,) = inputs()
    numpy.testing.assert_array_equal(looked(x), Looked(other)(x))
    assert settle(looked, 3) == before


def test_a_checkpoint_has_nothing_but_the_values(looked, tmp_path):
    settle(looked)
    lg.save(looked.model.state_dict(), tmp_path / "after.pt")
    lg.save(network().state_dict(), tmp_path / "before.pt")
    sizes = [(tmp_path / name).stat().st_size for name in ("before.pt", "after.pt")]
    assert abs(sizes[0] - sizes[1]) < 64


def test_random_numbers_are_drawn_anew(interpreted):
    weight = lg.rand(24, 20).realize()
    (x,) = inputs()

    def run():
        return (lg.nn.functional.dropout(x, 0.5) @ weight.T).numpy()

    lg.manual_seed(4)
    first = [run() for _ in range(5)]
    lg.manual_seed(4)
    for want in first:
        numpy.testing.assert_array_equal(run(), want)
    assert len({each.tobytes() for each in first}) == 5


def test_where_nothing_varies_everything_runs(interpreted):
    looked, (x,) = Looked(network()), inputs()
    launched = []
    for _ in range(6):
        looked(x)
        launched.append(looked.launched)
    assert len(set(launched)) == 1
    assert memory.prepared() == 0


def test_training_runs_whole_and_is_looked_at_ever_less(interpreted, monkeypatch):
    looks = []
    stamp = preparing._stamp
    monkeypatch.setattr(preparing, "_stamp", lambda leaf: looks.append(leaf) or stamp(leaf))
    model = network().train()
    optimizer = lg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    launched, looked = [], []
    for x in inputs(100):
        looks.clear()
        with statistics.counting() as counted:
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        launched.append(counted.kernels_launched)
        looked.append(bool(looks))
    assert len(set(launched[2:])) == 1
    assert sum(looked[50:]) <= 4
    assert memory.prepared() == 0


def test_frozen_layers_are_packed_once_in_training(interpreted):
    model = network().train()
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    optimizer = lg.optim.SGD(model[3].parameters(), lr=0.01)
    launched = []
    for x in inputs(6):
        with statistics.counting() as counted:
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        launched.append(counted.kernels_launched)
    assert launched[-1] < launched[1]


def test_values_go_with_what_they_come_from(looked, interpreted):
    settle(looked)
    assert memory.prepared() > 0
    assert "prepared for further runs of" in memory.summary()
    looked.model = looked.function = None
    gc.collect()
    lg.runtime.statistics.sums()
    assert memory.prepared() == 0


def test_values_go_with_an_update(looked):
    settle(looked)
    before = memory.prepared()
    with lg.no_grad():
        for parameter in looked.model.parameters():
            parameter.mul_(1.5)
    lg.realize(*looked.model.parameters())
    gc.collect()
    assert memory.prepared() < before / 2


def test_empty_cache_lets_them_go_and_they_come_back(looked):
    before = settle(looked)
    memory.empty_cache()
    assert memory.prepared() == 0
    (x,) = inputs()
    looked(x)
    assert settle(looked) == before


def test_they_make_room_where_memory_is_short(looked, interpreted):
    settle(looked)
    found = interpreted.pool.statistics()
    interpreted.pool.limit = found.live + found.cached + 1024
    large = lg.zeros(memory.prepared() // 4).realize()
    assert memory.prepared() == 0
    del large
    for x in inputs(2):
        looked(x)


def test_no_memory_for_them_is_no_error(interpreted, monkeypatch):
    def none(*_):
        raise OutOfMemoryError("no memory")

    looked = Looked(network())
    monkeypatch.setattr(preparing._Divided, "prepare", none)
    for x in inputs(4):
        looked(x)
    assert memory.prepared() == 0


def test_an_exception_while_preparing_leaves_everything_usable(interpreted, monkeypatch):
    looked = Looked(network())
    looked(*inputs())
    launch, left = InterpretedProgram.launch, [1]

    def fail(self, *arguments):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("the driver refuses")
        launch(self, *arguments)

    for launches in range(2):
        left[0] = launches
        with monkeypatch.context() as patch:
            patch.setattr(InterpretedProgram, "launch", fail)
            with pytest.raises(RuntimeError, match="refuses"):
                looked(*inputs())
    for x in inputs(4):
        looked(x)
    assert memory.prepared() > 0


def test_they_are_bounded_by_the_leaves(interpreted):
    """A vector that goes with ever other vectors: what came of the old ones does not pile up."""
    weight, shift = lg.rand(24, 20).realize(), lg.zeros(1, 20).realize()
    for number in range(60):
        for x in inputs(3):
            (x @ (weight + shift).T).realize()
        if number % 2:
            shift = lg.full((1, 20), float(number)).realize()
    assert memory.prepared() <= preparing.MOST_DERIVED * 2 * weight.nbytes


def test_programs_that_change_too_often_run_whole(interpreted):
    model = network()
    launched = []
    for _ in range(20):
        with lg.no_grad():
            model[0].weight.mul_(1.1)
            model[3].weight.mul_(1.1)
            lg.realize(*model.parameters())
            for x in inputs(2):
                with statistics.counting() as counted:
                    model(x).realize()
                launched.append(counted.kernels_launched)
    assert len(set(launched[-8:])) == 1


def test_leaves_that_stay_from_later_on_are_found(interpreted, monkeypatch):
    """While the first layer is trained, the second one is prepared; then nothing is trained any more."""
    monkeypatch.setattr(preparing, "LOOK_AGAIN", 8)
    looked = Looked(network())
    launched = []
    for number, x in enumerate(inputs(40)):
        if number < 6:
            with lg.no_grad():
                looked.model[0].weight.mul_(1.1)
            lg.realize(looked.model[0].weight)
        looked(x)
        launched.append(looked.launched)
    assert launched[0] > launched[5] > launched[-1]


def test_two_threads(interpreted):
    models = [network(seed) for seed in range(2)]
    batches = [inputs(6) for _ in models]
    alone = [[Looked(model)(x) for x in xs] for model, xs in zip(models, batches, strict=True)]
    found = [[], []]

    def run(number):
        for x in batches[number]:
            with lg.no_grad():
                found[number].append(models[number](x).numpy())

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, want in zip(found, alone, strict=True):
        for a, b in zip(got, want, strict=True):
            numpy.testing.assert_array_equal(a, b)


def test_a_budget_of_memory_is_kept_to(interpreted):
    model = network()

    def run(x):
        with lg.no_grad():
            return model(x)

    step = lg.compile(run, memory_budget="10M")
    for x in inputs(4):
        step(x)
    assert memory.prepared() == 0


def test_what_a_call_needs_is_told():
    lg.set_default_device("opencl:0")
    try:
        model = network()
        step = lg.compile(Looked(model)._run)
        for x in inputs(3):
            step(x).numpy()
        (x,) = inputs()
        report = step.memory(x)
        assert 0 < report.prepared <= memory.prepared()
        assert "prepared by earlier calls" in str(report)
        memory.reset_peak()
        result = step(x)
        assert abs(report.peak - memory.statistics().peak) <= 0.03 * report.peak
        assert result.shape == (50, 17)
    finally:
        lg.set_default_device(None)


def test_batches_of_other_sizes_find_what_is_prepared():
    lg.set_default_device("opencl:0")
    try:
        model = lg.nn.Linear(128, 96)
        for x in inputs_of(128, (64, 64, 64)):
            model(x).realize()
        before = memory.prepared()
        for x in inputs_of(128, (80, 80, 80)):
            model(x).realize()
        assert memory.prepared() == before > 0
    finally:
        lg.set_default_device(None)


def inputs_of(width, rows):
    return [lg.rand(each, width).realize() for each in rows]
