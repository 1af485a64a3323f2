"""Training loops keep memory, nodes and compiled programs flat."""

import gc
import os
from pathlib import Path

import numpy
import pytest

import lazygrad as lg
from lazygrad.ir.node import live_nodes

STATM = Path("/proc/self/statm")
DESCRIPTORS = Path("/proc/self/fd")
STEPS = 2_000
WARM_UP = 200


def resident_bytes():
    """What the process holds in memory now (Linux)."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(600)
@pytest.mark.skipif(not STATM.exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_training_steps_keep_memory_flat(device, optimizer):
    if optimizer == "Adam" and device != "numpy:0":
        pytest.skip("one optimizer suffices where steps are compiled")
    lg.manual_seed(0)
    model = lg.nn.Sequential(lg.nn.Linear(8, 16), lg.nn.ReLU(), lg.nn.Linear(16, 1)).to(device)
    optimizer = getattr(lg.optim, optimizer)(model.parameters(), lr=1e-3)
    generator = numpy.random.default_rng(0)
    inputs = lg.tensor(generator.standard_normal((256, 8)), dtype=lg.float32, device=device)
    targets = inputs.sum(1, keepdim=True)
    marks = []
    losses = []
    for step in range(STEPS):
        start = step % 8 * 32
        optimizer.zero_grad()
        loss = lg.nn.functional.mse_loss(model(inputs[start : start + 32]), targets[start : start + 32])
        loss.backward()
        optimizer.step()
        if step % WARM_UP == WARM_UP - 1:
            losses.append(loss.item())
            del loss
            gc.collect()
            marks.append((resident_bytes(), live_nodes()))
    assert losses[-1] < losses[0] / 2
    (first_bytes, first_nodes), (last_bytes, last_nodes) = marks[1], marks[-1]
    assert last_nodes <= first_nodes + 50
    assert last_bytes - first_bytes < 16 * 2**20


@pytest.mark.timeout(600)
@pytest.mark.skipif(not STATM.exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("steps", [600, pytest.param(20_000, marks=pytest.mark.exhaustive)])
def test_replayed_steps_keep_memory_and_descriptors_flat(native_device, steps):
    """Of a perceptron, with Adam; what a step needs is there after the first of them."""
    lg.manual_seed(0)
    hidden = [lg.nn.Linear(64, 32), lg.nn.ReLU(), lg.nn.Linear(32, 32), lg.nn.ReLU()]
    model = lg.nn.Sequential(*hidden, lg.nn.Linear(32, 10)).to(native_device)
    optimizer = lg.optim.Adam(model.parameters(), lr=1e-3)
    generator = numpy.random.default_rng(0)
    inputs = lg.tensor(generator.standard_normal((128, 64)), dtype=lg.float32, device=native_device)
    labels = lg.tensor(generator.integers(0, 10, 128), device=native_device)

    @lg.compile
    def step(inputs, labels):
        optimizer.zero_grad()
        loss = lg.nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss

    marks = []
    losses = []
    every = steps // 10
    for number in range(steps):
        start = number % 8 * 16  # a part of a larger tensor, as of a data set
        loss = step(inputs[start : start + 16], labels[start : start + 16])
        if number % every == every - 1:
            losses.append(loss.item())
            del loss
            gc.collect()
            pool = lg.memory.statistics(native_device)
            counts = live_nodes(), len(list(DESCRIPTORS.iterdir())), pool.live, pool.peak, pool.allocations
            marks.append((resident_bytes(), counts))
    assert len(step.explain().variants) == 1
    assert losses[-1] < losses[0]
    (first_bytes, first_counts), (last_bytes, last_counts) = marks[1], marks[-1]
    assert last_counts == first_counts
    assert last_bytes - first_bytes < 4 * 2**20


def test_a_loop_that_only_adds_flushes_itself(device):
    total = lg.zeros(4, device=device)
    for _ in range(12_000):
        total = total + 1
    assert live_nodes() < 100_000
    assert total.numpy().tolist() == [12_000.0] * 4


def test_results_are_freed(device):
    gc.collect()
    before = live_nodes()
    for _ in range(50):
        x = lg.rand(64, 64, device=device)
        (x @ x).sum().item()
    del x
    gc.collect()
    assert live_nodes() <= before + 20
