"""Payne and Hanek's reduction by pi/2 of float64, in integers; see ``pi_reduction.py`` for what it is.

Written for x/(2*pi), whose integer part does not matter and whose fraction begins with n. x is 53 bits times a
power of two, in three limbs of 30 bits; they are multiplied by seven limbs of 1/(2*pi), one of 35 windows, and five
limbs of the fraction come out. So many are needed because cancellation is worst, over all doubles from 1/2 on, at
6381956970095103 * 2**797, which is 2**-61.5 * pi/2 from a multiple of pi/2: r has an error of less than
2**-116 * pi/2 before it is rounded (0.71 units in the last place after it, at most, in tests).

There is one way for all x. Kernels have no branches: what is shorter for small x would be computed besides, not
instead.
"""

from __future__ import annotations

from lazygrad.ir.dtype import int64
from lazygrad.ir.value import Value, constant, where
from lazygrad.kernel.expansions.float_format import (
    INFINITY,
    NAN,
    FloatFormat,
    bits_of,
    format_of,
    leading_bits,
    magnitude,
    power_of_two,
)
from lazygrad.kernel.expansions.two_over_pi import two_over_pi

# Below this nothing is to be reduced, and windows begin here.
SMALLEST = 0.5
SMALLEST_EXPONENT = -1

LIMB_BITS = 30  # sums of three products of two limbs, with what is carried, stay below 2**62
LIMB_MASK = (1 << LIMB_BITS) - 1
X_LIMBS = 3  # 53 bits, shifted by up to 29
FRACTION_LIMBS = 5  # the last one only for what it carries
WINDOW_LIMBS = X_LIMBS + FRACTION_LIMBS - 1
# One more than the largest finite number's: infinity and nan, too, find a window.
EXPONENTS = 1024 - SMALLEST_EXPONENT
# (exponent * RECIPROCAL) >> RECIPROCAL_SHIFT is exponent // LIMB_BITS for exponents up to EXPONENTS.
RECIPROCAL, RECIPROCAL_SHIFT = 1093, 15

# Constants hold two limbs each, until the choice of a window comes to its last bit.
WORD_BITS = 2 * LIMB_BITS
WINDOW_WORDS = WINDOW_LIMBS // 2 + 1
LAST_WORD = EXPONENTS // LIMB_BITS // 2
WORDS = LAST_WORD + WINDOW_WORDS

# pi/2 as 27 bits and the rest, and all of it: the product of the first with 26 bits is exact.
HALF_PI_HIGH = float.fromhex("0x1.921fb54p+0")
HALF_PI_LOW = float.fromhex("0x1.10b4611a62633p-30")
HALF_PI = 1.5707963267948966
REST_BITS = 27  # clearing them leaves 26 bits


def _words(form: FloatFormat) -> list[Value]:
    """1/(2*pi), times the weight of the last bit of an x from ``SMALLEST`` on: its first bits."""
    leading_zeros = form.mantissa - SMALLEST_EXPONENT + 2  # 1/(2*pi) is a quarter of 2/pi
    bits = two_over_pi(WORDS * WORD_BITS - leading_zeros)
    mask = (1 << WORD_BITS) - 1
    return [constant((bits >> (WORD_BITS * after)) & mask, int64) for after in reversed(range(WORDS))]


def _advance(values: list[Value], step: int, position: Value, bit: int, count: int) -> list[Value]:
    """``count`` values from the one number ``step`` on where the position has the bit, else from the first on."""
    stays = (position & bit).equals(0)
    choices = [where(stays, *pair) for pair in zip(values[:count], values[step:], strict=False)]
    return choices + values[len(choices) : count]  # no position is so large that it needs what would follow these


