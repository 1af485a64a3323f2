from __future__ import annotations

from dataclasses import replace
from re import sub

import numpy
import pytest

from lazygrad.ir.dtype import float64
from lazygrad.kernel.contraction import analyse
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.winograd import F4, TRANSFORMS, find_windows
from lazygrad.kernel.winograd_tiling import choose_winograd, choose_winograd_gradient, patch_lanes
from unit.kernel.kernels import convolution, convolution_by_weight, matmul

MACHINE = Machine("cpu", cores=2, vector_bytes=32)


def windows_of(kernel):
    form = analyse(kernel.bodies[0], MACHINE)
    assert form is not None
    return find_windows(form)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_convolution_by_single_steps_has_windows(flipped):
    windows = windows_of(convolution(2, (8, 6), 16, 32, flipped=flipped))
    assert (windows.down.place.extent, windows.across.place.extent) == (8, 6)
    assert (windows.down.step, windows.across.step) == (8 * 16, 16)
    assert windows.down.flipped is windows.across.flipped is flipped
    assert (windows.channel.extent, [axis.extent for axis in windows.images]) == (16, [2])
    assert (windows.tile_count, windows.sums_places) == (2 * 4 * 3, False)


def test_the_gradient_by_its_weights_sums_over_places():
    windows = windows_of(convolution_by_weight(2, (5, 6), 16, 32))
    assert (windows.down.tap.extent, windows.across.tap.extent, windows.channel.extent) == (3, 3, 16)
    assert (windows.tile_count, windows.sums_places) == (2 * 3 * 3, True)


@pytest.mark.parametrize(
    "kernel",
    [
        convolution(2, (8, 8), 16, 32, step=2),
        convolution(2, (8, 8), 16, 32, taps=5),
        convolution(2, (8, 8), 16, 32, dtype=float64),
        convolution(2, (1, 8), 16, 32),
        convolution(2, (8, 8), 1, 32),
        matmul(96, 32, 48),
    ],
    ids=["steps of two", "five taps", "float64", "one place", "one channel", "no windows"],
)
def test_other_contractions_have_no_windows(kernel):
    assert windows_of(kernel) is None


def apply(expressions, values):
    """A transform of one direction along the first axis."""
    names = [f"v[{i}]" for i in range(len(values))]
    texts = (sub(r"(?<=\d)f", "", each).format(*names) for each in expressions)
    return numpy.stack([eval(each, {"v": values}) for each in texts])


def both_ways(expressions, square):
    return apply(expressions, apply(expressions, square).swapaxes(0, 1)).swapaxes(0, 1)


@pytest.mark.parametrize("transforms", TRANSFORMS, ids=["F(2x2)", "F(4x4)"])
def test_transforms_are_those_of_a_convolution_and_its_derivative(transforms):
    random = numpy.random.default_rng(0)
    side, tile = transforms.side, transforms.tile
    patch, taps, cotangent = (random.standard_normal((size, size)) for size in (side, 3, tile))
    transformed = both_ways(transforms.patch, patch)
    products = transformed * both_ways(transforms.taps, taps)
    windows = numpy.lib.stride_tricks.sliding_window_view(patch, (3, 3))
    # Constants have nine digits.
    numpy.testing.assert_allclose(both_ways(transforms.result, products), (windows * taps).sum((2, 3)), atol=1e-7)
    products = transformed * both_ways(transforms.cotangent, cotangent)
    windows = numpy.lib.stride_tricks.sliding_window_view(patch, (tile, tile))
    expected = (windows * cotangent).sum((2, 3))
    numpy.testing.assert_allclose(both_ways(transforms.taps_gradient, products), expected, atol=1e-7)


def test_places_of_the_last_tile():
    windows = replace(windows_of(convolution(1, (8, 6), 16, 32)), transforms=F4)
    assert [windows.last_places(direction) for direction in (windows.down, windows.across)] == [4, 2]
    assert [windows.uneven(direction) for direction in (windows.down, windows.across)] == [False, True]


@pytest.mark.parametrize(("places", "tile"), [((16, 16), 4), ((14, 14), 4), ((2, 2), 2), ((5, 2), 2)])
def test_tiles_fit_places(places, tile):
    tiling = choose_winograd(windows_of(convolution(32, places, 128, 128)), MACHINE)
    assert tiling.windows.transforms.tile == tile


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((32, (16, 16), 64, 64), True),
        ((32, (2, 2), 512, 512), True),
        ((8, (56, 56), 64, 64), True),
        ((32, (32, 32), 2, 64), False),
        ((1, (3, 3), 512, 512), False),
    ],
)
def test_transforms_must_pay(shape, wanted):
    places, taps = windows_of(convolution(*shape)), windows_of(convolution_by_weight(*shape))
    assert (choose_winograd(places, MACHINE) is not None) is wanted
    assert (choose_winograd_gradient(taps, MACHINE) is not None) is wanted


def test_tasks_cover_everything_and_keep_all_cores_busy():
    shape = (4, (28, 28), 128, 128)
    tiling = choose_winograd(windows_of(convolution(*shape)), MACHINE)
    tasks = -(-tiling.windows.tile_count // tiling.task_tiles) * -(-8 // tiling.task_panels)
    assert tasks >= 2
    assert tiling.task_tiles % tiling.tile_rows == 0
    tiling = choose_winograd_gradient(windows_of(convolution_by_weight(*shape)), MACHINE)
    assert -(-128 // tiling.task_channels) * -(-8 // tiling.task_panels) >= 2


def test_taps_of_many_channels_are_transformed_panel_by_panel():
    def tiles_first(channels):
        return choose_winograd(windows_of(convolution(32, (8, 8), channels, channels)), MACHINE).tiles_first

    assert tiles_first(64)
    assert not tiles_first(512)


@pytest.mark.parametrize(("channels", "lanes"), [(64, 16), (24, 8), (8, 8), (3, 2), (20, 16), (17, 16)])
def test_patches_are_transformed_in_vectors_that_channels_fill(channels, lanes):
    assert patch_lanes(channels, 16) == lanes
