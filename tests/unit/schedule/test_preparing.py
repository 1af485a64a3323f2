"""Schedules in two parts: what depends on steady leaves alone is a part of its own, and both compute what the whole does."""

from itertools import combinations

import numpy
import pytest

from lazygrad import ops
from lazygrad.ir.dtype import float32
from lazygrad.ir.layout import row_major
from lazygrad.schedule import LeafSlot
from lazygrad.schedule.plan import plan
from lazygrad.schedule.preparing import divide
from unit.schedule.interpreted import CPU, reference, run, schedule_of

NUMBERS = numpy.random.default_rng(7)


def leaf(*shape):
    return ops.placeholder(shape, float32, "numpy:0")


def arrays_of(leaves):
    return [NUMBERS.normal(size=each.shape).astype(numpy.float32) for each in leaves]


def linear(x, weight):
    """Products with rows of a weight, which is packed for it."""
    return ops.contract(x, (0, 2), weight, (1, 2), (0, 1))


def column(of, rows):
    return ops.expand(ops.reshape(of, (1, *of.shape)), (rows, *of.shape))


def perceptron(x, first, second, variance):
    """Two layers, with a scale between them that is computed from a vector."""
    hidden = ops.tanh(linear(x, first))
    scaled = ops.mul(hidden, column(ops.rsqrt(ops.sum_(ops.mul(variance, variance), (0,))), x.shape[0]))
    return [linear(scaled, second)]


def network():
    leaves = [leaf(64, 48), leaf(56, 48), leaf(40, 56), leaf(9, 56)]
    return leaves, perceptron(*leaves)


def names(schedule):
    return [scheduled.kernel.name for scheduled in schedule.kernels]


def run_divided(division, arrays):
    return run(division.rest, [*arrays, *run_raw(division.preparation, arrays)])


def run_raw(schedule, arrays):
    """The memory of the roots as it lies."""
    from lazygrad.kernel.interpret import interpret

    memory = [numpy.array(each).reshape(-1) for each in arrays]
    memory += [numpy.full(slot.size, 0xFF, numpy.uint8).view(slot.dtype.numpy) for slot in schedule.slots]
    for scheduled in schedule.kernels:
        interpret(scheduled.kernel, [memory[slot] for slot in scheduled.slots])
    return [memory[root] for root in schedule.roots]


def test_weights_and_what_is_folded_are_prepared():
    leaves, roots = network()
    whole = schedule_of(roots, leaves)
    assert names(whole).count("pack") == 2
    division = divide(whole, {1, 2, 3})
    assert sorted(names(division.preparation)) == sorted(["pack", "pack", *set(names(whole)) & {"mul_sum_rsqrt"}])
    assert "pack" not in names(division.rest)
    assert len(division.prepared) + len(division.remaining) == len(whole.kernels)
    arrays = arrays_of(leaves)
    (got,), (whole_got,) = run_divided(division, arrays), run(whole, arrays)
    numpy.testing.assert_array_equal(got, whole_got)
    numpy.testing.assert_allclose(got, reference(roots, leaves, arrays)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", range(1, 4))
def test_any_leaves_may_stay(count):
    leaves, roots = network()
    whole = schedule_of(roots, leaves)
    arrays = arrays_of(leaves)
    (want,) = run(whole, arrays)
    for steady in combinations(range(len(leaves)), count):
        division = divide(whole, set(steady))
        if division is not None:
            assert len(division.rest.kernels) < len(whole.kernels)
            assert {slot for each in division.preparation.kernels for slot in each.slots if slot < 4} <= set(steady)
            numpy.testing.assert_array_equal(run_divided(division, arrays)[0], want)


def test_nothing_is_prepared_where_everything_stays_or_nothing():
    leaves, roots = network()
    whole = schedule_of(roots, leaves)
    assert divide(whole, frozenset(range(len(leaves)))) is None
    assert divide(whole, frozenset()) is None
    assert divide(whole, {0}) is None or "pack" not in names(divide(whole, {0}).preparation)


def test_numbers_that_are_passed_at_launch_are_no_part_of_it():
    x, weight = leaf(64, 48), leaf(56, 48)
    rate = ops.argument(0.5, float32, "numpy:0")
    scaled = ops.leaf(ops.mul(weight, ops.expand(ops.reshape(rate, (1, 1)), weight.shape)))
    slots = {each: LeafSlot(row_major(each.shape)) for each in (x, weight)}
    whole = plan([linear(x, scaled), scaled], slots, [rate], CPU, 64)
    assert any(scheduled.scalars for scheduled in whole.kernels)
    assert divide(whole, {1}) is None


def test_results_are_made_by_every_run():
    x, weight = leaf(64, 48), leaf(56, 48)
    moved = ops.leaf(ops.permute(weight, (1, 0)))
    roots = [ops.contract(x, (0, 1), moved, (1, 2), (0, 2)), moved]
    whole = schedule_of(roots, [x, weight])
    arrays = arrays_of([x, weight])
    division = divide(whole, {1})
    if division is not None:
        for got, want in zip(run_divided(division, arrays), run(whole, arrays), strict=True):
            numpy.testing.assert_array_equal(got, want)
        assert not set(division.preparation.roots) & set(whole.roots)


def test_what_is_large_is_computed_again():
    few, many = leaf(64, 1), leaf(64, 48)
    table = ops.leaf(ops.exp(ops.expand(few, (64, 512))))
    looked_up = ops.contract(many, (0, 1), table, (0, 2), (1, 2))
    whole = schedule_of([looked_up], [few, many])
    assert divide(whole, {0}) is None
