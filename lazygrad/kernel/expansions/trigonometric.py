"""sin, cos and tan: reduction by pi/2, then polynomials of our own fit for sin and cos on [-pi/4, pi/4]."""

from __future__ import annotations

from lazygrad.ir.value import Value, where
from lazygrad.kernel.expansions.coefficients import COS, SIN
from lazygrad.kernel.expansions.float_format import flip, polynomial, sign_of
from lazygrad.kernel.expansions.pi_reduction import reduce_by_half_pi


def _sin_and_cos(r: Value) -> tuple[Value, Value]:
    z = r * r
    sin = r - r * (z * polynomial(z, SIN[r.dtype.name]))
    cos = (1.0 - z * 0.5) + z * (z * polynomial(z, COS[r.dtype.name]))
    return sin, cos


def _quadrant_sign(n: Value, bits: int) -> Value:
    """The sign bit where n is 2 or 3 modulo 4."""
    return (n & 2) << (bits - 2)


def sin(x: Value) -> Value:
    """The sine; nan at infinity."""
    n, r = reduce_by_half_pi(x)
    small, large = _sin_and_cos(r)
    size = where((n & 1).equals(0), small, large)
    return flip(size, _quadrant_sign(n, x.dtype.bits) ^ sign_of(x))


def cos(x: Value) -> Value:
    """The cosine; nan at infinity."""
    n, r = reduce_by_half_pi(x)
    small, large = _sin_and_cos(r)
    size = where((n & 1).equals(0), large, small)
    return flip(size, _quadrant_sign(n + 1, x.dtype.bits))


def tan(x: Value) -> Value:
    """sin/cos, or -cos/sin in the odd quadrants."""
    n, r = reduce_by_half_pi(x)
    small, large = _sin_and_cos(r)
    even = (n & 1).equals(0)
    ratio = where(even, small, large) / where(even, large, small)
    odd_sign = (n & 1) << (x.dtype.bits - 1)
    return flip(ratio, odd_sign ^ sign_of(x))
