"""erf: an odd polynomial up to 1, and 1 - exp(x*P(x)) beyond, with x*P(x) fitted to log(erfc(x))."""

from __future__ import annotations

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.value import Value, where
from lazygrad.kernel.expansions.coefficients import ERF, ERFC
from lazygrad.kernel.expansions.exponential import exp_in_range
from lazygrad.kernel.expansions.float_format import clamp, flip, magnitude, polynomial, sign_of

# From here on erf is 1 to the last bit.
SATURATED = {float32: 3.95, float64: 5.95}


def erf(x: Value) -> Value:
    """The error function."""
    size = magnitude(x)
    z = size * size
    near = size + size * polynomial(z, ERF[x.dtype.name])
    bounded = clamp(size, 0.0, SATURATED[x.dtype])
    far = 1.0 - exp_in_range(bounded * polynomial(bounded, ERFC[x.dtype.name]))
    return flip(where(size < 1.0, near, far), sign_of(x))
