"""fmod (the sign of the dividend) and remainder (torch's and Python's: the sign of the divisor).

The quotient is cut to so few bits that its product with the divisor is exact, and the product subtracted; a
second such step takes what is left. The result is exact, as C's fmod is, while |x/y| < 2**50; beyond it,
where C would loop, it is nan. float32 computes in float64.
"""

from __future__ import annotations

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.value import Value, where
from lazygrad.kernel.expansions.float_format import NAN, flip, leading_bits, magnitude, sign_of
from lazygrad.kernel.expansions.rounding import floor, trunc

QUOTIENT_LIMIT = 2.0**50
STEPS = 2
# Bits of the quotient that one step takes: with the 24 bits of a float32 divisor, or with either half of a
# float64 divisor, they fit into a float64.
QUOTIENT_BITS = {float32: 28, float64: 26}
LOW_HALF_BITS = 27


def _subtract_multiple(x: Value, y: Value, quotient_bits: int, split: bool) -> Value:
    """``x`` less y times the leading bits of the quotient: exact, and zero or more."""
    quotient = leading_bits(trunc(x / y), 53 - quotient_bits)
    if split:
        y_high = leading_bits(y, LOW_HALF_BITS)
        rest = (x - quotient * y_high) - quotient * (y - y_high)
    else:
        rest = x - quotient * y
    # x/y was rounded up to an integer: one multiple too many.
    return where(rest < 0.0, rest + y, rest)


def fmod(x: Value, y: Value) -> Value:
    """C's remainder: the sign of x, smaller than y in size."""
    dividend, divisor = magnitude(x).cast(float64), magnitude(y).cast(float64)
    rest = dividend
    for _ in range(STEPS):
        rest = _subtract_multiple(rest, divisor, QUOTIENT_BITS[x.dtype], split=x.dtype is float64)
    rest = where(dividend < divisor, dividend, rest)
    rest = where(dividend < divisor * QUOTIENT_LIMIT, rest, NAN)
    return flip(rest.cast(x.dtype), sign_of(x))


def _opposed(rest: Value, y: Value) -> Value:
    return ((rest < 0.0) & (y > 0.0)) | ((rest > 0.0) & (y < 0.0))


def remainder(x: Value, y: Value) -> Value:
    """Torch's and Python's remainder: the sign of y."""
    rest = fmod(x, y)
    return where(_opposed(rest, y), rest + y, rest)


def floor_divide(x: Value, y: Value) -> Value:
    """torch's: the integer that (x - remainder(x, y))/y nearly is, and x/y where y is 0."""
    rest = fmod(x, y)
    quotient = (x - rest) / y
    quotient = where(_opposed(rest, y), quotient - 1.0, quotient)
    below = floor(quotient)
    integer = where(quotient - below > 0.5, below + 1.0, below)
    integer = where(quotient.equals(0.0), flip(magnitude(quotient), sign_of(x) ^ sign_of(y)), integer)
    return where(y.equals(0.0), x / y, integer)
