"""Convolutions against torch: values and gradients."""

import pytest

import lazygrad as lg
from lazygrad.nn import functional
from unit.tensor.against_torch import agree, numbers, numpy_device

__all__ = ["numpy_device"]

CASES = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"padding": (0, 2), "stride": (2, 1)},
    {"padding": "same"},
    {"padding": "same", "dilation": (1, 2)},
    {"padding": "valid"},
    {"dilation": 2},
    {"dilation": (2, 1), "stride": (1, 3), "padding": 2},
    {"groups": 2},
    {"groups": 2, "stride": 2, "padding": 1},
]


@pytest.mark.parametrize("case", CASES, ids=repr)
@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (1, 3), (2, 4)])
def test_conv2d(case, kernel):
    weight = numbers(4, 4 // case.get("groups", 1), *kernel, seed=1)
    agree(
        lambda lib, x, w, b: lib.nn.functional.conv2d(x, w, b, **case), numbers(2, 4, 7, 8), weight, numbers(4, seed=2)
    )


def test_conv2d_depthwise_and_unbatched():
    agree(
        lambda lib, x, w: lib.nn.functional.conv2d(x, w, groups=6, padding=1), numbers(2, 6, 5, 5), numbers(6, 1, 3, 3)
    )
    agree(lambda lib, x, w, b: lib.nn.functional.conv2d(x, w, b), numbers(3, 5, 5), numbers(2, 3, 3, 3), numbers(2))


@pytest.mark.parametrize(
    "case", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": "same"}, {"groups": 2}], ids=repr
)
def test_conv1d_and_conv3d(case):
    groups = case.get("groups", 1)
    if case.get("padding") != "same":
        agree(
            lambda lib, x, w: lib.nn.functional.conv3d(x, w, **case),
            numbers(1, 2, 4, 5, 6),
            numbers(4, 2 // groups, 2, 3, 2),
        )
    agree(
        lambda lib, x, w, b: lib.nn.functional.conv1d(x, w, b, **case),
        numbers(2, 4, 9),
        numbers(6, 4 // groups, 3),
        numbers(6),
    )


TRANSPOSED = [
    {},
    {"stride": 2},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": (1, 3), "padding": (1, 0), "dilation": (2, 1)},
    {"groups": 2, "stride": 2},
]


@pytest.mark.parametrize("case", TRANSPOSED, ids=repr)
def test_transposed(case):
    groups = case.get("groups", 1)
    weight = numbers(4, 6 // groups, 3, 2, seed=1)
    agree(
        lambda lib, x, w, b: lib.nn.functional.conv_transpose2d(x, w, b, **case),
        numbers(2, 4, 4, 5),
        weight,
        numbers(6),
    )
    agree(lambda lib, x, w: lib.nn.functional.conv_transpose1d(x, w, stride=2), numbers(2, 4, 5), numbers(4, 3, 3))


def test_transposed_unbatched():
    agree(lambda lib, x, w: lib.nn.functional.conv_transpose2d(x, w, stride=2), numbers(2, 4, 4), numbers(2, 3, 2, 2))


def test_unfolded_and_shuffled():
    agree(lambda lib, x: lib.nn.functional.unfold(x, (3, 2), 1, 1, 2), numbers(2, 3, 5, 6))
    agree(lambda lib, x: lib.nn.functional.pixel_shuffle(x, 2), numbers(2, 8, 3, 4))


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        (
            (1, 3, 5, 5),
            (2, 4, 3, 3),
            {},
            r"weight of size \[2, 4, 3, 3\], expected input\[1, 3, 5, 5\] to have 4 channels",
        ),
        ((1, 3, 2, 2), (2, 3, 3, 3), {}, "smaller than the kernel size"),
        ((3, 5), (2, 3, 3, 3), {}, "expected 3D .* or 4D"),
        ((1, 3, 5, 5), (2, 3, 3, 3), {"stride": 0}, "must be positive"),
        ((1, 3, 5, 5), (3, 1, 3, 3), {"groups": 2}, "groups=2 must be positive and divide"),
        ((1, 3, 5, 5), (2, 3, 3, 3), {"stride": 2, "padding": "same"}, "strided convolutions"),
        ((1, 3, 5, 5), (2, 3, 3, 3), {"stride": (1, 2, 3)}, "expected one number or 2"),
        ((1, 3, 5, 5), (2, 3, 3, 3), {"bias": lg.ones(3)}, r"expected bias of size \[2\]"),
    ],
)
def test_errors_of_conv2d(x, w, options, message):
    with pytest.raises(RuntimeError, match=message):
        functional.conv2d(lg.ones(*x), lg.ones(*w), **options)


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ((3, 5), (3, 2, 3, 3), {}, "conv_transpose2d: expected 3D .* or 4D"),
        ((1, 3, 5, 5), (2, 3, 3, 3), {}, r"the weight is \(C_in, C_out / groups"),
        ((1, 3, 5, 5), (3, 2, 3, 3), {"groups": 2}, "given groups=2"),
        ((1, 3, 5, 5), (3, 2, 3, 3), {"stride": 0}, "must be positive"),
        ((1, 3, 5, 5), (3, 2, 3, 3), {"output_padding": 1}, "must be smaller than either stride or dilation"),
        ((1, 3, 5, 5), (3, 2, 3, 3), {"bias": lg.ones(3)}, r"expected bias of size \[2\]"),
    ],
)
def test_errors_of_conv_transpose2d(x, w, options, message):
    with pytest.raises(RuntimeError, match=message):
        functional.conv_transpose2d(lg.ones(*x), lg.ones(*w), **options)


def test_dtypes_must_agree():
    with pytest.raises(RuntimeError, match=r"input \(float64\) and weight \(float32\)"):
        functional.conv2d(lg.ones(1, 1, 3, 3, dtype=lg.float64), lg.ones(1, 1, 3, 3))
