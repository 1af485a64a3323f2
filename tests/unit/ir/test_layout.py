"""Layouts: where elements lie, held against NumPy's strides."""

import numpy
import pytest

from lazygrad.ir.index import constant
from lazygrad.ir.layout import Layout, Part, ordered, row_major, strided


def addresses(layout):
    """The address of every element, as an array of the layout's shape."""
    found = numpy.empty(layout.shape, numpy.int64)
    for point in numpy.ndindex(*layout.shape):
        found[point] = layout.address([constant(p) for p in point]).constant
    return found


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 1, 4), (3, 0)])
def test_row_major(shape):
    layout = row_major(shape)
    size = int(numpy.prod(shape))
    assert layout.size == size
    assert layout.is_row_major
    numpy.testing.assert_array_equal(addresses(layout), numpy.arange(size).reshape(shape))


def test_channels_last():
    layout = ordered((2, 3, 4, 5), (0, 2, 3, 1))
    expected = numpy.arange(120).reshape(2, 4, 5, 3).transpose(0, 3, 1, 2)
    numpy.testing.assert_array_equal(addresses(layout), expected)
    assert layout.strides == (60, 1, 15, 3)
    assert not layout.is_row_major


def test_strided():
    layout = strided((3, 4), (10, 2))
    assert layout.size == 27
    numpy.testing.assert_array_equal(addresses(layout), numpy.arange(3)[:, None] * 10 + numpy.arange(4) * 2)
    assert strided((0, 4), (4, 1)).size == 0


def test_panels():
    """Columns in panels of 4: a split axis has no single stride."""
    layout = Layout((3, 8), (Part(1, 4, 2, 12), Part(0, 1, 3, 4), Part(1, 1, 4, 1)), 24)
    expected = numpy.arange(24).reshape(2, 3, 4).transpose(1, 0, 2).reshape(3, 8)
    numpy.testing.assert_array_equal(addresses(layout), expected)
    assert layout.strides is None


def test_equal_layouts_are_equal():
    assert row_major((2, 3)) == strided((2, 3), (3, 1)) == ordered((2, 3), (0, 1))
    assert row_major((2, 3)) != ordered((2, 3), (1, 0))