def _window(position: Value, form: FloatFormat) -> list[Value]:
    """The limbs number position, position + 1, ... of the constants: each bit of the position halves the choice."""
    words = _words(form)
    for place in reversed(range(LAST_WORD.bit_length())):
        step = 1 << place
        words = _advance(words, step, position, 2 * step, WINDOW_WORDS + step - 1)
    # Both masks tell compilers to multiply 32 by 32 bits.
    limbs = [limb for word in words for limb in ((word >> LIMB_BITS) & LIMB_MASK, word & LIMB_MASK)]
    return _advance(limbs, 1, position, 1, WINDOW_LIMBS)


def _shifted_mantissa(bits: Value, shift: Value, form: FloatFormat) -> tuple[Value, Value, Value]:
    """The 53 bits of a number's mantissa times 2**shift in limbs, the last first; 0 <= shift < LIMB_BITS."""
    # 2**shift as an integer: what a float in which the last bit is 1 ends in.
    power = bits_of(power_of_two(shift, form.dtype) + form.all_integers) & LIMB_MASK
    implicit = 1 << (form.mantissa - LIMB_BITS)
    high_mask = implicit - 1
    low = (bits & LIMB_MASK) * power
    high = (((bits >> LIMB_BITS) & high_mask) | implicit) * power
    return low & LIMB_MASK, (low >> LIMB_BITS) | (high & LIMB_MASK), high >> LIMB_BITS


def _digit(column: Value, width: int, weight: int, form: FloatFormat) -> tuple[Value, Value]:
    """``(carry, digit)``: column * 2**weight = carry * 2**(width + weight) + digit, the digit nearest to 0, a float.

    It is written into the last bits of a power of two: int64 vectors lack a conversion.
    """
    half = 1 << (width - 1)
    raised = column + half
    power = 2.0 ** (form.mantissa + weight)
    power_bits = (form.bias + form.mantissa + weight) << form.mantissa
    number = ((raised & ((1 << width) - 1)) | power_bits).bitcast(form.dtype)
    return raised >> width, number - (power + half * 2.0**weight)


def _fraction(x: tuple[Value, Value, Value], window: list[Value], form: FloatFormat) -> tuple[Value, list[Value]]:
    """``(n, digits)`` of x's product with the window, times 4: an integer, and floats whose sum is the fraction.

    The largest digit comes first. They have signs, so that nothing cancels in their sum.
    """
    columns = []
    for place in range(FRACTION_LIMBS):
        first, second, third = (limb * window[place + i] for i, limb in enumerate(x))
        columns.append(first + second + third)
    carry = (columns.pop() + (1 << (LIMB_BITS - 1))) >> LIMB_BITS
    digits = []
    while columns:
        weight = 2 - LIMB_BITS * len(columns)
        width = LIMB_BITS if len(columns) > 1 else LIMB_BITS - 2  # n is the first two bits
        carry, digit = _digit(columns.pop() + carry, width, weight, form)
        digits.append(digit)
    return carry, digits[::-1]


def reduce_double(x: Value) -> tuple[Value, Value]:
    """``(n, r)`` of a float64: n an int64, of which two bits count; r is nan for infinity and nan."""
    form = format_of(x)
    size = magnitude(x)
    bits = bits_of(where(size < SMALLEST, SMALLEST, size))
    exponent = (bits >> form.mantissa) - (form.bias + SMALLEST_EXPONENT)
    position = (exponent * RECIPROCAL) >> RECIPROCAL_SHIFT
    mantissa = _shifted_mantissa(bits, exponent - position * LIMB_BITS, form)
    n, (first, second, third, fourth) = _fraction(mantissa, _window(position, form), form)
    # The sum of the digits as 26 bits and a rest, times pi/2.
    top = first + second
    low = ((first - top) + second) + (third + fourth)
    head = leading_bits(top + low, REST_BITS)
    rest = (top - head) + low
    r = head * HALF_PI_HIGH + (head * HALF_PI_LOW + rest * HALF_PI)
    r = where(size < SMALLEST, size, r)
    return n, where(size < INFINITY, r, NAN)
