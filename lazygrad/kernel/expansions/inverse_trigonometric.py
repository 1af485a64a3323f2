"""atan, atan2, asin and acos.

atan: |x| is brought into [0, tan(pi/8)] by atan(x) = pi/4 + atan((x-1)/(x+1)) or pi/2 + atan(-1/x), with
one division for all cases; the constant is added in two parts. asin: a polynomial up to 1/2, beyond it pi/2
- 2*asin(sqrt((1-x)/2)). Our own fits. The square root is the device's own.
"""

from __future__ import annotations

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.value import Value, apply, constant, where
from lazygrad.kernel.expansions.coefficients import ASIN, ATAN
from lazygrad.kernel.expansions.float_format import (
    INFINITY,
    bits_of,
    flip,
    format_of,
    magnitude,
    polynomial,
    sign_of,
)

TAN_1_EIGHTH_PI = 0.41421356237309503
TAN_3_EIGHTHS_PI = 2.414213562373095
PI = {float32: 3.1415927, float64: 3.141592653589793}
# pi/2 as a format's number, and what it lacks.
HALF_PI_HIGH = {float32: 1.5707964, float64: 1.5707963267948966}
HALF_PI_LOW = {float32: -4.371139e-08, float64: 6.123233995736766e-17}


def _atan_of_ratio(numerator: Value, denominator: Value) -> Value:
    """``atan(numerator/denominator)`` for non-negative numbers, not both 0, not both infinite."""
    dtype = numerator.dtype
    large = numerator > denominator * TAN_3_EIGHTHS_PI
    middle = numerator > denominator * TAN_1_EIGHTH_PI
    top = where(large, -denominator, where(middle, numerator - denominator, numerator))
    bottom = where(large, numerator, where(middle, numerator + denominator, denominator))
    t = top / bottom
    z = t * t
    high, low = HALF_PI_HIGH[dtype], HALF_PI_LOW[dtype]
    offset = where(large, high, where(middle, constant(high / 2, dtype), 0.0))
    rest = where(large, low, where(middle, constant(low / 2, dtype), 0.0))
    return offset + (t - (t * (z * polynomial(z, ATAN[dtype.name])) - rest))


def atan(x: Value) -> Value:
    """The angle in [-pi/2, pi/2]."""
    size = magnitude(x)
    return flip(_atan_of_ratio(size, constant(1.0, x.dtype)), sign_of(x))


def atan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y), with C's values at zeros and infinities."""
    dtype = x.dtype
    rise, run = magnitude(y), magnitude(x)
    # Their sum must not overflow.
    huge = format_of(x).largest_power
    shrink = where((rise >= huge) | (run >= huge), constant(0.25, dtype), 1.0)
    rise, run = rise * shrink, run * shrink
    # Equal infinities make 45 degrees, two zeros 0: replaced by numbers that do.
    both_infinite = rise.equals(INFINITY) & run.equals(INFINITY)
    both_zero = rise.equals(0.0) & run.equals(0.0)
    rise = where(both_infinite, 1.0, rise)
    run = where(both_infinite | both_zero, 1.0, run)
    angle = _atan_of_ratio(rise, run)
    left = bits_of(x) < 0
    angle = where(left, PI[dtype] - (angle - 2.0 * HALF_PI_LOW[dtype]), angle)
    return flip(angle, sign_of(y))


def _asin_tail(x: Value, z: Value) -> Value:
    """``asin(x) - x`` for 0 <= x <= 1/2 with z = x*x."""
    return x * (z * polynomial(z, ASIN[x.dtype.name]))


def asin(x: Value) -> Value:
    """The angle in [-pi/2, pi/2]; nan outside [-1, 1]."""
    size = magnitude(x)
    large = size > 0.5
    z = where(large, (1.0 - size) * 0.5, size * size)
    root = where(large, apply("sqrt", z), size)
    tail = _asin_tail(root, z)
    high, low = HALF_PI_HIGH[x.dtype], HALF_PI_LOW[x.dtype]
    result = where(large, high - (2.0 * root + (2.0 * tail - low)), root + tail)
    return flip(result, sign_of(x))


def acos(x: Value) -> Value:
    """The angle in [0, pi]; nan outside [-1, 1]."""
    size = magnitude(x)
    large = size > 0.5
    z = where(large, (1.0 - size) * 0.5, size * size)
    root = where(large, apply("sqrt", z), size)
    tail = _asin_tail(root, z)
    high, low = HALF_PI_HIGH[x.dtype], HALF_PI_LOW[x.dtype]
    double = 2.0 * (root + tail)
    sign = sign_of(x)
    near_one = where(x < 0.0, PI[x.dtype] - (double - 2.0 * low), double)
    return where(large, near_one, high - (flip(root, sign) + (flip(tail, sign) - low)))
