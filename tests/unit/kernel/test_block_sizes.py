"""Which tiles a tuner tries: possible ones, near the heuristic's, and always the same."""

from __future__ import annotations

from math import log2

import pytest

from lazygrad.kernel.axes import canonical_axes
from lazygrad.kernel.block_contraction import MOST_HELD, block_contraction, contraction_sizes
from lazygrad.kernel.block_size import MOST_SIZES, BlockSize, distance, nearest
from lazygrad.kernel.block_tiling import pointwise_blocks, pointwise_sizes, sweep_blocks, sweep_sizes
from lazygrad.kernel.forms import pointwise
from lazygrad.kernel.machine import Machine
from unit.kernel import kernels

MACHINE = Machine("block", 132, local_memory=227 * 1024, matrix_units="warp group", compute_capability=90)


def body_of(kernel):
    (body,) = kernel.bodies
    return body


def flat(size):
    return pointwise(body_of(kernels.pointwise(kernels.load(0, kernels.variable("i0", size)) * 2, size)))


def product(size):
    return canonical_axes(body_of(kernels.matmul(size, size, size)))


def assert_sensible(sizes, heuristic):
    assert len(sizes) <= MOST_SIZES
    assert len(set(sizes)) == len(sizes)
    assert heuristic not in sizes
    for size in sizes:
        assert all(log2(number).is_integer() for number in size[:4]), size
    distances = [distance(heuristic, size) for size in sizes]
    assert distances == sorted(distances)


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 24])
def test_pointwise(size):
    body = flat(size)
    heuristic = pointwise_blocks(body, MACHINE)
    sizes = pointwise_sizes(body, MACHINE)
    assert_sensible(sizes, heuristic.size)
    assert len(sizes) > 5 or size < 1000
    for each in sizes:
        tiling = pointwise_blocks(body, MACHINE, each)
        assert tiling.size == each
        assert (tiling.row_axes, tiling.column_axes) == (heuristic.row_axes, heuristic.column_axes)
        assert tiling.programs * tiling.rows >= size


@pytest.mark.parametrize("shape", [(4096, 4096), (8, 100_000), (5, 3), (100_000, 8)])
def test_sweeps(shape):
    body = canonical_axes(body_of(kernels.softmax(*shape)))
    heuristic = sweep_blocks(body, MACHINE)
    sizes = sweep_sizes(body, MACHINE)
    assert_sensible(sizes, heuristic.size)
    assert len(sizes) > 10 or shape == (5, 3)
    for each in sizes:
        tiling = sweep_blocks(body, MACHINE, each)
        assert tiling.size == each
        assert tiling.sweeps == heuristic.sweeps


@pytest.mark.parametrize("size", [4096, 200, 16])
def test_contractions(size):
    body = product(size)
    heuristic = block_contraction(body, MACHINE)
    sizes = contraction_sizes(body, MACHINE)
    assert_sensible(sizes, heuristic.size)
    assert len(sizes) == MOST_SIZES or size == 16
    assert len({each.stages for each in sizes}) > 1
    for each in sizes:
        form = block_contraction(body, MACHINE, each)
        assert form.size == each
        assert form.even == (form.sum_axes[-1].extent % form.depth == 0)
        assert form.programs * form.rows * form.columns >= size * size
        assert each.stages * (each.rows + each.columns) * each.depth * 4 <= MACHINE.local_memory
        assert each.rows * each.columns // (32 * each.warps) <= MOST_HELD


def test_shared_memory_limits_what_is_tried():
    small = Machine("block", 132, local_memory=32 * 1024, matrix_units="warp")
    body = product(4096)
    assert all(
        each.stages * (each.rows + each.columns) * each.depth * 4 <= 32 * 1024
        for each in contraction_sizes(body, small)
    )


def test_a_contraction_without_tiles_has_no_sizes():
    assert contraction_sizes(product(4), MACHINE) == []


def test_nearest_is_bounded_and_in_order():
    first = BlockSize(64)
    candidates = [BlockSize(64 << n, warps=1 << m) for n in range(8) for m in range(8)]
    found = nearest(first, [*candidates, *candidates])
    assert_sensible(found, first)
    assert found[0] == BlockSize(64, warps=2)
