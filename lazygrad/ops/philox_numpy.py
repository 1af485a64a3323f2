"""Philox4x32-10 in NumPy: the reference for random bits.

Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. A block cipher without
secrets: the counter is encrypted under the key, and the four words of the result are the random bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

Words = NDArray[numpy.uint32]

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
# What each round adds to the key: the golden ratio and the square root of 3, less 1, in 32 bits.
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)


def _product(word: Words, multiplier: int) -> tuple[Words, Words]:
    """The high and the low word of the 64-bit product."""
    product = word.astype(numpy.uint64) * numpy.uint64(multiplier)
    return (product >> numpy.uint64(32)).astype(numpy.uint32), product.astype(numpy.uint32)


def philox4x32(counter: Sequence[Any], key: Sequence[Any]) -> tuple[Words, Words, Words, Words]:
    """Four uint32 arrays of random bits for four uint32 counter words under a key of two words.

    The words are numbers, or arrays that broadcast against each other.

    >>> [hex(int(word)) for word in philox4x32((0, 0, 0, 0), (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3, k0, k1 = (numpy.asarray(word, numpy.uint32) for word in (*counter, *key))
    for step in range(ROUNDS):
        first_key = (k0.astype(numpy.uint64) + numpy.uint64(step * KEY_STEPS[0])).astype(numpy.uint32)
        second_key = (k1.astype(numpy.uint64) + numpy.uint64(step * KEY_STEPS[1])).astype(numpy.uint32)
        high0, low0 = _product(c0, MULTIPLIERS[0])
        high2, low2 = _product(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high2 ^ c1 ^ first_key, low2, high0 ^ c3 ^ second_key, low0
    return c0, c1, c2, c3
