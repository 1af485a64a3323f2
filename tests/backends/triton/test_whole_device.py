"""Everything together but the hardware: tensors, generated code, the CUDA device, and a driver in memory.

The driver reads a launch's arguments where CUDA's would, runs work only when somebody waits for it, and runs each
function in Triton's interpreter, so order and types of arguments, offsets, copies and the reuse of memory are tested.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy
import pytest

import lazygrad as lg
from lazygrad.ir.dtype import bool_, float32, int64
from lazygrad.runtime import registry, statistics
from lazygrad.testing import conformance
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.in_memory import NAME, backend

DEVICE = f"{NAME}:0"
ROWS = [
    "a chain with shared parts", "add", "arange", "argmax", "arguments", "assignment", "batch_norm",
    "boolean mask to read", "cat", "conv2d, batch norm, relu and residual", "cross_entropy", "cumsum", "dropout",
    "embedding", "layer_norm", "matmul", "max_pool2d", "numbers beside tensors", "randn", "scatter_add", "slice",
    "softmax", "split and chunk", "to_bfloat16", "where over views",
]  # fmt: skip


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The backend's name is known, for these tests only."""
    known = {**registry._entry_points(), NAME: EntryPoint(NAME, "backends.triton.in_memory:backend", registry.GROUP)}
    monkeypatch.setattr(registry, "_entry_points", lambda: known)
    yield
    if backend.cuda.raised is not None:
        raise backend.cuda.raised


@pytest.mark.parametrize("name", ROWS)
def test_the_table(name):
    conformance.run_row(conformance.row_named(name), DEVICE, [float32, int64, bool_])


def test_a_long_epilogue_in_parts():
    """A tile's columns are taken in parts, the last of them masked."""
    generator = numpy.random.default_rng(0)
    a, b, *state = (
        generator.standard_normal(shape).astype(numpy.float32) for shape in ((130, 20), (20, 250), *[(130, 250)] * 4)
    )
    x, y, *others = (lg.tensor(array, device=DEVICE) for array in (a, b, *state))
    gradient = x @ y
    mean = others[0] * 0.9 + gradient * 0.1
    square = others[1] ** 2 * 0.99 + gradient * gradient * 0.01
    results = [gradient, mean, square, others[2] - mean / ((square + 1).sqrt() + others[3].exp())]
    lg.realize(*results)
    want = a @ b
    wanted = [want, state[0] * 0.9 + want * 0.1, state[1] ** 2 * 0.99 + want * want * 0.01]
    wanted.append(state[2] - wanted[1] / (numpy.sqrt(wanted[2] + 1) + numpy.exp(state[3])))
    for got, expected in zip(results, wanted, strict=True):
        numpy.testing.assert_allclose(got.numpy(), expected, rtol=2e-5, atol=2e-5)


def training(device, steps=12):
    """A loop over slices of a batch, whose offsets are no multiples of 16; the losses and the last weights."""
    lg.manual_seed(3)
    generator = numpy.random.default_rng(0)
    inputs = lg.tensor(generator.standard_normal((100, 3)).astype(numpy.float32), device=device)
    targets = lg.tensor(generator.integers(0, 4, 100), device=device)
    model = lg.nn.Sequential(lg.nn.Linear(3, 16), lg.nn.ReLU(), lg.nn.Linear(16, 4)).to(device)
    optimizer = lg.optim.Adam(model.parameters(), lr=0.01)
    schedule = lg.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    losses = []
    for step in range(steps):
        start = step * 7 % 60
        optimizer.zero_grad()
        loss = lg.nn.functional.cross_entropy(model(inputs[start : start + 25]), targets[start : start + 25])
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses, [parameter.detach().numpy() for parameter in model.parameters()]


def test_training():
    losses, weights = training(DEVICE)
    expected_losses, expected_weights = training("numpy")
    numpy.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    for weight, expected in zip(weights, expected_weights, strict=True):
        numpy.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-5)
    assert {request.aligned for request in backend.builder.requests} == {True, False}


def test_a_step_that_is_repeated_compiles_nothing_and_takes_no_memory():
    training(DEVICE, 3)
    before = set(backend.cuda.allocations)
    with statistics.counting() as counted:
        training(DEVICE, 6)
    assert counted.kernels_launched > 30
    assert counted.kernels_built == 0
    assert len(set(backend.cuda.allocations) - before) == 0


def test_a_captured_computation_is_replayed():
    opened = registry.device(DEVICE)
    x = lg.tensor(numpy.arange(12, dtype=numpy.float32).reshape(3, 4), device=DEVICE)
    w = lg.tensor(numpy.ones((4, 2), numpy.float32), device=DEVICE)
    lg.realize(x, w)

    def compute():
        y = lg.nn.functional.softmax(x @ w, -1) * 2 + x.sum()
        lg.realize(y)
        return y

    compute()
    with opened.capture() as graph:
        y = compute()
    launched = len(backend.cuda.launches)
    new = numpy.full((3, 4), 0.25, numpy.float32)
    opened._staging.upload(x._node.result.allocation.memory.address, new.reshape(-1).view(numpy.uint8))
    graph.replay()
    numpy.testing.assert_allclose(y.numpy(), numpy.full((3, 2), 1 + 3.0), rtol=1e-6)
    assert len(backend.cuda.launches) == launched
    graph.close()
