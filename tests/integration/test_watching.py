"""LAZYGRAD_DEBUG prints what runs; LAZYGRAD_VERIFY names the first kernel that differs, and the user's line."""

from __future__ import annotations

import pytest

import lazygrad as lg
from lazygrad.runtime import watching
from lazygrad.runtime.watching import VerificationError


@pytest.fixture(autouse=True)
def on_opencl(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyopencl")
    monkeypatch.setenv("LAZYGRAD_DEVICE", "opencl")


@pytest.mark.parametrize(
    ("level", "shown", "hidden"),
    [
        ("1", ["exp", " ms ", "GB/s", "test_watching.py"], ["kernel exp", "__kernel", "%0 ="]),
        ("2", ["kernel ", "stage 0"], ["__kernel", "%0 ="]),
        ("3", ["__kernel", "reqd_work_group_size"], ["%0 ="]),
        ("4", ["%0 =", "return %", "__kernel"], []),
    ],
)
def test_each_level_shows_more(level, shown, hidden, monkeypatch, capfd):
    x = lg.rand(37)
    lg.realize(x)
    monkeypatch.setenv("LAZYGRAD_DEBUG", level)
    lg.realize(lg.exp(x) + 1)
    printed = capfd.readouterr().err
    for text in shown:
        assert text in printed
    for text in hidden:
        assert text not in printed


def test_a_watch_of_the_programs_own_sees_each_launch():
    seen = []

    class Noting:
        def before(self, scheduled, memories, offsets):
            seen.append(("before", scheduled.kernel.name))

        def after(self, scheduled, memories, numbers):
            seen.append(("after", scheduled.kernel.name))

    x = lg.rand(37)
    lg.realize(x)
    with watching.watched_by(Noting()):
        lg.realize(lg.exp(x) + 1)
    lg.realize(lg.exp(x) + 2)
    assert [when for when, _ in seen] == ["before", "after"]
    assert seen[0][1] == seen[1][1]
    assert "exp" in seen[0][1]


def test_verification_passes_what_is_right(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_VERIFY", "1")
    x = lg.rand(4, 3, 10, 10)
    w = lg.rand(8, 3, 3, 3, requires_grad=True)
    lg.nn.functional.conv2d(x, w, padding=1).relu().softmax(1).square().sum().backward()
    lg.realize(w.grad)


def test_verification_names_kernel_and_line(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_VERIFY", "1")
    meant = watching.interpret

    def other(kernel, buffers, offsets, scalars):
        meant(kernel, buffers, offsets, scalars)
        buffers[-1][...] += 1

    monkeypatch.setattr(watching, "interpret", other)
    x = lg.tensor([1.0, 2.0])
    with pytest.raises(VerificationError, match=r"kernel \w*tanh\w* wrote something else") as caught:
        (x * 3).tanh().realize()
    assert "test_watching.py" in str(caught.value)
    assert "2 of 2 elements" in str(caught.value)
    monkeypatch.setattr(watching, "interpret", meant)
    assert (x * 3).tolist() == [3.0, 6.0]  # what was made before the error is still usable


def test_replays_are_watched(monkeypatch, capfd):
    double = lg.compile(lambda x: x * 2)
    x = lg.rand(37)
    for _ in range(4):
        double(x)
    names = []

    class Noting:
        def before(self, scheduled, memories, offsets):
            names.append(scheduled.kernel.name)

        def after(self, scheduled, memories, numbers):
            pass

    with watching.watched_by(Noting()):
        double(x)
    assert len(names) == 1
    monkeypatch.setenv("LAZYGRAD_DEBUG", "1")
    double(x)  # the environment is read after it
    capfd.readouterr()
    double(x)
    assert names[0] in capfd.readouterr().err
    monkeypatch.delenv("LAZYGRAD_DEBUG")
    double(x)
    capfd.readouterr()
    double(x)
    assert not capfd.readouterr().err
    assert len(names) == 1
