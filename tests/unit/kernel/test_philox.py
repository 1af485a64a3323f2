"""Philox4x32-10 against the known answers of Random123, in both of its forms."""

import numpy
import pytest

from lazygrad.kernel.expansions.philox import philox4x32 as philox_values
from lazygrad.kernel.expansions.philox import shift_right_logical
from lazygrad.ops.philox_numpy import philox4x32
from unit.kernel.evaluation import evaluate, inputs

ONES = 0xFFFFFFFF
# Counter, key, result (kat_vectors of Random123).
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def as_values(counter, key):
    """The expression's four words, as uint32."""
    words = [numpy.asarray(word, numpy.uint32).reshape(-1).view(numpy.int32) for word in (*counter, *key)]
    values, known = inputs(*words)
    results = philox_values((values[0], values[1], values[2], values[3]), (values[4], values[5]))
    return [array.view(numpy.uint32) for array in evaluate(list(results), known)]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(counter, key, expected):
    assert tuple(int(word) for word in philox4x32(counter, key)) == expected
    assert tuple(int(word[0]) for word in as_values(counter, key)) == expected


def test_both_forms_agree_on_random_words():
    words = numpy.random.default_rng(0).integers(0, 2**32, (6, 1000), numpy.uint32)
    expected = philox4x32(tuple(words[:4]), tuple(words[4:]))
    for got, reference in zip(as_values(words[:4], words[4:]), expected, strict=True):
        numpy.testing.assert_array_equal(got, reference)


def test_words_broadcast():
    first = philox4x32((numpy.arange(5), 0, 7, 0), (1, 2))
    assert [word.shape for word in first] == [(5,)] * 4
    assert [int(word[3]) for word in first] == [int(word) for word in philox4x32((3, 0, 7, 0), (1, 2))]


def test_shift_right_logical_brings_in_zeros():
    bits = numpy.array([0x80000000, 0xFFFFFFFF, 0x12345678], numpy.uint32)
    values, known = inputs(bits.view(numpy.int32))
    for count in (1, 8, 9, 31):
        (shifted,) = evaluate([shift_right_logical(values[0], count)], known)
        numpy.testing.assert_array_equal(shifted.view(numpy.uint32), bits >> numpy.uint32(count))
