"""Winograd's forms of contractions on a processor give what the interpreter gives, and round about as sums do."""

from __future__ import annotations

from math import inf

import numpy
import pytest

from backends.opencl.launching import AVX2, VECTORS, Launcher, capabilities
from lazygrad.kernel import winograd_tiling
from lazygrad.kernel.winograd import F2, TRANSFORMS
from lazygrad_opencl.source import generate
from unit.kernel.kernels import convolution, convolution_by_weight

# Even and odd places, one image, channels and columns that fill no vector, a last panel that reaches beyond its buffer,
# several tasks; processors with 32 registers.
SHAPES = [
    (2, (4, 6), 16, 32),
    (1, (7, 5), 8, 16),
    (1, (2, 3), 11, 5),
    (3, (3, 8), 20, 40),
    (2, (12, 12), 24, 17),
]


@pytest.fixture(scope="module")
def launcher():
    return Launcher()


@pytest.fixture(autouse=True, params=TRANSFORMS, ids=["F(2x2)", "F(4x4)"])
def transforms(request, monkeypatch):
    """These, however little there is to transform."""
    monkeypatch.setattr(winograd_tiling, "LEAST_SAVING", -inf)
    monkeypatch.setattr(winograd_tiling, "TRANSFORMS", (request.param,))
    return request.param


def arrays_of(kernel, seed=0):
    random = numpy.random.default_rng(seed)
    return [
        numpy.zeros(buffer.size, numpy.float32)
        if buffer.written
        else random.standard_normal(buffer.size).astype(numpy.float32) / 4
        for buffer in kernel.buffers
    ]


def text_of(kernel):
    return generate(kernel, capabilities("cpu")).text


@pytest.mark.parametrize(("shape", "flipped"), list(zip(SHAPES, [False, True, False, True, True], strict=True)))
def test_convolutions(launcher, transforms, shape, flipped):
    kernel = convolution(*shape, flipped=flipped)
    assert f"tiles of {transforms.tile} x {transforms.tile} places x" in text_of(kernel)
    launcher.check(kernel, arrays_of(kernel), "cpu", vectors=VECTORS[-1] if flipped else AVX2)


def test_panels_whose_taps_do_not_fit_the_caches_together(launcher, monkeypatch):
    kernel = convolution(2, (5, 6), 16, 40)
    before = text_of(kernel)
    monkeypatch.setattr(winograd_tiling, "TAPS_SHARE", 0)
    assert text_of(kernel) != before
    launcher.check(kernel, arrays_of(kernel), "cpu")


@pytest.mark.parametrize("shape", SHAPES[1:4])
def test_gradients_by_weights(launcher, shape):
    kernel = convolution_by_weight(*shape)
    assert "3 x 3 taps of" in text_of(kernel)
    launcher.check(kernel, arrays_of(kernel), "cpu")


def test_gradients_are_summed_over_blocks_of_tiles(launcher, monkeypatch):
    monkeypatch.setattr(winograd_tiling, "SUMMED_TILES", 5)
    kernel = convolution_by_weight(2, (5, 6), 20, 40)
    launcher.check(kernel, arrays_of(kernel), "cpu")


def test_an_infinity_stays_in_the_tiles_that_read_it(launcher):
    kernel = convolution(1, (8, 9), 8, 16)
    arrays = arrays_of(kernel)
    arrays[0].reshape(10, 11, 8)[9, 10, 0] = inf  # the last row and column, of which all but one patch keep clear
    result = launcher.run(kernel, arrays, "cpu")[3].reshape(8, 9, 16)
    assert not numpy.isfinite(result[7, 8]).all()
    assert numpy.isfinite(result[:4]).all()
    assert numpy.isfinite(result[:, :8]).all()


def errors(launcher, kernel, arrays, exact):
    """Root mean square and largest error."""
    (result,) = (
        found
        for found, buffer in zip(launcher.run(kernel, arrays, "cpu"), kernel.buffers, strict=True)
        if buffer.written
    )
    error = result.reshape(exact.shape) - exact
    return numpy.sqrt((error**2).mean()), numpy.abs(error).max()


@pytest.mark.parametrize("build", [convolution, convolution_by_weight])
def test_rounding_is_like_that_of_plain_sums(launcher, monkeypatch, transforms, build):
    images, (down, across), channels, columns = 1, (8, 8), 64, 16
    kernel = build(images, (down, across), channels, columns)
    arrays = arrays_of(kernel)
    patches = numpy.lib.stride_tricks.sliding_window_view(
        arrays[0].astype(numpy.float64).reshape(down + 2, across + 2, channels), (3, 3), (0, 1)
    )
    if build is convolution:
        exact = numpy.einsum("yxcij,ijco->yxo", patches, arrays[1].reshape(3, 3, channels, columns))
        exact = numpy.maximum(exact + arrays[2].reshape(exact.shape), 0)
    else:
        exact = numpy.einsum("yxcij,yxo->ijco", patches, arrays[1].reshape(down, across, columns))
    transformed = errors(launcher, kernel, arrays, exact)
    monkeypatch.setattr(winograd_tiling, "LEAST_SAVING", inf)
    plain = errors(launcher, kernel, arrays, exact)
    # Of few tiles a gradient by weights is a sum of few products. Four times is what any precision admits.
    roots = {convolution: (1.2, 2.5), convolution_by_weight: (1.2, 3.5)}
    assert transformed[0] < roots[build][transforms is not F2] * plain[0]
    assert transformed[1] < (1.5 if transforms is F2 else 4) * plain[1]
