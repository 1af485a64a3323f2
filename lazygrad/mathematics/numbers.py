"""Numbers of an expression: exact fractions inside, short decimals outside."""

from __future__ import annotations

from fractions import Fraction
from math import isfinite

from lazygrad.ir.dtype import DType

# A float constant is taken for a fraction that rounds to it when the denominator is at most this: with larger
# ones every second float32 would be some fraction by chance. One over a whole number, as a mean has it, may
# be smaller.
LARGEST_DENOMINATOR = 256
_LARGEST_COUNT = 10**6
# A decimal of so few digits is what somebody wrote.
_WRITTEN_DIGITS = 5
# Exact arithmetic on coefficients stops being worth it when numerator or denominator have more bits.
_BIT_LIMIT = 256
# Decimals up to this many characters (0.125) are preferred to a division.
_SHORT_DECIMAL = 5


def exact(value: float | int | bool, dtype: DType) -> Fraction | None:
    """The number that a constant of ``dtype`` stands for, None for infinities and nan.

    A float32 0.33333334 is one third and 0.1 is one tenth: a short decimal, else a simple fraction, else the
    shortest decimal that rounds to the constant.
    """
    if not dtype.is_float:
        return Fraction(int(value))
    if not isfinite(value):
        return None
    written = Fraction(str(dtype.numpy.type(value)))
    if len(str(written.numerator).strip("-0")) <= _WRITTEN_DIGITS and 10**12 % written.denominator == 0:
        return written
    candidates = [Fraction(value).limit_denominator(LARGEST_DENOMINATOR)]
    if abs(value) * _LARGEST_COUNT >= 1 and abs(value) <= 0.5:
        candidates.append(1 / Fraction(round(1 / value)))
    for simple in candidates:
        if float(dtype.numpy.type(float(simple))) == value:
            return simple
    return written


def rounded(value: Fraction) -> Fraction:
    """``value``, or what a float keeps of it when it has grown too long."""
    if value.numerator.bit_length() < _BIT_LIMIT and value.denominator.bit_length() < _BIT_LIMIT:
        return value
    try:
        return Fraction(f"{float(value):.15g}")
    except (OverflowError, ValueError):
        # Beyond floats: keep the leading bits and the power of two.
        shift = value.numerator.bit_length() - value.denominator.bit_length() - 64
        scale = Fraction(2) ** abs(shift)
        return Fraction(int(value / scale if shift > 0 else value * scale)) * (scale if shift > 0 else 1 / scale)


def power(value: Fraction, exponent: Fraction) -> Fraction | None:
    """``value ** exponent`` where that is a rational number of reasonable length, else None."""
    if exponent.denominator == 1:
        size = abs(int(exponent))
        if (value == 0 and exponent < 0) or size * value.numerator.bit_length() > _BIT_LIMIT:
            return None
        return value ** int(exponent)
    if value < 0:
        return None
    root = exponent.denominator
    found = []
    for part in (value.numerator, value.denominator):
        if part.bit_length() > 2 * _BIT_LIMIT:
            return None
        candidate = round(part ** (1 / root)) if part.bit_length() < 900 else 0
        if candidate**root != part:
            return None
        found.append(candidate)
    return power(Fraction(*found), Fraction(exponent.numerator))


def as_decimal(value: Fraction) -> str | None:
    """The decimal text when it is short and exact, else None."""
    if value.denominator == 1 and len(str(abs(value.numerator))) <= 15:
        return str(value.numerator)
    text = decimal_text(value, 6)
    return text if len(text.lstrip("-")) <= _SHORT_DECIMAL and Fraction(text) == value else None


def decimal_text(value: Fraction, digits: int) -> str:
    """A decimal of so many digits, without a trailing point or zero."""
    try:
        text = f"{float(value):.{digits}g}"
    except OverflowError:
        return "inf" if value > 0 else "-inf"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def is_ratio(value: Fraction) -> bool:
    """Whether a number is better written with a division, as 1/3, than as a decimal."""
    small = value.denominator <= LARGEST_DENOMINATOR or abs(value.numerator) == 1
    return as_decimal(value) is None and small and max(abs(value.numerator), value.denominator) <= _LARGEST_COUNT


def number_text(value: Fraction, digits: int) -> str:
    """The shortest good text of a number: 9, 0.5, 2/3, 0.7071068."""
    text = as_decimal(value)
    if text is not None:
        return text
    if is_ratio(value):
        return f"{value.numerator}/{value.denominator}"
    return decimal_text(value, digits)
