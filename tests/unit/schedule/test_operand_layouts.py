"""How operands of contractions lie: copies that are turned once, and values that several contractions read."""

import pytest

from lazygrad import ops
from lazygrad.ops.movement import Range
from lazygrad.schedule import staging
from unit.schedule.interpreted import check

IMAGES, TIMES, WIDTH = 2, 24, 48


def packs(made):
    return sum(scheduled.kernel.name == "pack" for scheduled in made.kernels)


@pytest.mark.parametrize(("products", "copies"), [(40 * 256 * 64, 1), (40 * 256 * 64 + 1, 0)])
def test_rows_across_the_sum_are_turned_for_large_products(monkeypatch, products, copies):
    """As a weight's gradient: both operands lie image by image, and images are summed over."""
    monkeypatch.setattr(staging, "TURNED_ROWS_PRODUCTS", products)
    made = check(lambda g, x: ops.contract(g, (2, 0), x, (2, 1), (0, 1)), [(64, 40), (64, 256)])
    assert packs(made) == copies


def test_rows_of_few_columns_are_not_turned(monkeypatch):
    monkeypatch.setattr(staging, "TURNED_ROWS_PRODUCTS", 0)
    made = check(lambda g, x: ops.contract(g, (2, 0), x, (2, 1), (0, 1)), [(64, 40), (64, 128)])
    assert packs(made) == 0


def test_a_projection_for_attention_lies_as_it_comes_out():
    """Keys should lie the other way round for the scores; all the rest reads them and their neighbours as they are."""

    def part(projected, number):
        whole = (Range(0, IMAGES), Range(0, TIMES))
        return ops.slice_(projected, (*whole, Range(number * WIDTH, (number + 1) * WIDTH)))

    def build(x, w):
        projected = ops.tanh(ops.contract(ops.tanh(x), (0, 1, 3), w, (2, 3), (0, 1, 2)))
        query, key, value = (part(projected, number) for number in range(3))
        scores = ops.tanh(ops.contract(query, (0, 1, 3), key, (0, 2, 3), (0, 1, 2)))
        return ops.contract(scores, (0, 1, 3), value, (0, 3, 2), (0, 1, 2))

    made = check(build, [(IMAGES, TIMES, 16), (3 * WIDTH, 16)])
    (layout,) = {slot.layout for slot in made.slots if slot.shape == (IMAGES, TIMES, 3 * WIDTH)}
    assert layout.strides == (TIMES * 3 * WIDTH, 3 * WIDTH, 1)
    assert packs(made) == 2  # the weight, and the keys
