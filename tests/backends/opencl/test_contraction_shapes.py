"""Contractions of any shape and stride: tiles, panels that overhang, packed blocks, groups; on the device and in NumPy."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazygrad as lg

pytest.importorskip("pyopencl")

DEVICE = "opencl:0"
EXAMPLES = 12
# Sums are added in another order than the reference's: float32 keeps seven digits of the largest partial sum.
TOLERANCE = 3e-5

extents = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 24, 31, 48, 65, 100]))
depths = st.one_of(st.integers(1, 9), st.sampled_from([16, 127, 385, 700]))
limited = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)


def numbers(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(numpy.float32)


def assert_close(found, expected):
    scale = max(1.0, float(numpy.abs(expected).max(initial=0)))
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale)


@limited
@given(extents, extents, depths, st.booleans(), st.booleans(), st.sampled_from([(), (3,)]))
def test_matrix_products(rows, columns, depth, rows_turned, columns_turned, batch):
    a = numbers(*batch, *((depth, rows) if rows_turned else (rows, depth)))
    b = numbers(*batch, *((columns, depth) if columns_turned else (depth, columns)), seed=1)
    x, y = (lg.tensor(each, device=DEVICE) for each in (a, b))
    product = (x.transpose(-1, -2) if rows_turned else x) @ (y.transpose(-1, -2) if columns_turned else y)
    left, right = (a.swapaxes(-1, -2) if rows_turned else a), (b.swapaxes(-1, -2) if columns_turned else b)
    assert_close(product.numpy(), left.astype(numpy.float64) @ right)


@st.composite
def convolutions(draw):
    """Shapes and settings of a convolution over one to three axes that has a result."""
    rank = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 1, 2, 4]))
    inputs, outputs = (groups * draw(st.sampled_from([1, 2, 3, 8, 17, 24])) for _ in range(2))
    kernel, spatial, stride, padding, dilation = [], [], [], [], []
    for _ in range(rank):
        size, step, apart = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2]))
        around = draw(st.integers(0, size))
        reach = (size - 1) * apart + 1
        kernel.append(size)
        spatial.append(draw(st.integers(max(1, reach - 2 * around), 9 if rank < 3 else 6 + reach)))
        stride.append(step)
        padding.append(around)
        dilation.append(apart)
    settings_ = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (draw(st.integers(1, 3)), inputs, *spatial), (outputs, inputs // groups, *kernel), settings_


def gradients_of(device, shape, weight_shape, arguments):
    """The result and both gradients, for a random cotangent."""
    x = lg.tensor(numbers(*shape), device=device, requires_grad=True)
    weight = lg.tensor(numbers(*weight_shape, seed=1), device=device, requires_grad=True)
    convolution = getattr(lg.nn.functional, f"conv{len(shape) - 2}d")
    y = convolution(x, weight, **arguments)
    (y * lg.tensor(numbers(*y.shape, seed=2), device=device)).sum().backward()
    return y.detach().numpy(), x.grad.numpy(), weight.grad.numpy()


@limited
@given(convolutions())
def test_convolutions_and_their_gradients(case):
    for found, expected in zip(gradients_of(DEVICE, *case), gradients_of("numpy", *case), strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize(
    ("batch", "size", "inputs", "outputs"), [(1, 2, 64, 48), (1, 4, 40, 100), (3, 3, 33, 70), (8, 2, 48, 64)]
)
@pytest.mark.parametrize("stride", [1, 2])
def test_few_pixels_and_many_channels(batch, size, inputs, outputs, stride):
    """Weights are read and updated as they lie (see ``schedule.contracting``)."""
    case = (batch, inputs, size, size), (outputs, inputs, 3, 3), {"stride": stride, "padding": 1}
    for found, expected in zip(gradients_of(DEVICE, *case), gradients_of("numpy", *case), strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize(
    ("size", "kernel", "stride"),
    [((1, 1), 3, 1), ((2, 2), 3, 1), ((2, 1), 3, 1), ((3, 3), 5, 1), ((3, 2), 5, 2), ((4, 4), 7, 1), ((2, 2), 3, 2)],
)
@pytest.mark.parametrize("images", [16, 33])
def test_images_smaller_than_their_windows(size, kernel, stride, images):
    """Sums over places (see ``passes.small_images``)."""
    case = (images, 20, *size), (24, 20, kernel, kernel), {"stride": stride, "padding": kernel // 2}
    for found, expected in zip(gradients_of(DEVICE, *case), gradients_of("numpy", *case), strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_weight_gradient_of_large_images_in_pieces(kernel):
    case = (8, 12, 48, 48), (9, 12, kernel, kernel), {"padding": kernel // 2}
    for found, expected in zip(gradients_of(DEVICE, *case), gradients_of("numpy", *case), strict=True):
        assert_close(found, expected)
