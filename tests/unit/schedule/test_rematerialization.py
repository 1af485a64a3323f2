"""Budgets of memory: kernels run again until the program fits, and nothing changes to the last bit."""

import numpy
import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import float32
from lazygrad.schedule.budget import Budget, MemoryBudgetError
from lazygrad.schedule.memory import plan_memory
from lazygrad.schedule.rematerialization import within_budget
from unit.schedule.interpreted import ALIGNMENT, run, schedule_of

LAYERS, ROWS, WIDTH = 10, 128, 32
NOTHING: frozenset[int] = frozenset()


def network():
    """The gradients of a deep network by its weights, and its leaves."""
    x = ops.placeholder((ROWS, WIDTH), float32, "numpy:0")
    weights = [ops.leaf(ops.placeholder((WIDTH, WIDTH), float32, "numpy:0")) for _ in range(LAYERS)]
    current = x
    for weight in weights:
        current = ops.tanh(ops.contract(current, (0, 1), weight, (1, 2), (0, 2)))
    loss = ops.sum_(ops.mul(current, current), (0, 1))
    gradients = vjp([loss], [ops.constant(1, (), float32, "numpy:0")], weights)
    return [loss, *gradients], [x, *(weight.inputs[0] for weight in weights)]


@pytest.fixture(scope="module")
def schedule():
    return schedule_of(*network())


def needed(made):
    """Leaves, results and arena, in bytes."""
    results = sum(made.slots[root - made.leaves].size for root in made.roots)
    return sum(made.leaf_sizes) + results + plan_memory(made, NOTHING, ALIGNMENT).arena


def fitted(schedule, size):
    return within_budget(schedule, Budget(size, NOTHING), ALIGNMENT)


def numbers(schedule):
    generator = numpy.random.default_rng(3)
    shapes = [(ROWS, WIDTH), *[(WIDTH, WIDTH)] * LAYERS]
    return run(schedule, [(0.4 * generator.standard_normal(shape)).astype(numpy.float32) for shape in shapes])


def minimum(schedule):
    with pytest.raises(MemoryBudgetError) as caught:
        fitted(schedule, 1)
    assert isinstance(caught.value, MemoryError)
    return caught.value.minimum


def test_what_fits_stays_as_it_is(schedule):
    assert fitted(schedule, needed(schedule)) is schedule


@pytest.mark.parametrize("part", [0.9, 0.7])
def test_a_part_of_the_peak_is_enough(schedule, part):
    budget = int(part * needed(schedule))
    made = fitted(schedule, budget)
    assert needed(made) <= budget
    assert len(schedule.kernels) < len(made.kernels) < 2 * len(schedule.kernels)
    assert {k.kernel for k in made.kernels} == {k.kernel for k in schedule.kernels}
    for ours, theirs in zip(numbers(made), numbers(schedule), strict=True):
        numpy.testing.assert_array_equal(ours, theirs)


def test_the_minimum_that_an_error_names_is_enough_and_less_is_not(schedule):
    least = minimum(schedule)
    assert least < 0.65 * needed(schedule)
    made = fitted(schedule, least)
    assert needed(made) <= least
    for ours, theirs in zip(numbers(made), numbers(schedule), strict=True):
        numpy.testing.assert_array_equal(ours, theirs)
    with pytest.raises(MemoryBudgetError, match=f"budget is {least - 1} bytes, but the least .* is {least} bytes"):
        fitted(schedule, least - 1)


def test_the_same_budget_gives_the_same_schedule(schedule):
    budget = int(0.7 * needed(schedule))
    assert fitted(schedule, budget) == fitted(schedule, budget)


def test_every_kernel_comes_after_those_it_reads_from(schedule):
    made = fitted(schedule, minimum(schedule))
    written = set(range(made.leaves))
    for kernel in made.kernels:
        for slot, declared in zip(kernel.slots, kernel.kernel.buffers, strict=True):
            if declared.written:
                assert slot not in written
            else:
                assert slot in written
        written |= {s for s, d in zip(kernel.slots, kernel.kernel.buffers, strict=True) if d.written}
    for slot, last in enumerate(made.last_use):
        assert last == max(p for p, k in enumerate(made.kernels) if slot + made.leaves in k.slots)
