"""exp, exp2, expm1 and what is built of them: sigmoid, tanh, sinh, cosh.

Cody and Waite's reduction: x = n*ln(2) + r with |r| <= ln(2)/2, ln(2) in two parts of which n times the
first is exact; then a polynomial of our own fit for exp(r) - 1, and the exponent added by multiplication,
twice, so that results round once into the subnormal numbers and overflow to infinity by themselves.
"""

from __future__ import annotations

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.value import Value, where
from lazygrad.kernel.expansions.coefficients import EXP, EXP2
from lazygrad.kernel.expansions.float_format import (
    INFINITY,
    clamp,
    flip,
    magnitude,
    nearest,
    polynomial,
    power_of_two,
    scale,
    sign_of,
)

LOG2_E = 1.4426950408889634
# ln(2): the first part has so few bits that n times it is exact, the second is the rest.
LN2_HIGH = {float32: 0.693359375, float64: float.fromhex("0x1.62e42ffp-1")}
LN2_LOW = {float32: -2.1219444e-04, float64: -4.2009150726810846e-11}
# Beyond these exp is 0 (below half the smallest subnormal); and infinity, as are exp/2, sinh and cosh.
EXP_LOW = {float32: -105.0, float64: -747.0}
EXP_HIGH = {float32: 89.5, float64: 710.5}
# Below this expm1 is -1, and above it tanh is 1, to the last bit.
SATURATED = {float32: 18.0, float64: 40.0}
# The negative exponent of sigmoid's factor: the largest power above is infinity with it. Where exp is less than the
# second, sigmoid is 1, and the power must not become subnormal.
SIGMOID_SHIFT = {float32: 23, float64: 54}
SIGMOID_ONE = {float32: -70.0, float64: -660.0}
# Below this expm1(x) = x to the last bit; the path for larger x loses a subnormal's last bits.
NEGLIGIBLE_SQUARE = {float32: 2.0**-26, float64: 2.0**-55}


def _reduce(x: Value) -> tuple[Value, Value]:
    """``(n, exp(r) - 1)`` with x = n*ln(2) + r and n an integer value."""
    rounded, n = nearest(x * LOG2_E)
    r = x - rounded * LN2_HIGH[x.dtype] - rounded * LN2_LOW[x.dtype]
    return n, r + r * r * polynomial(r, EXP[x.dtype.name])


def exp(x: Value) -> Value:
    """``e**x``."""
    n, tail = _reduce(clamp(x, EXP_LOW[x.dtype], EXP_HIGH[x.dtype]))
    return scale(1.0 + tail, n)


def minus_expm1_of_negative(x: Value) -> Value:
    """``1 - exp(x)`` without cancellation for x of at most 0 whose exponential is a normal number."""
    n, tail = _reduce(x)
    power = power_of_two(n, x.dtype)
    return (1.0 - power) - power * tail


def exp2(x: Value) -> Value:
    """``2**x``."""
    x = clamp(x, EXP_LOW[x.dtype] * 1.5, EXP_HIGH[x.dtype] * 1.5)
    rounded, n = nearest(x)
    fraction = x - rounded
    return scale(1.0 + fraction * polynomial(fraction, EXP2[x.dtype.name]), n)


def _quarter_expm1(x: Value) -> Value:
    """``expm1(x)/4``: the quarter keeps 2**n finite up to where expm1/2 overflows."""
    n, tail = _reduce(x)
    power = power_of_two(n - 2, x.dtype)
    return power * tail + (power - 0.25)


def expm1(x: Value) -> Value:
    """``exp(x) - 1`` without cancellation near 0."""
    bounded = clamp(x, -SATURATED[x.dtype], EXP_HIGH[x.dtype])
    return where(magnitude(x) < NEGLIGIBLE_SQUARE[x.dtype], x, _quarter_expm1(bounded) * 4.0)


def sigmoid(x: Value) -> Value:
    """``c/(c + c*exp(-x))`` with a power of two c so small that the right term is finite where the result is not 0.

    So the power that exp ends with needs no second one, and the subnormal tail is accurate.
    """
    n, tail = _reduce(clamp(-x, SIGMOID_ONE[x.dtype], -EXP_LOW[x.dtype]))
    power = power_of_two(n - SIGMOID_SHIFT[x.dtype], x.dtype)
    small = 2.0 ** -SIGMOID_SHIFT[x.dtype]
    return small / (small + power * (1.0 + tail))


def tanh(x: Value) -> Value:
    """``q / (2 - q)`` with q = 1 - exp(-2|x|), and the sign of x."""
    doubled = magnitude(x) * -2.0
    limit = -SATURATED[x.dtype]
    q = minus_expm1_of_negative(where(doubled < limit, limit, doubled))
    return flip(q / (2.0 - q), sign_of(x))


def sinh(x: Value) -> Value:
    """With h = expm1(|x|)/2: ``h + h/(2h + 1)``, which overflows where sinh does."""
    size = magnitude(x)
    half = _quarter_expm1(clamp(size, 0.0, EXP_HIGH[x.dtype])) * 2.0
    rest = where(half < INFINITY, half / (half * 2.0 + 1.0), half)
    return flip(where(size < NEGLIGIBLE_SQUARE[x.dtype], size, half + rest), sign_of(x))


def cosh(x: Value) -> Value:
    """With q = exp(|x|)/4: ``2q + 1/(8q)``, which overflows where cosh does."""
    n, tail = _reduce(clamp(magnitude(x), 0.0, EXP_HIGH[x.dtype]))
    quarter = (1.0 + tail) * power_of_two(n - 2, x.dtype)
    return quarter * 2.0 + 0.125 / quarter
