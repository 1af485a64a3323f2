"""pow with C99's values everywhere, and rsqrt.

|x|**y = 2**(y*log2|x|), which needs log2|x| to more bits than the result has. float32 computes in float64.
float64 carries log2|x| as the sum of two numbers, products of which are exact because the first has 26 bits
(the arrangement of Sun's fdlibm; reduction and polynomials are our own).
"""

from __future__ import annotations

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.value import Value, apply, constant, where
from lazygrad.kernel.expansions.coefficients import EXP2, POW_LOG, POW_SINGLE_EXP2, POW_SINGLE_LOG2
from lazygrad.kernel.expansions.float_format import (
    INFINITY,
    NAN,
    clamp,
    flip,
    leading_bits,
    magnitude,
    nearest,
    polynomial,
    power_of_two,
    scale,
    sign_of,
    split,
)
from lazygrad.kernel.expansions.rounding import trunc

LOW_HALF_BITS = 27  # clearing them leaves 26 bits: products of two such halves are exact
# 2/(3*ln(2)), as 26 bits and the rest.
TWO_THIRDS_LOG2_E = 0.9617966939259756
TWO_THIRDS_LOG2_E_HIGH = float.fromhex("0x1.ec709d8p-1")
TWO_THIRDS_LOG2_E_LOW = 7.872699542894897e-09
# So large that only x = 1 escapes overflow and underflow, and so small that nothing overflows on the way.
LARGEST_EXPONENT = 2.0**70
# Beyond these powers of two the result is 0 or infinity.
LOWEST_POWER = {float32: -160.0, float64: -1080.0}
HIGHEST_POWER = {float32: 140.0, float64: 1030.0}


def _power_single(size: Value, y: Value) -> Value:
    """``size**y`` for positive finite float32 size."""
    m, k = split(size)
    s = (m.cast(float64) - 1.0) / (m.cast(float64) + 1.0)
    logarithm = k.cast(float64) + s * polynomial(s * s, POW_SINGLE_LOG2["float64"])
    y = clamp(y, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    power = clamp(logarithm * y.cast(float64), LOWEST_POWER[float32], HIGHEST_POWER[float32])
    rounded, n = nearest(power)
    f = power - rounded
    mantissa = 1.0 + f * polynomial(f, POW_SINGLE_EXP2["float64"])
    return (mantissa * power_of_two(n, float64)).cast(float32)


def _log2_in_two_parts(size: Value) -> tuple[Value, Value]:
    """``(high, low)`` with log2(size) = high + low to about 64 bits, and 26 bits in high."""
    m, k = split(size)
    f = m - 1.0
    bottom = m + 1.0
    inverse = 1.0 / bottom
    s = f * inverse
    s_high = leading_bits(s, LOW_HALF_BITS)
    bottom_high = leading_bits(bottom, LOW_HALF_BITS)
    bottom_low = m - (bottom_high - 1.0)
    s_low = inverse * ((f - s_high * bottom_high) - s_high * bottom_low)
    # 3*atanh(s)/s = 3 + z + tail
    z = s * s
    tail = z * z * polynomial(z, POW_LOG["float64"]) + s_low * (s_high + s)
    z_high = s_high * s_high
    factor_high = leading_bits(3.0 + z_high + tail, LOW_HALF_BITS)
    factor_low = tail - ((factor_high - 3.0) - z_high)
    main = s_high * factor_high
    rest = s_low * factor_high + factor_low * s
    sum_high = leading_bits(main + rest, LOW_HALF_BITS)
    sum_low = rest - (sum_high - main)
    # times 2/(3*ln(2)), plus k
    product = TWO_THIRDS_LOG2_E_HIGH * sum_high
    product_low = TWO_THIRDS_LOG2_E_LOW * sum_high + sum_low * TWO_THIRDS_LOG2_E
    high = leading_bits((product + product_low) + k, LOW_HALF_BITS)
    return high, product_low - ((high - k) - product)


def _power_double(size: Value, y: Value) -> Value:
    """``size**y`` for positive finite float64 size."""
    high, low = _log2_in_two_parts(size)
    y = clamp(y, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    y_high = leading_bits(y, LOW_HALF_BITS)
    main = y_high * high
    rest = (y - y_high) * high + y * low
    power = main + rest
    rounded, n = nearest(power)
    f = (main - rounded) + rest
    result = scale(1.0 + f * polynomial(f, EXP2["float64"]), n)
    result = where(power > HIGHEST_POWER[float64], INFINITY, result)
    return where(power < LOWEST_POWER[float64], 0.0, result)


def pow(x: Value, y: Value) -> Value:
    """``x**y``."""
    size = magnitude(x)
    result = _power_single(size, y) if x.dtype is float32 else _power_double(size, y)
    # Zero and infinity, to a positive or a negative power.
    zero, infinite = size.equals(0.0), size.equals(INFINITY)
    grows = (zero & (y < 0.0)) | (infinite & (y > 0.0))
    edge = where(grows, constant(INFINITY, x.dtype), 0.0)
    result = where((zero | infinite) & y.equals(y), edge, result)
    # A negative base: the sign of an odd power, nan for a power that is no integer.
    integral = trunc(y).equals(y)
    odd = integral & trunc(y * 0.5).differs(y * 0.5)
    result = where(odd, flip(result, sign_of(x)), result)
    undefined = ((x < 0.0) & ~integral & ~infinite) | x.differs(x)
    result = where(undefined, NAN, result)
    return where(x.equals(1.0) | y.equals(0.0), 1.0, result)


def rsqrt(x: Value) -> Value:
    """``1/sqrt(x)``."""
    return 1.0 / apply("sqrt", x)
