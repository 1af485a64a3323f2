"""Launches submitted as one: the same results, whatever changes from one submission to the next."""

from __future__ import annotations

from itertools import pairwise

import numpy
import pytest

import lazygrad as lg
from backends.opencl.chains import GROUPS, KERNELS, SIZE, Chain, X, scaling_device
from lazygrad.ir.dtype import float32
from lazygrad.runtime import profile, statistics
from lazygrad_opencl import task_list
from lazygrad_opencl.entry import IN_MEMORY
from lazygrad_opencl.task_list import TaskList

pytestmark = pytest.mark.usefixtures("fresh_cache")


def test_what_changes_between_submissions_is_seen(opened):
    chain = Chain(opened)
    for number in range(5):
        numpy.testing.assert_array_equal(chain.result(X + number), X + number + 10)
    chain.batch.set(3, 1, -2.0)
    for _ in range(2):
        numpy.testing.assert_array_equal(chain.result(X), expected(X, -2.0))
    chain.batch.set(3, 1, 1.0)
    larger = numpy.arange(3 * SIZE, dtype=numpy.float32)
    chain.batch.set(0, 0, 2 * SIZE)
    numpy.testing.assert_array_equal(chain.result(larger), larger[2 * SIZE :] + 10)


def expected(x, factor):
    """Ten launches, of which the fourth multiplies."""
    for number in range(10):
        x = x[::-1] * (factor if number == 3 else 1) + 1
    return x


def test_one_launch_for_all(opened, monkeypatch):
    chain = Chain(opened)
    chain.result(X)
    submitted = []
    monkeypatch.setattr(opened, "submitted", lambda *arguments: pytest.fail("a launch of its own"))
    post = opened.post
    monkeypatch.setattr(opened, "post", lambda poster, names: submitted.append(names) or post(poster, names))
    with statistics.counting() as counted:
        chain.result(X)
        chain.result(X)
    assert [len(names) for names in submitted] == [10, 10]
    assert counted.kernels_launched == 20
    assert chain.batch.submitted == 10


def test_many_submissions_without_waiting(opened):
    chain = Chain(opened)
    for _ in range(2):
        chain.result(X)
    for number in range(50):
        chain.batch.set(0, 1, float(number))
        chain.batch.submit()
    numpy.testing.assert_array_equal(opened.to_host(chain.buffers[-1]), X * 49 + 10)


def test_scratch_memory_may_grow_between(opened):
    chain = Chain(opened)
    for size in (0, 1 << 16, 1 << 20):
        opened.reserve_scratch(size)
        for _ in range(2):
            numpy.testing.assert_array_equal(chain.result(X), X + 10)


def test_launches_wait_for_what_they_are_told_to(opened):
    """Two chains in one batch, of which the launches of one wait for those of the other where they must."""
    programs = opened.compile([KERNELS[0]] * 8)
    waits = [0, 0, 1, 2, 3, 4, 5, 6]
    batch = opened.batch(programs, lambda: waits)
    buffers = [opened.from_host(X, float32) for _ in range(10)]
    for launch in range(8):
        batch.put(launch, 0, buffers[launch].allocation.memory)
        batch.put(launch, 1, buffers[launch + 2].allocation.memory)
        batch.set(launch, 1, 1.0)
    for _ in range(20):
        batch.submit()
    for buffer in buffers[-2:]:
        numpy.testing.assert_array_equal(opened.to_host(buffer), X + 4)


@pytest.mark.parametrize("why", ["no runner", "no library", "refused"])
def test_launches_one_by_one_where_it_cannot_be(opened, monkeypatch, why):
    if why == "no runner":
        monkeypatch.setattr(opened._builder, "runner", lambda home: 0)
    elif why == "no library":
        monkeypatch.setattr(opened.loaded_code, "keep", lambda kernel: False)
    else:
        monkeypatch.setattr(task_list, "SOURCE", "not a kernel")
    monkeypatch.setattr(opened, "post", lambda *arguments: pytest.fail("a list"))
    chain = Chain(opened)
    for _ in range(3):
        numpy.testing.assert_array_equal(chain.result(X), X + 10)


def test_an_entry_runs_functions_with_arguments_in_memory(opened):
    """Without a list, so that it is known who is to blame."""
    import pyopencl

    from lazygrad_opencl.machine_code import entry

    (program,) = opened.compile(KERNELS[:1])
    read, written = opened.from_host(X, float32), opened.from_host(X, float32)
    words = numpy.zeros(4, numpy.uint64)
    words[:3] = [read.allocation.memory.address, written.allocation.memory.address, 0]
    words[3:].view(numpy.float32)[0] = 3.0
    home = program.home
    run = entry(
        opened._builder._programs[home.program], home.kernel, home.pointers, home.words, IN_MEMORY + home.number
    )
    arguments = pyopencl.Buffer(opened._context, pyopencl.mem_flags.COPY_HOST_PTR, hostbuf=words)
    run.set_arg(1, arguments)
    pyopencl.enqueue_nd_range_kernel(opened.queue, run, (GROUPS,), (1,))
    numpy.testing.assert_array_equal(opened.to_host(written), X[::-1] * 3 + 1)


def test_a_profile_tells_of_each_kernel(opened, monkeypatch):
    monkeypatch.setattr(profile, "is_wanted", lambda: True)
    monkeypatch.setattr(profile, "at_exit", lambda *arguments: None)
    chain = Chain(scaling_device(monkeypatch))
    for _ in range(3):
        chain.device.synchronize()
        chain.device.profile.runs.clear()
        chain.result(X)
    chain.device.synchronize()
    runs = chain.device.profile.runs
    assert [run.kernel for run in runs] == [program.name for program in chain.batch._programs]
    for before, after in pairwise(runs):
        assert before.start <= before.end <= after.start <= after.end


def test_training_is_the_same_as_one_by_one(monkeypatch):
    """A real step: all of its launches, their order and their places."""

    def losses(one_by_one):
        if one_by_one:
            monkeypatch.setattr(TaskList, "_written", lambda self: None)
        lg.manual_seed(5)
        model = lg.nn.Sequential(
            lg.nn.Conv2d(3, 16, 3, padding=1), lg.nn.BatchNorm2d(16), lg.nn.ReLU(), lg.nn.Conv2d(16, 8, 3, stride=2),
            lg.nn.Flatten(), lg.nn.Linear(8 * 7 * 7, 10),
        )  # fmt: skip
        optimizer = lg.optim.Adam(model.parameters(), lr=0.01)

        @lg.compile
        def step(x, y):
            optimizer.zero_grad()
            loss = lg.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        x, y = lg.rand(8, 3, 16, 16), lg.arange(8)
        return [step(x, y).item() for _ in range(6)]

    lg.set_default_device("opencl:0")
    try:
        assert losses(False) == losses(True)
    finally:
        lg.set_default_device(None)


def test_what_runs_lists_is_compiled_with_the_kernels(opened, monkeypatch):
    with statistics.counting() as counted:
        opened.compile(KERNELS)
    assert (counted.programs_built, counted.kernels_built) == (1, 2)
    monkeypatch.setattr(opened._builder, "_build_group", lambda group: pytest.fail("compiled by itself"))
    opened.team()
    assert opened._builder.home(opened._team_function).number == 2
