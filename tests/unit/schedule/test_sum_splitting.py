"""Sums of large operands with small results are cut into pieces on processors; others stay one product."""

from math import prod

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.kernel.kernel import Contraction
from lazygrad.kernel.machine import Machine
from unit.schedule.interpreted import check
from unit.schedule.test_fusion import convolution

# So small a cache that operands of a test are large.
MACHINE = Machine("cpu", cores=2, level2_cache=1 << 10)


def points_of_products(made):
    """The body's extents of each kernel that multiplies."""
    return [
        [axis.extent for axis in body.axes]
        for scheduled in made.kernels
        for body in scheduled.kernel.bodies
        if any(isinstance(a, Contraction) for stage in body.stages for a in stage.accumulators)
    ]


def by_weight(stride, padding):
    def build(x, w, g):
        return vjp([convolution(x, w, stride, padding)], [g], [w])[0]

    return build


# Pieces of at least 256 steps, of 8 images with 256 places; of 64, pieces would not be small beside the cotangent.
@pytest.mark.parametrize(("kernel", "stride", "padding", "pieces"), [(1, 1, 0, 8), (3, 1, 1, 8), (3, 2, 1, 1)])
def test_a_weight_gradient_over_many_images_is_cut_between_them(kernel, stride, padding, pieces):
    made_size = (16 + 2 * padding - kernel) // stride + 1
    shapes = [(8, 3, 16, 16), (2, 3, kernel, kernel), (8, 2, made_size, made_size)]
    (whole,) = points_of_products(check(by_weight(stride, padding), shapes, tolerance=1e-3))
    (cut,) = points_of_products(check(by_weight(stride, padding), shapes, MACHINE, tolerance=1e-3))
    assert prod(cut) == pieces * prod(whole)


def test_a_large_result_is_not_cut():
    def build(a, b):
        return ops.contract(a, (0, 1), b, (1, 2), (0, 2))

    assert points_of_products(check(build, [(40, 600), (600, 40)], MACHINE, tolerance=1e-3)) == [[40, 40]]
    cut = points_of_products(check(build, [(8, 2048), (2048, 8)], MACHINE, tolerance=1e-3))
    assert sorted(cut[0]) == [8, 8, 8]
