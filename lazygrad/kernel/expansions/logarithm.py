"""log, log2, log10 and log1p.

x = 2**k * m with sqrt(1/2) <= m < sqrt(2), f = m - 1 exactly, and log(1 + f) = 2*atanh(s) with s = f/(2 +
f), written as f - (h - s*(h + z*P(z))) with h = f*f/2 and z = s*s so that the leading terms keep all their
bits (the arrangement of Sun's fdlibm; the polynomials are our own fits).
"""

from __future__ import annotations

from dataclasses import dataclass

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.value import Value, where
from lazygrad.kernel.expansions.coefficients import LOG
from lazygrad.kernel.expansions.exponential import LN2_HIGH, LN2_LOW
from lazygrad.kernel.expansions.float_format import INFINITY, NAN, format_of, leading_bits, polynomial, split


def _half_square_and_tail(f: Value) -> tuple[Value, Value]:
    """``(h, t)`` with log(1 + f) = f - h + t and h = f*f/2."""
    s = f / (f + 2.0)
    z = s * s
    half_square = f * f * 0.5
    return half_square, s * (half_square + z * polynomial(z, LOG[f.dtype.name]))


def _with_edges(x: Value, zero: float, result: Value) -> Value:
    """The values at ``zero`` (minus infinity), below it (nan), at infinity and nan."""
    result = where(x < INFINITY, result, x)
    result = where(x > zero, result, where(x.equals(zero), -INFINITY, NAN + x))
    return result


def log(x: Value) -> Value:
    """The natural logarithm."""
    m, k = split(x)
    f = m - 1.0
    half_square, tail = _half_square_and_tail(f)
    result = k * LN2_HIGH[x.dtype] - ((half_square - (tail + k * LN2_LOW[x.dtype])) - f)
    return _with_edges(x, 0.0, result)


def log1p(x: Value) -> Value:
    """Log of u = 1 + x, with what u lost in rounding, divided by u, added to the smallest terms."""
    u = 1.0 + x
    from_x = u - x
    lost = (x - (u - from_x)) + (1.0 - from_x)
    m, k = split(u)
    f = m - 1.0
    half_square, tail = _half_square_and_tail(f)
    correction = k * LN2_LOW[x.dtype] + lost / u
    result = k * LN2_HIGH[x.dtype] - ((half_square - (tail + correction)) - f)
    return _with_edges(x, -1.0, where(x.equals(0.0), x, result))


@dataclass(frozen=True)
class _Base:
    """1/ln(base) and log_base(2), each in two parts, the first with few bits."""

    inverse_high: float
    inverse_low: float
    two_high: float
    two_low: float


_BASE_2 = {
    float32: _Base(1.4423828125, 0.0003122284, 1.0, 0.0),
    float64: _Base(float.fromhex("0x1.7154768p+0"), -1.0542692476429138e-08, 1.0, 0.0),
}
_BASE_10 = {
    float32: _Base(0.434326171875, -3.168997e-05, 0.301025390625, 4.605039e-06),
    float64: _Base(
        float.fromhex("0x1.bcb7b18p-2"),
        -2.6524694553078553e-09,
        float.fromhex("0x1.34413509f8p-2"),
        -8.532344317057107e-14,
    ),
}


def _log_to_base(x: Value, base: _Base) -> Value:
    """log(1 + f) = high + low; high has so few bits that its product with the base's high part is exact."""
    form = format_of(x)
    m, k = split(x)
    f = m - 1.0
    half_square, tail = _half_square_and_tail(f)
    high = leading_bits(f - half_square, form.mantissa // 2 + 1)
    low = (f - high) - half_square + tail
    small = k * base.two_low + ((low + high) * base.inverse_low + low * base.inverse_high)
    return _with_edges(x, 0.0, (small + high * base.inverse_high) + k * base.two_high)


def log2(x: Value) -> Value:
    """The logarithm to base 2."""
    return _log_to_base(x, _BASE_2[x.dtype])


def log10(x: Value) -> Value:
    """The logarithm to base 10."""
    return _log_to_base(x, _BASE_10[x.dtype])
