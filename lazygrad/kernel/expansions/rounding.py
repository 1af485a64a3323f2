"""floor, ceil, trunc, round (ties to even), and the tests for nan and infinity.

For targets whose compiler has no vector instruction for them at hand: below 2**mantissa, adding that number
rounds to an integer; above it every float is one. Exact.
"""

from __future__ import annotations

from lazygrad.ir.value import Value, where
from lazygrad.kernel.expansions.float_format import INFINITY, flip, format_of, magnitude, sign_of


def _round_magnitude(size: Value) -> Value:
    limit = format_of(size).all_integers
    return where(size < limit, (size + limit) - limit, size)


def round_half_even(x: Value) -> Value:
    """The nearest integer, ties to even; -0.4 gives -0."""
    return flip(_round_magnitude(magnitude(x)), sign_of(x))


def trunc(x: Value) -> Value:
    """The integer next towards zero."""
    size = magnitude(x)
    rounded = _round_magnitude(size)
    return flip(where(rounded > size, rounded - 1.0, rounded), sign_of(x))


def floor(x: Value) -> Value:
    """The largest integer not above x."""
    rounded = round_half_even(x)
    return where(rounded > x, rounded - 1.0, rounded)


def ceil(x: Value) -> Value:
    """The smallest integer not below x; -0.5 gives -0."""
    return -floor(-x)


def isnan(x: Value) -> Value:
    """Whether x is nan."""
    return x.differs(x)


def isinf(x: Value) -> Value:
    """Whether x is infinity of either sign."""
    return magnitude(x).equals(INFINITY)


def isfinite(x: Value) -> Value:
    """Whether x is neither nan nor infinity."""
    return magnitude(x) < INFINITY
