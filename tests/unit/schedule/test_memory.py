"""Where values lie: lifetimes share an arena, updates happen in place, and nobody loses what is still needed."""

import numpy

from lazygrad import ops
from lazygrad.ir.dtype import float32
from lazygrad.kernel.in_place import in_place_pairs
from lazygrad.schedule.memory import plan_memory
from unit.schedule.interpreted import ALIGNMENT, check, run, schedule_of

NUMBERS = numpy.random.default_rng(5)


def leaf(*shape):
    return ops.placeholder(shape, float32, "numpy:0")


def chain(length, size=64):
    """Products one after the other, each of which is stored."""
    x, weight = leaf(size, size), leaf(size, size)
    current = x
    for _ in range(length):
        current = ops.tanh(ops.contract(current, (0, 1), weight, (1, 2), (0, 2)))
    return [x, weight], current


def test_a_chain_needs_no_more_than_a_few_of_its_values():
    leaves, last = chain(20)
    made = schedule_of([last], leaves)
    plan = plan_memory(made, frozenset(), ALIGNMENT)
    stored = sum(slot.size for slot in made.slots)
    largest = max(slot.size for slot in made.slots)
    assert plan.arena <= 3 * largest < stored


def test_slots_that_live_at_the_same_time_lie_apart():
    leaves, last = chain(12, size=40)
    made = schedule_of([last], leaves)
    plan = plan_memory(made, frozenset(), ALIGNMENT)
    first = {}
    for position, kernel in enumerate(made.kernels):
        for slot in kernel.slots:
            first.setdefault(slot - made.leaves, position)
    places = [
        (offset, offset + slot.size, first[number], made.last_use[number], number)
        for number, (slot, offset) in enumerate(zip(made.slots, plan.offsets, strict=True))
        if offset is not None
    ]
    for a in places:
        for b in places:
            if a[4] < b[4] and a[0] < b[1] and b[0] < a[1]:
                earlier, later = (a, b) if a[3] <= b[3] else (b, a)
                assert earlier[3] <= later[2]  # at most one kernel touches both: in place
                assert earlier[3] < later[2] or a[:2] == b[:2]


def update(parameter, momentum, gradient):
    moved = ops.add(ops.mul(momentum, 0.9), gradient)
    return [ops.sub(parameter, ops.mul(moved, 0.1)), moved]


def test_an_update_takes_the_memory_of_what_it_replaces():
    inputs = [leaf(10, 7) for _ in range(3)]
    made = schedule_of(update(*inputs), inputs)
    assert plan_memory(made, frozenset(), ALIGNMENT).donors == (None, None)
    plan = plan_memory(made, frozenset({0, 1}), ALIGNMENT)
    assert {made.roots[0] - 3: 0, made.roots[1] - 3: 1} == dict(enumerate(plan.donors))
    check(update, [(10, 7)] * 3)


def test_a_value_that_is_read_elsewhere_later_is_not_overwritten():
    x, w = leaf(64, 64), leaf(64, 64)
    updated = ops.sub(x, ops.mul(w, 0.5))
    late = ops.sum_(ops.mul(x, ops.expand(ops.reshape(ops.sum_(updated, (1,)), (64, 1)), (64, 64))), (0,))
    made = schedule_of([updated, late], [x, w])
    plan = plan_memory(made, frozenset({0}), ALIGNMENT)
    arrays = [NUMBERS.normal(size=(64, 64)).astype(numpy.float32) for _ in range(2)]
    got, got_late = run(made, arrays)
    expected = arrays[0] - arrays[1] * numpy.float32(0.5)
    numpy.testing.assert_allclose(got, expected, rtol=1e-6)
    numpy.testing.assert_allclose(got_late, (arrays[0] * expected.sum(1, keepdims=True)).sum(0), rtol=2e-4, atol=1e-3)
    assert plan.donors[made.roots[0] - 2] in (None, 1) or len(made.kernels) == 1


def test_what_is_moved_is_not_in_place():
    x = leaf(32, 32)
    for moved in (ops.permute(x, (1, 0)), ops.flip(x, (0,))):
        (kernel,) = schedule_of([ops.add(moved, 1.0)], [x]).kernels
        assert not in_place_pairs(kernel.kernel)
        (both,) = schedule_of([ops.add(moved, x)], [x]).kernels
        assert not in_place_pairs(both.kernel)
    (kernel,) = schedule_of([ops.add(x, 1.0)], [x]).kernels
    assert in_place_pairs(kernel.kernel) == ((0, 1),)


def test_an_update_behind_a_sum_takes_the_memory_of_what_it_replaces():
    cotangent, parameter, momentum = leaf(12, 10), leaf(10), leaf(10)
    made = schedule_of(update(parameter, momentum, ops.sum_(cotangent, (0,))), [cotangent, parameter, momentum])
    assert len(made.kernels) == 1
    plan = plan_memory(made, frozenset({1, 2}), ALIGNMENT)
    assert {made.roots[0] - 3: 1, made.roots[1] - 3: 2} == dict(enumerate(plan.donors))
    check(lambda c, p, m: update(p, m, ops.sum_(c, (0,))), [(12, 10), (10,), (10,)])


def test_what_a_sum_reads_too_is_not_overwritten_behind_it():
    cotangent, parameter = leaf(12, 10), leaf(10)
    product = ops.mul(cotangent, ops.expand(ops.reshape(parameter, (1, 10)), (12, 10)))
    made = schedule_of([ops.sub(parameter, ops.sum_(product, (0,)))], [cotangent, parameter])
    assert plan_memory(made, frozenset({1}), ALIGNMENT).donors == (None,)
