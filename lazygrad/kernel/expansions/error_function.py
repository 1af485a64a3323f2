"""erf: minus expm1 of a polynomial that is fitted to the logarithm of erfc, without cancellation near 0."""

from __future__ import annotations

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.value import Value
from lazygrad.kernel.expansions.coefficients import ERF
from lazygrad.kernel.expansions.exponential import minus_expm1_of_negative
from lazygrad.kernel.expansions.float_format import clamp, flip, magnitude, polynomial, sign_of

# From here on erf is 1 to the last bit.
SATURATED = {float32: 3.95, float64: 5.95}
# The polynomial's first coefficient without its last bits, which are the polynomial's: so it is not rounded.
LEAD = -1.125


def erf(x: Value) -> Value:
    """The error function."""
    size = clamp(magnitude(x), 0.0, SATURATED[x.dtype])
    logarithm = size * LEAD + size * polynomial(size, ERF[x.dtype.name])
    return flip(minus_expm1_of_negative(logarithm), sign_of(x))
