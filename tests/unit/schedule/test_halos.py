"""Zeros around stored elements. Memory is filled with NaN first, so a place that nobody wrote shows."""

from __future__ import annotations

import pytest

from lazygrad import ops
from lazygrad.ops.movement import Padding, Window
from unit.schedule.interpreted import check


def windowed_product(paddings):
    """A convolution over two axes whose input is computed, so that it is stored with a halo."""

    def build(x, w):
        padded = ops.pad(ops.exp(x), (Padding(0, 0), Padding(0, 0), *(Padding(*each) for each in paddings)))
        seen = ops.windows(padded, (Window(2, 3), Window(3, 3)))
        return ops.contract(seen, (0, 1, 2, 3, 4, 5), w, (6, 1, 4, 5), (0, 6, 2, 3))

    return build


def written_zeros(schedule):
    """How many stores each body of the kernel with the halo has, its own body aside."""
    (kernel,) = [s.kernel for s in schedule.kernels if len(s.kernel.bodies) > 1]
    return [len(body.stages[0].stores) for body in kernel.bodies[1:]]


@pytest.mark.parametrize(
    ("paddings", "stores"),
    [
        (((1, 1), (1, 1)), [2, 2]),  # both slabs of an axis are one body
        (((2, 1), (1, 1)), [1, 1, 2]),
        (((0, 2), (1, 0)), [1, 1]),
        (((2, 2), (0, 0)), [2]),
    ],
)
def test_every_place_of_a_halo_is_zero(paddings, stores):
    made = check(windowed_product(paddings), [(2, 4, 6, 5), (8, 4, 3, 3)])
    assert written_zeros(made) == stores


def test_axes_of_one_element_have_halos_too():
    check(windowed_product(((1, 1), (1, 1))), [(1, 4, 1, 1), (8, 4, 3, 3)])
