"""The layout of a float format, and the exact manipulations of its bits that all expansions share.

Everything here is exact, for every input unless it says otherwise, and holds with and without fused
multiply-add: a product feeding a sum is either exact or its rounding does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lazygrad.ir.dtype import DType, float32, float64, int32, int64
from lazygrad.ir.value import Value, where

INFINITY = float("inf")
NAN = float("nan")


@dataclass(frozen=True)
class FloatFormat:
    """An IEEE binary format: ``mantissa`` stored bits, exponents up to ``bias``, an integer as wide."""

    dtype: DType
    integer: DType
    mantissa: int
    bias: int

    @property
    def round_shift(self) -> float:
        """``x + shift - shift`` rounds to an integer (ties to even) for |x| < 2**(mantissa-1)."""
        return 1.5 * 2.0**self.mantissa

    @property
    def round_shift_bits(self) -> int:
        """The bits of ``round_shift``: those of x + shift are these plus the rounded integer."""
        return (self.bias + self.mantissa) << self.mantissa | 1 << (self.mantissa - 1)

    @property
    def smallest_normal(self) -> float:
        """Below it numbers are subnormal."""
        return 2.0 ** (1 - self.bias)

    @property
    def largest_power(self) -> float:
        """The largest power of two."""
        return 2.0**self.bias

    @property
    def all_integers(self) -> float:
        """From here on every value is an integer."""
        return 2.0**self.mantissa

    @property
    def sign_mask(self) -> int:
        """The sign bit as a signed integer."""
        return -(1 << (self.dtype.bits - 1))

    @property
    def magnitude_mask(self) -> int:
        """All bits but the sign."""
        return (1 << (self.dtype.bits - 1)) - 1


_FORMATS = {
    float32: FloatFormat(float32, int32, 23, 127),
    float64: FloatFormat(float64, int64, 52, 1023),
}


def format_of(x: Value) -> FloatFormat:
    """The format of a value; TypeError for other types than float32 and float64."""
    found = _FORMATS.get(x.dtype)
    if found is None:
        raise TypeError(f"expansions compute in float32 or float64, got {x.dtype.name}: cast before and after")
    return found


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """``c0 + x*(c1 + x*(c2 + ...))`` by Horner's rule; two coefficients or more."""
    result = x * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        result = result * x + coefficient
    return result


def bits_of(x: Value) -> Value:
    """The float's bits as a signed integer of its width."""
    return x.bitcast(format_of(x).integer)


def magnitude(x: Value) -> Value:
    """``|x|`` by clearing the sign bit, for nan too."""
    form = format_of(x)
    return (bits_of(x) & form.magnitude_mask).bitcast(x.dtype)


def sign_of(x: Value) -> Value:
    """The sign bit in place, other bits zero, as an integer: to be given to :func:`flip`."""
    return bits_of(x) & format_of(x).sign_mask


def flip(x: Value, sign: Value) -> Value:
    """``-x`` where ``sign`` has the sign bit, else ``x``."""
    return (bits_of(x) ^ sign).bitcast(x.dtype)


def leading_bits(x: Value, dropped: int) -> Value:
    """``x`` with its last ``dropped`` mantissa bits cleared: products of two such halves are exact."""
    return (bits_of(x) & -(1 << dropped)).bitcast(x.dtype)


def nearest(x: Value) -> tuple[Value, Value]:
    """The nearest integer (ties to even) as a float and as an integer; exact for |x| < 2**(mantissa-1)."""
    form = format_of(x)
    shifted = x + form.round_shift
    return shifted - form.round_shift, bits_of(shifted) - form.round_shift_bits


def power_of_two(exponent: Value, dtype: DType) -> Value:
    """``2**exponent`` for an integer exponent of a normal result (1-bias <= exponent <= bias)."""
    form = _FORMATS[dtype]
    return ((exponent + form.bias) << form.mantissa).bitcast(dtype)


def scale(x: Value, exponent: Value) -> Value:
    """``x * 2**exponent``, rounded once, for x near 1 and any exponent within twice the format's range."""
    half = exponent >> 1
    return x * power_of_two(half, x.dtype) * power_of_two(exponent - half, x.dtype)


def clamp(x: Value, low: float, high: float) -> Value:
    """``x`` brought into [low, high]; nan stays nan."""
    x = where(x < low, low, x)
    return where(x > high, high, x)


def split(x: Value) -> tuple[Value, Value]:
    """``(m, k)`` with x = m * 2**k and sqrt(1/2) <= m < sqrt(2), for positive finite x, subnormals too.

    ``k`` is a float. For other inputs both are finite nonsense, to be replaced by the caller.
    """
    form = format_of(x)
    tiny = x < form.smallest_normal
    lifted = where(tiny, x * 2.0 ** (form.mantissa + 2), x)
    root_half = _ROOT_HALF_BITS[form.dtype]
    offset = bits_of(lifted) - root_half
    k = _small_integer(offset >> form.mantissa, form)
    m = ((offset & ((1 << form.mantissa) - 1)) + root_half).bitcast(x.dtype)
    return m, where(tiny, k - (form.mantissa + 2.0), k)


_ROOT_HALF_BITS = {float32: 0x3F3504F3, float64: 0x3FE6A09E667F3BCD}


def _small_integer(k: Value, form: FloatFormat) -> Value:
    """An integer below 2**(mantissa-1) as a float, without the conversion that int64 vectors lack."""
    return (k + form.round_shift_bits).bitcast(form.dtype) - form.round_shift
