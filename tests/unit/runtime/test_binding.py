"""A batch hears of what is different from the last run, and of nothing else."""

import math

import pytest

from lazygrad import ops
from lazygrad.ir.dtype import float32
from lazygrad.ir.layout import row_major
from lazygrad.kernel.machine import Machine
from lazygrad.runtime.binding import Binding
from lazygrad.runtime.buffer import Allocation, Buffer, overwrite_all
from lazygrad.schedule import LeafSlot
from lazygrad.schedule.memory import plan_memory
from lazygrad.schedule.plan import plan

SIZE = 8


class Heard:
    """A batch that notes what it is told."""

    def __init__(self):
        self.all = []

    def put(self, launch, position, memory):
        self.all.append(memory)

    def set(self, launch, position, number):
        self.all.append(number)

    def take(self):
        heard, self.all = self.all, []
        return heard


@pytest.fixture
def binding():
    """Of x * scale + shift, in the memory of x."""
    x = ops.placeholder((SIZE,), float32, "numpy")
    scale, shift = (ops.argument(0, float32, "numpy") for _ in range(2))
    spread = [ops.expand(ops.reshape(number, (1,)), (SIZE,)) for number in (scale, shift)]
    root = ops.add(ops.mul(x, spread[0]), spread[1])
    made = plan([root], {x: LeafSlot(row_major((SIZE,)))}, [scale, shift], Machine("cpu", cores=2), 64)
    return Binding(made, plan_memory(made, frozenset({0}), 64), Heard())


def leaf(memory):
    return Buffer(Allocation(memory, 4 * SIZE), (SIZE,), float32, "numpy", row_major((SIZE,)))


def test_numbers(binding):
    binding.set_numbers([2.0, 3.0])
    assert binding.batch.take() == [2.0, 3.0]
    binding.set_numbers([2.0, 3.0])
    assert binding.batch.take() == []
    binding.set_numbers([2.0, 4.0])
    assert binding.batch.take() == [4.0]
    binding.set_numbers([0.0, 4.0])
    binding.batch.take()
    binding.set_numbers([-0.0, 4.0])
    (zero,) = binding.batch.take()
    assert math.copysign(1, zero) == -1


def test_leaves_and_what_takes_their_memory(binding):
    first = leaf("first")
    binding.put([first], {}, token := object())
    assert binding.batch.take() == ["first", "first"]
    binding.put_leaves([(0, first)])
    assert binding.batch.take() == []
    binding.put_leaves([(0, leaf("second"))])
    assert binding.batch.take() == ["second", "second"]
    assert binding.token is token
    binding.put([first], {})
    assert binding.batch.take() == ["first", "first"]
    assert binding.token is None


def test_all_that_is_overwritten_has_new_contents():
    allocations = [Allocation(None, 256) for _ in range(3)]
    before = [each.contents for each in allocations]
    allocations[1].derive("what", leaf("derived"), most=1)
    overwrite_all(allocations)
    after = [each.contents for each in allocations]
    assert len({*before, *after}) == 6
    assert all(each.derived is None for each in allocations)
