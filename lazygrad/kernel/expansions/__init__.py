"""Expansions: transcendental and rounding operations written in additions, multiplications, selections and
bits.

Comes in: the values an operation is applied to. Goes out: one value that uses only arithmetic, comparisons,
``where``, integer bit operations, casts and bitcasts (and the device's square root). Code generators whose
vectors have no fast built-in print this instead. Every expansion is free of branches and tables, and right
for every input: signed zeros, subnormals, infinities, nan. Largest errors are stated in units in the last
place and tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lazygrad.ir.dtype import bool_, float32
from lazygrad.ir.value import Value
from lazygrad.kernel.expansions.error_function import erf
from lazygrad.kernel.expansions.exponential import cosh, exp, exp2, expm1, sigmoid, sinh, tanh
from lazygrad.kernel.expansions.inverse_trigonometric import acos, asin, atan, atan2
from lazygrad.kernel.expansions.logarithm import log, log1p, log2, log10
from lazygrad.kernel.expansions.power import pow, rsqrt
from lazygrad.kernel.expansions.remainder import floor_divide, fmod, remainder
from lazygrad.kernel.expansions.rounding import ceil, floor, isfinite, isinf, isnan, round_half_even, trunc
from lazygrad.kernel.expansions.trigonometric import cos, sin, tan


@dataclass(frozen=True)
class Expansion:
    """One operation's expansion for float32 and float64; narrower floats compute in float32.

    ``ulp`` bounds the error by dtype name, in units in the last place of the exact result; 0.5 is correctly
    rounded, 0 exact. ``source`` says what it is built on.
    """

    name: str
    function: Callable[..., Value]
    ulp: dict[str, float]
    source: str


def _widened(function: Callable[..., Value]) -> Callable[..., Value]:
    """Lets float16 and bfloat16 compute in float32, and round back."""

    def expansion(*arguments: Value) -> Value:
        dtype = arguments[0].dtype
        if dtype.bits >= float32.bits:
            return function(*arguments)
        result = function(*(argument.cast(float32) for argument in arguments))
        return result if result.dtype is bool_ else result.cast(dtype)

    return expansion


def _expansion(function: Callable[..., Value], single: float, double: float, source: str, name: str = "") -> Expansion:
    return Expansion(name or function.__name__, _widened(function), {"float32": single, "float64": double}, source)


_EXP = "Cody-Waite reduction by ln(2), own minimax polynomial"
_LOG = "2*atanh(f/(2+f)) arranged as in fdlibm, own minimax polynomial"
_TRIG = "Payne-Hanek in float64 (float32) and in integers (float64), own minimax polynomials"
_ATAN = "three intervals with one division, own minimax polynomial"
_POW = "2**(y*log2|x|), for float32 in float64, for float64 with a logarithm in two parts as in fdlibm"
_ROUND = "adding and subtracting 2**mantissa"

EXPANSIONS: dict[str, Expansion] = {
    expansion.name: expansion
    for expansion in (
        _expansion(exp, 1.0, 1.0, _EXP),
        _expansion(exp2, 1.3, 1.3, _EXP),
        _expansion(expm1, 2.0, 2.5, _EXP),
        _expansion(sigmoid, 2.5, 2.5, "exp(-x) and a division"),
        _expansion(tanh, 3.0, 3.0, "q/(2 - q) with q = 1 - exp(-2|x|)"),
        _expansion(sinh, 2.5, 3.0, "expm1 and a division"),
        _expansion(cosh, 1.5, 1.5, "exp and a division"),
        _expansion(log, 0.9, 0.9, _LOG),
        _expansion(log2, 0.9, 0.9, _LOG),
        _expansion(log10, 0.9, 0.9, _LOG),
        _expansion(log1p, 0.9, 0.9, _LOG),
        _expansion(pow, 0.6, 1.5, _POW),
        _expansion(rsqrt, 1.5, 1.5, "1/sqrt(x)"),
        _expansion(sin, 1.7, 1.8, _TRIG),
        _expansion(cos, 1.7, 1.8, _TRIG),
        _expansion(tan, 4.0, 4.0, _TRIG),
        _expansion(asin, 1.7, 1.8, "own minimax polynomial, pi/2 - 2*asin(sqrt((1-x)/2)) beyond 1/2"),
        _expansion(acos, 1.3, 1.3, "own minimax polynomial, 2*asin(sqrt((1-x)/2)) beyond 1/2"),
        _expansion(atan, 2.0, 2.0, _ATAN),
        _expansion(atan2, 2.0, 2.0, _ATAN),
        _expansion(erf, 2.2, 2.2, "-expm1(P), own minimax polynomial of log(erfc)"),
        _expansion(floor, 0.0, 0.0, _ROUND),
        _expansion(ceil, 0.0, 0.0, _ROUND),
        _expansion(trunc, 0.0, 0.0, _ROUND),
        _expansion(round_half_even, 0.0, 0.0, _ROUND, "round"),
        _expansion(fmod, 0.0, 0.0, "exact partial quotients, nan from |x/y| = 2**50 on"),
        _expansion(remainder, 0.5, 0.5, "fmod, brought to the divisor's sign"),
        _expansion(floor_divide, 0.0, 0.0, "torch's formula on fmod, the same bits"),
        _expansion(isnan, 0.0, 0.0, "x != x"),
        _expansion(isinf, 0.0, 0.0, "comparison of the magnitude"),
        _expansion(isfinite, 0.0, 0.0, "comparison of the magnitude"),
    )
}
