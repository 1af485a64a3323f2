"""What a compiled step will need is known before it runs."""

import pytest

import lazygrad as lg
from lazygrad import memory

DEVICE = "opencl:0"


@pytest.fixture(autouse=True)
def on_opencl():
    lg.set_default_device(DEVICE)
    yield
    lg.set_default_device(None)


def training(width=96, layers=6):
    model = lg.nn.Sequential(*[m for _ in range(layers) for m in (lg.nn.Linear(width, width), lg.nn.Tanh())])
    optimizer = lg.optim.Adam(model.parameters(), lr=0.01)

    @lg.compile
    def step(x):
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def test_the_peak_is_known_before_the_step_runs():
    step = training()
    x = lg.rand(256, 96).realize()
    report = step.memory(x)
    assert not step.explain().variants[0].why.startswith("argument")
    live = memory.statistics().live
    assert report.live == live
    for _ in range(2):
        memory.reset_peak()
        loss = step(x)
        measured = memory.statistics().peak
        assert abs(report.peak - measured) <= 0.03 * measured
        assert loss.item() > 0
    assert len(step.explain().variants) == 1
    assert "at the peak" in str(report)


def test_lines_are_named():
    step = training(layers=2)
    x = lg.rand(512, 96).realize()
    report = step.memory(x)
    assert report.lines[0][1] > 0
    assert "model(x)" in report.lines[0][0] or "backward" in report.lines[0][0]
    big = lg.zeros(1000, 1000).realize()
    (line,) = [holder for holder in memory.holders() if "lg.zeros(1000, 1000)" in holder.line]
    assert line.size >= big.nbytes
    assert "lg.zeros(1000, 1000)" in memory.summary()


def test_peak_cached_and_live():
    memory.reset_peak()
    before = memory.statistics().live
    x = lg.ones(1 << 20).realize()
    assert memory.statistics().live >= before + x.nbytes
    del x
    found = memory.statistics()
    assert found.live == before
    assert found.peak >= before + (4 << 20)
    assert found.cached >= 4 << 20
    memory.empty_cache()
    assert memory.statistics().cached == 0


def test_updates_happen_in_place():
    step = training()
    x = lg.rand(256, 96).realize()
    step(x)
    live = memory.statistics().live
    memory.reset_peak()
    step(x)
    report = step.memory(x)
    # The loss, and what a row kernel updates: the matrices take the memory of what they replace.
    assert report.results < live // 100
    assert memory.statistics().live <= live + 1024
