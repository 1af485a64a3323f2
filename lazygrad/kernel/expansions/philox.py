"""Philox4x32-10 as scalar expressions on 32-bit words that lie in int32 values.

Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. Additions and
multiplications of int32 and int64 wrap around here, as everywhere in kernels.
"""

from __future__ import annotations

from lazygrad.ir.dtype import int32, int64
from lazygrad.ir.value import Value
from lazygrad.ops.philox_numpy import KEY_STEPS, MULTIPLIERS, ROUNDS

LOW_WORD = 0xFFFFFFFF


def shift_right_logical(x: Value, count: int) -> Value:
    """``x >> count`` with zeros from the left, 0 < count < 32: ``>>`` on signed integers repeats the sign."""
    return (x >> count) & ((1 << (32 - count)) - 1)


def philox4x32(
    counter: tuple[Value, Value, Value, Value], key: tuple[Value, Value]
) -> tuple[Value, Value, Value, Value]:
    """Four int32 values of random bits for four counter words and two key words, all uint32 bits.

    The words stay zero-extended in 64 bits from round to round: compilers then multiply 32 by 32 bits without
    moving lanes, and drop masks whose bits nobody reads.
    """
    c0, c1, c2, c3 = (_zero_extended(word) for word in counter)
    k0, k1 = (_zero_extended(word) for word in key)
    for step in range(ROUNDS):
        first_key = (k0 + step * KEY_STEPS[0]) & LOW_WORD
        second_key = (k1 + step * KEY_STEPS[1]) & LOW_WORD
        product0, product2 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c2 = _high(product2) ^ c1 ^ first_key, _high(product0) ^ c3 ^ second_key
        c1, c3 = product2 & LOW_WORD, product0 & LOW_WORD
    return c0.cast(int32), c1.cast(int32), c2.cast(int32), c3.cast(int32)


def _zero_extended(word: Value) -> Value:
    return word.cast(int64) & LOW_WORD


def _high(product: Value) -> Value:
    return (product >> 32) & LOW_WORD
