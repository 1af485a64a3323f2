"""Argument reduction for sin, cos and tan: |x| = n * pi/2 + r with |r| <= pi/4 (a little more), n modulo 4.

Right for every finite x (Payne and Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18,
1983): the product of x with 2/pi is wanted modulo 4 only, so of 2/pi only a window of bits matters, which depends
on x's exponent. No branch, no table in memory: windows are selected from constants.

Here float32: a window of 116 bits, one of three, as four constants of 29 bits each. Computed in float64, where the
product of 24 bits with 29 bits is exact. float64 has a file of its own.
"""

from __future__ import annotations

from lazygrad.ir.dtype import float32, float64, int32
from lazygrad.ir.value import Value, where
from lazygrad.kernel.expansions.float_format import magnitude, nearest
from lazygrad.kernel.expansions.pi_reduction_double import reduce_double
from lazygrad.kernel.expansions.two_over_pi import two_over_pi

HALF_PI = 1.5707963267948966

# Exponents at which a window begins; the last ends at 2**128, where float32 does.
WINDOW_STARTS = (0, 56, 92)
CHUNK_BITS = 29  # 24 bits of x and 29 bits of 2/pi fill a float64
CHUNKS = 4


def _window(start: int) -> tuple[float, ...]:
    """The chunks of 2/pi that decide x * 2/pi modulo 4 for x >= 2**start.

    The last bit of such an x weighs at least 2**(start - 23): bits of 2/pi that make multiples of 4 of it
    are left out. What follows the last chunk adds less than 2**-55 for x below the next window.
    """
    top = 0 if start == 0 else 25 - start
    chunks = []
    for chunk in range(CHUNKS):
        lowest = top - CHUNK_BITS * (chunk + 1)  # the weight of the chunk's last bit is 2**lowest
        bits = two_over_pi(-lowest) & ((1 << CHUNK_BITS) - 1)
        chunks.append(bits * 2.0**lowest)
    return tuple(chunks)


def _modulo_4(product: Value) -> Value:
    """The product less a near multiple of 4, exactly (adding 1.5 * 2**54 rounds to a multiple of 4)."""
    shift = 1.5 * 2.0**54
    return product - ((product + shift) - shift)


def _reduce_single(x: Value) -> tuple[Value, Value]:
    size = magnitude(x)
    # x in its own window and 0 in the others makes the choice of constants a sum of products with one term.
    middle, high = (2.0**start for start in WINDOW_STARTS[1:])
    parts = [where(size < middle, size, 0.0), where(size < middle, 0.0, size), where(size < high, 0.0, size)]
    parts[1] = where(size < high, parts[1], 0.0)
    wide = [part.cast(float64) for part in parts]
    products = []
    for chunks in zip(*map(_window, WINDOW_STARTS), strict=True):
        low_term, middle_term, high_term = (part * chunk for part, chunk in zip(wide, chunks, strict=True))
        products.append(low_term + middle_term + high_term)
    first, second = _modulo_4(products[0]), _modulo_4(products[1])
    quotient, n = nearest((first + second) + products[2])
    fraction = ((first - quotient) + second) + (products[2] + products[3])
    return n.cast(int32), (fraction * HALF_PI).cast(float32)


def reduce_by_half_pi(x: Value) -> tuple[Value, Value]:
    """``(n, r)``: n an integer as wide as x, of which two bits count; r is nan for infinity and nan."""
    return _reduce_single(x) if x.dtype is float32 else reduce_double(x)
