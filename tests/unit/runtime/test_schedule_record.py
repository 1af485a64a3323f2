"""Schedules as bytes: equal to what was planned, without bodies until they are asked for, with this process's lines."""

from __future__ import annotations

import pickle

import pytest

import lazygrad as lg
from lazygrad.kernel.kernel import Kernel
from lazygrad.kernel.machine import Machine
from lazygrad.runtime.recalled_kernel import RecalledKernel
from lazygrad.runtime.schedule_record import read_record, write_record
from lazygrad.runtime.structure import abstract, linearize
from lazygrad.schedule.plan import plan

MACHINE = Machine("cpu", 2)


def planned():
    """A training step with leaves, arguments, a window and several kernels."""
    x = lg.rand(8, 3, 10, 10)
    w = lg.rand(4, 3, 3, 3, requires_grad=True)
    b = lg.rand(3, 4)
    lg.realize(x, w, b)
    loss = lg.nn.functional.conv2d(x[2:6], w, padding=1).relu().mean()
    loss.backward()
    new = w.detach() - lg.argument(0.1) * w.grad
    structure = linearize([loss._node, new._node, b[1:].sum(1)._node])
    graph = abstract(structure, "numpy:0")
    return structure, plan(graph.roots, graph.leaves, graph.arguments, MACHINE, 64)


@pytest.fixture(scope="module")
def both():
    structure, schedule = planned()
    data = write_record(schedule, lambda position: ["program", position], structure.order, [["premise", 1]])
    return structure, schedule, read_record(data, structure.order)


def test_everything_comes_back(both):
    structure, schedule, found = both
    again = found.schedule
    for name in ("leaves", "slots", "roots", "last_use", "leaf_sizes"):
        assert getattr(again, name) == getattr(schedule, name)
    assert len(again.kernels) == len(schedule.kernels) > 2
    for old, new in zip(schedule.kernels, again.kernels, strict=True):
        assert (new.slots, new.scalars, new.in_place) == (old.slots, old.scalars, old.in_place)
    # What the scheduler itself has made has the line that asked for the results.
    asked = str(structure.order[-1].place)
    lines = [(str(new.place), str(old.place)) for old, new in zip(schedule.kernels, again.kernels, strict=True)]
    assert all(new in (old, asked) for new, old in lines)
    assert sum(new == old for new, old in lines) > len(lines) / 2
    assert any(each.in_place for each in again.kernels)
    assert any(each.scalars for each in again.kernels)
    assert any(buffer.movable for each in again.kernels for buffer in each.kernel.buffers)
    assert found.premises == [["premise", 1]]
    assert [found.programs[number] for number in found.numbers] == [["program", n] for n in found.numbers]


def test_bodies_come_when_they_are_asked_for(both):
    structure, schedule, _ = both
    again = read_record(write_record(schedule, lambda position: None, structure.order), structure.order).schedule
    kernels = [each.kernel for each in again.kernels]
    assert all(type(kernel) is RecalledKernel and "bodies" not in vars(kernel) for kernel in kernels)
    assert [kernel.buffers for kernel in kernels] == [each.kernel.buffers for each in schedule.kernels]
    assert all("bodies" not in vars(kernel) for kernel in kernels)
    for new, old in zip(kernels, schedule.kernels, strict=True):
        assert new.bodies == old.kernel.bodies
        assert type(new) is Kernel
        assert new == old.kernel
        assert hash(new) == hash(old.kernel)


def test_a_recalled_kernel_travels_as_an_ordinary_one(both):
    structure, schedule, _ = both
    again = read_record(write_record(schedule, lambda position: None, structure.order), structure.order).schedule
    assert pickle.loads(pickle.dumps(again.kernels[0].kernel)) == schedule.kernels[0].kernel
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = again.kernels[1].kernel.nonsense


def test_places_are_lines_of_the_process_that_reads(both):
    structure, schedule, _ = both
    other, _ = planned()
    found = read_record(write_record(schedule, lambda position: None, structure.order), other.order).schedule
    places = {str(each.place) for each in found.kernels}
    assert len(places) > 1
    own = {id(node.place) for node in other.order}
    assert all(id(each.place) in own for each in found.kernels)
