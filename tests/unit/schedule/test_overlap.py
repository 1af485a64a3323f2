"""Kernels wait for those whose memory they touch, and for no others."""

from lazygrad import ops
from lazygrad.ir.dtype import float32
from lazygrad.schedule.memory import plan_memory
from lazygrad.schedule.overlap import waits
from unit.schedule.interpreted import ALIGNMENT, schedule_of


def leaf(*shape):
    return ops.placeholder(shape, float32, "numpy:0")


def product(x, y):
    return ops.contract(x, (0, 1), y, (1, 2), (0, 2))


def waits_of(roots, leaves, donated=frozenset()):
    made = schedule_of(roots, leaves)
    return made, waits(made, plan_memory(made, donated, ALIGNMENT))


def test_a_chain_waits_for_each_kernel():
    x, weight = leaf(32, 32), leaf(32, 32)
    made, found = waits_of([product(product(product(x, weight), weight), weight)], [x, weight])
    assert found == list(range(len(made.kernels)))


def test_what_is_independent_does_not_wait():
    leaves = [leaf(32, 32) for _ in range(4)]
    made, found = waits_of([product(*leaves[:2]), product(*leaves[2:])], leaves)
    assert found == [0] * len(made.kernels)


def test_what_takes_the_place_of_others_waits_for_them():
    """Whatever the plan: a kernel between its number and its position touches nothing that it touches, unless both
    only read.
    """
    x, weight = leaf(48, 48), leaf(48, 48)
    left, right = x, weight
    for _ in range(5):
        left, right = ops.tanh(product(left, weight)), ops.sin(product(right, x))
    made, found = waits_of([ops.sub(x, product(left, right))], [x, weight], frozenset({0}))
    plan = plan_memory(made, frozenset({0}), ALIGNMENT)

    def places(kernel):
        for slot, declared in zip(kernel.slots, kernel.kernel.buffers, strict=True):
            number = slot - made.leaves
            if number >= 0 and plan.offsets[number] is not None:
                start = plan.offsets[number]
                yield "arena", start, start + made.slots[number].size, declared.written
            else:
                donor = plan.donors[number] if number >= 0 else None
                yield slot if donor is None else donor, 0, 1, declared.written

    for position, first in enumerate(found):
        assert first <= position
        for other in range(first, position):
            for a in places(made.kernels[position]):
                for b in places(made.kernels[other]):
                    assert a[0] != b[0] or a[2] <= b[1] or b[2] <= a[1] or not (a[3] or b[3])
