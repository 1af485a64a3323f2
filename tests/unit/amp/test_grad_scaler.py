"""GradScaler: the same scales, skipped steps and parameters as torch's, without waiting for the device."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from typing import Any

import numpy
import pytest

import lazygrad as lg
from lazygrad.amp import GradScaler
from lazygrad.optim import SGD, Adam, AdamW, Optimizer
from lazygrad.runtime import statistics


@pytest.fixture(autouse=True)
def numpy_device() -> Iterator[None]:
    lg.set_default_device("numpy")
    yield
    lg.set_default_device(None)


def scaled_step(scaler: GradScaler, optimizer: Optimizer, weight: lg.Tensor, factor: float) -> None:
    """A step whose gradient is ``factor`` everywhere."""
    optimizer.zero_grad()
    scaler.scale((weight * factor).sum()).backward()
    scaler.step(optimizer)
    scaler.update()


# ---- beside torch

# Overflows of the first scales, growth, and a tenth batch that is too large for float16.
SCALER = {"init_scale": 2.0**22, "growth_interval": 2}
STEPS = 14
HUGE_BATCH = 10
OPTIMIZERS = {
    "AdamW": ("AdamW", {"lr": 0.02}),
    "Adam": ("Adam", {"lr": 0.02, "amsgrad": True, "weight_decay": 0.1, "betas": (0.8, 0.99)}),
    "SGD": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "SGD with dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
}


def train(library: Any, name: str, options: dict[str, Any], clip: bool) -> tuple[list[float], list[Any], Any]:
    """The scale after each step of a float16 network, its parameters in the end, and the optimizer."""
    generator = numpy.random.default_rng(0)
    functional = library.nn.functional
    weights = [
        library.nn.Parameter(library.tensor(0.3 * generator.standard_normal(shape).astype(numpy.float32)))
        for shape in ((16, 8), (16,), (4, 16), (4,))
    ]
    inputs = library.tensor(generator.standard_normal((32, 8)).astype(numpy.float32))
    targets = library.tensor(generator.standard_normal((32, 4)).astype(numpy.float32))
    optimizer = getattr(library.optim, name)(weights, **options)
    scaler = library.amp.GradScaler("cpu", **SCALER)
    scales = []
    for step in range(STEPS):
        optimizer.zero_grad()
        with library.autocast("cpu", dtype=library.float16):
            hidden = functional.relu(functional.linear(inputs, weights[0], weights[1]))
            loss = functional.mse_loss(functional.linear(hidden, weights[2], weights[3]), targets)
        scaler.scale(loss * 1e5 if step == HUGE_BATCH else loss).backward()
        if clip:
            scaler.unscale_(optimizer)
            library.nn.utils.clip_grad_norm_(weights, 0.5)
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    return scales, [weight.detach().numpy() for weight in weights], optimizer


@pytest.mark.parametrize("clip", [False, True], ids=["", "clipped"])
@pytest.mark.parametrize("case", OPTIMIZERS)
def test_training_is_torchs(case, clip):
    torch = pytest.importorskip("torch")
    scales, weights, optimizer = train(lg, *OPTIMIZERS[case], clip)
    wanted, theirs, other = train(torch, *OPTIMIZERS[case], clip)
    assert scales == wanted
    # Both happen: the scale shrinks after overflows, and grows in between.
    assert min(scales) < scales[-1] < SCALER["init_scale"]
    assert scales[HUGE_BATCH] < scales[HUGE_BATCH - 1]
    for ours, reference in zip(weights, theirs, strict=True):
        # Gradients in float16 are rounded in different places.
        numpy.testing.assert_allclose(ours, reference, atol=2e-3)
    steps = [float(state["step"]) for state in optimizer.state_dict()["state"].values() if "step" in state]
    assert steps == [float(state["step"]) for state in other.state_dict()["state"].values() if "step" in state]


# ---- skipped steps


@pytest.mark.parametrize(
    "make",
    [
        lambda p: AdamW(p, lr=0.1, amsgrad=True),
        lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: SGD(p, lr=0.1),
        lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    ],
    ids=["AdamW", "momentum", "plain", "dampening"],
)
@pytest.mark.parametrize("factor", [math.inf, math.nan, -math.inf])
def test_a_step_with_infinite_gradients_changes_nothing(device, make, factor):
    """Neither the first one, nor a later one, in parameters, state or count of steps."""
    weight = lg.nn.Parameter(lg.tensor([1.0, -2.0, 3.0], device=device))
    unused = lg.nn.Parameter(lg.tensor([1.0], device=device))
    optimizer = make([weight, unused])
    scaler = GradScaler(init_scale=4.0)

    def snapshot() -> list[Any]:
        held = [v for s in optimizer.state_dict()["state"].values() for v in s.values()]
        return [weight.detach().numpy().tolist(), *(v.tolist() for v in held if v is not None)]

    before = snapshot()[0]
    scaled_step(scaler, optimizer, weight, factor)
    assert snapshot()[0] == before
    scaled_step(scaler, optimizer, weight, 2.0)
    after = snapshot()
    assert after[0] != before
    assert all(numpy.isfinite(v).all() for v in after)
    scaled_step(scaler, optimizer, weight, factor)
    assert snapshot() == after
    assert scaler.get_scale() == 1.0
    assert unused.detach().numpy().tolist() == [1.0]


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.5, 0.0)])
def test_the_first_step_that_counts_is_corrected_as_the_first(betas):
    weight, other = (lg.nn.Parameter(lg.ones(3)) for _ in range(2))
    plain, skipping = Adam([weight], lr=0.1, betas=betas), Adam([other], lr=0.1, betas=betas)
    scaler = GradScaler(init_scale=1.0)
    for _ in range(5):
        scaled_step(scaler, skipping, other, math.inf)
    for _ in range(2):
        scaled_step(GradScaler(enabled=False), plain, weight, 0.5)
        scaled_step(scaler, skipping, other, 0.5)
    numpy.testing.assert_allclose(other.detach().numpy(), weight.detach().numpy(), rtol=1e-6)
    assert skipping.state_dict()["state"][0]["step"].item() == 2.0


def test_steps_with_and_without_a_scaler_mix():
    weight, other = (lg.nn.Parameter(lg.ones(3)) for _ in range(2))
    plain, mixed = AdamW([weight], lr=0.1), AdamW([other], lr=0.1)
    for step in range(4):
        scaled_step(GradScaler(enabled=False), plain, weight, 0.5 + step)
        scaled_step(GradScaler(init_scale=8.0, enabled=step in (1, 2)), mixed, other, 0.5 + step)
    numpy.testing.assert_allclose(other.detach().numpy(), weight.detach().numpy(), rtol=1e-6)
    resumed = AdamW([other], lr=0.1)
    resumed.load_state_dict(mixed.state_dict())
    assert resumed.state[other]["step"] == 4.0


def test_gradients_of_any_dtype_are_unscaled():
    for dtype, exact in ((lg.bfloat16, 3.0), (lg.float32, 1 / 3), (lg.float64, 1 / 3)):
        weight = lg.nn.Parameter(lg.ones(2, dtype=dtype))
        optimizer = SGD([weight], lr=1.0)
        scaler = GradScaler(init_scale=1024.0)
        scaler.scale((weight * exact).sum()).backward()
        scaler.unscale_(optimizer)
        assert weight.grad is not None
        assert weight.grad.dtype is dtype
        numpy.testing.assert_allclose(weight.grad.float().numpy(), exact, rtol=1e-6)


def test_only_optimizers_with_a_step_of_their_own_are_not_called():
    class Counting(SGD):
        calls = 0

        def step(self, closure: Any = None) -> Any:
            self.calls += 1
            return super().step(closure)

    weight = lg.nn.Parameter(lg.ones(2))
    optimizer = Counting([weight], lr=0.5)
    scaler = GradScaler(init_scale=2.0)
    for factor in (math.inf, 1.0, math.nan):
        scaled_step(scaler, optimizer, weight, factor)
    assert optimizer.calls == 1
    assert weight.detach().tolist() == [0.5, 0.5]


def test_state_that_cannot_be_unmade_is_refused():
    class Careless(Optimizer):
        def _update(self, group: Any, gradients: Any, arguments: Any) -> None:
            for parameter, gradient in gradients.items():
                self.state[parameter]["total"] = gradient.clone()

    weight = lg.nn.Parameter(lg.ones(2))
    with pytest.raises(RuntimeError, match="the first step made the state 'total'"):
        scaled_step(GradScaler(), Careless([weight], {}), weight, 1.0)


# ---- nothing waits


@pytest.mark.parametrize("make", [lambda p: AdamW(p, lr=0.01), lambda p: SGD(p, lr=0.01, momentum=0.9)])
def test_the_loop_neither_waits_nor_compiles(compiled_device, make):
    lg.set_default_device(compiled_device)
    net = lg.nn.Sequential(lg.nn.Linear(6, 8), lg.nn.ReLU(), lg.nn.Linear(8, 2))
    optimizer = make(net.parameters())
    scaler = GradScaler(init_scale=2.0**30, growth_interval=3)
    inputs, targets = lg.rand(5, 6), lg.rand(5, 2)
    lg.realize(inputs, targets)

    def step() -> None:
        optimizer.zero_grad()
        with lg.autocast(dtype=lg.float16):
            loss = lg.nn.functional.mse_loss(net(inputs), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    step()
    with statistics.counting() as counted:
        for _ in range(8):
            step()
    assert counted.device_to_host_transfers == 0
    assert counted.schedules_made == 0
    assert counted.kernels_built + counted.kernels_loaded == 0
    assert scaler.get_scale() < 2.0**30


# ---- the scale


def test_the_scale_grows_after_steps_without_overflow_but_not_to_infinity():
    weight = lg.nn.Parameter(lg.zeros(1))
    optimizer = SGD([weight], lr=0.0)
    scaler = GradScaler(init_scale=2.0**126, growth_factor=4.0, backoff_factor=0.25, growth_interval=2)
    scales = []
    for factor in (0.0, 0.0, 0.0, math.inf, 0.0, 0.0):
        scaled_step(scaler, optimizer, weight, factor)
        scales.append(scaler.get_scale())
    assert scales == [2.0**126, 2.0**126, 2.0**126, 2.0**124, 2.0**124, 2.0**126]


def test_an_overflow_of_one_optimizer_skips_its_step_only():
    first, second = (lg.nn.Parameter(lg.ones(1)) for _ in range(2))
    optimizers = SGD([first], lr=1.0), SGD([second], lr=1.0)
    scaler = GradScaler(init_scale=8.0)
    losses = scaler.scale([(first * math.inf).sum(), (second * 3.0).sum()])
    assert isinstance(losses, list)
    for loss, optimizer in zip(losses, optimizers, strict=True):
        loss.backward()
        scaler.step(optimizer)
    scaler.update()
    assert (first.item(), second.item(), scaler.get_scale()) == (1.0, -2.0, 4.0)


def test_a_new_scale_may_be_given():
    scaler = GradScaler(init_scale=8.0)
    assert scaler.scale(lg.ones(1)).item() == 8.0
    scaler.update(32.0)
    assert scaler.get_scale() == 32.0
    scaler.update(lg.tensor([4.0]))
    nested = scaler.scale((lg.ones(1), [lg.ones(1)]))
    assert isinstance(nested, tuple)
    assert nested[1][0].item() == 4.0
    assert [t.item() for t in scaler.scale(iter([lg.ones(1)]))] == [4.0]


def test_a_half_loss_stays_half():
    assert GradScaler(init_scale=8.0).scale(lg.ones(1, dtype=lg.float16)).dtype is lg.float16


def test_state_is_torchs():
    weight = lg.nn.Parameter(lg.ones(1))
    optimizer = SGD([weight], lr=0.0)
    scaler = GradScaler(init_scale=8.0, growth_interval=5)
    for factor in (1.0, math.inf, 1.0, 1.0):
        scaled_step(scaler, optimizer, weight, factor)
    state = scaler.state_dict()
    expected = {"scale": 4.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 5, "_growth_tracker": 2}
    assert state == expected
    resumed = GradScaler()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    for _ in range(3):
        scaled_step(resumed, optimizer, weight, 1.0)
    assert resumed.get_scale() == 8.0
    assert pickle.loads(pickle.dumps(resumed)).state_dict() == resumed.state_dict()


def test_state_of_torchs_scaler_is_taken_over():
    torch = pytest.importorskip("torch")
    theirs = torch.amp.GradScaler("cpu", init_scale=32.0, growth_interval=7)
    ours = GradScaler()
    ours.load_state_dict(theirs.state_dict())
    assert ours.state_dict() == theirs.state_dict()
    theirs.load_state_dict(ours.state_dict())


def test_options_can_be_read_and_set():
    scaler = GradScaler(init_scale=3.0)
    assert (scaler.get_scale(), scaler.is_enabled()) == (3.0, True)
    scaler.set_growth_factor(3.0)
    scaler.set_backoff_factor(0.1)
    scaler.set_growth_interval(9)
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) == (3.0, 0.1, 9)


# ---- misuse


def test_disabled_it_does_nothing():
    weight = lg.nn.Parameter(lg.ones(1))
    scaler = GradScaler(enabled=False)
    scaled_step(scaler, SGD([weight], lr=1.0), weight, 0.5)
    assert weight.item() == 0.5
    assert (scaler.get_scale(), scaler.state_dict(), scaler.is_enabled()) == (1.0, {}, False)
    scaler.load_state_dict({})
    if not lg.amp.is_autocast_available("cuda"):
        with pytest.warns(UserWarning, match="GradScaler for 'cuda', but no such device can be used"):
            assert not GradScaler("cuda").is_enabled()


def test_calls_in_the_wrong_order():
    weight = lg.nn.Parameter(lg.ones(1))
    optimizer = SGD([weight], lr=1.0)
    scaler = GradScaler()
    with pytest.raises(AssertionError, match="Attempted step but _scale is None"):
        scaler.step(optimizer)
    loss = scaler.scale(weight.sum())
    with pytest.raises(AssertionError, match="No inf checks were recorded for this optimizer"):
        scaler.step(optimizer)
    with pytest.raises(AssertionError, match="No inf checks were recorded prior to update"):
        scaler.update()
    loss.backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="has already been called on this optimizer since the last update"):
        scaler.unscale_(optimizer)
    with pytest.raises(AssertionError, match="between update"):
        pickle.dumps(scaler)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="step\\(\\) has already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="is being called after step"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="Closure use is not currently supported"):
        scaler.step(optimizer, closure=lambda: None)


def test_what_cannot_be_scaled():
    half = lg.nn.Parameter(lg.ones(1, dtype=lg.float16))
    scaler = GradScaler(init_scale=2.0)
    scaler.scale(half.sum()).backward()
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.unscale_(SGD([half], lr=1.0))
    with pytest.raises(ValueError, match="must be a Tensor or an iterable of Tensors"):
        scaler.scale(3.0)
    with pytest.raises(AssertionError, match="growth factor must be > 1"):
        GradScaler(growth_factor=1.0)
    with pytest.raises(AssertionError, match="backoff factor must be < 1"):
        GradScaler(backoff_factor=1.0)
    with pytest.raises(RuntimeError, match="source state dict is empty"):
        scaler.load_state_dict({})
