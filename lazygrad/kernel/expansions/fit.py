"""Prints the polynomial coefficients of ``coefficients.py``: ``python -m lazygrad.kernel.expansions.fit``.

Comes in: a function, an interval and a weight for each table below. Goes out: the polynomial that minimises
the largest weighted error (Remez exchange, 100 digits, mpmath), with its coefficients rounded to the format
they serve, and the error in bits that is left after the rounding. A tool for developers; the library never
imports it.

Each weight turns the polynomial's error into the relative error of the finished function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath  # type: ignore[import-untyped, import-not-found, unused-ignore]
import numpy
from mpmath import mp, mpf  # type: ignore[import-untyped, import-not-found, unused-ignore]

from lazygrad.kernel.expansions.error_function import LEAD as ERF_LEAD

GRID = 600  # points on which a round looks for the error's extremes
TINY = mpf(10) ** -20  # stands for 0 where a formula would be 0/0; costs 40 of the 100 digits
ROUNDS = 12  # the exchange converges in 4 to 8

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Fit:
    """One polynomial in ``x`` on [low, high], of degree ``single`` for float32 and ``double`` for float64."""

    name: str
    function: Function
    weight: Function
    low: Any
    high: Any
    single: int | None
    double: int | None


def in_square(odd: Function, power: int, lead: int) -> Function:
    """``(odd(t) - lead*t) / t**power`` as a function of ``z = t*t``."""

    def function(z: Any) -> Any:
        t = mp.sqrt(max(z, TINY))
        return (odd(t) - lead * t) / t**power

    return function


def fits() -> list[Fit]:
    """Every table, in the order of ``coefficients.py``."""
    half_ln2 = mp.log(2) / 2 * mpf("1.001")  # intervals are a little wider: the reduced argument is rounded
    half = mpf("0.5005")
    quarter_pi = (mp.pi / 4 * mpf("1.005")) ** 2
    ratio = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.001")
    tan_eighth = mp.tan(mp.pi / 8) ** 2 * mpf("1.001")
    one = mpf(1)
    return [
        Fit("EXP", exp_tail, lambda r: r * r / mp.exp(r), -half_ln2, half_ln2, 4, 9),
        Fit("EXP2", exp2_tail, lambda f: abs(f) / mpf(2) ** f, -half, half, 5, 10),
        Fit("LOG", in_square(lambda s: 2 * mp.atanh(s), 3, 2), lambda z: z / 2, 0 * one, ratio, 2, 6),
        Fit("POW_LOG", pow_tail, lambda z: z * z, 0 * one, ratio, None, 7),
        Fit(
            "POW_SINGLE_LOG2",
            in_square(lambda s: 2 * mp.atanh(s) / mp.log(2), 1, 0),
            lambda z: one / 3,
            0 * one,
            ratio,
            None,
            4,
        ),
        Fit("POW_SINGLE_EXP2", exp2_tail, lambda f: abs(f) / mpf(2) ** f, -half, half, None, 5),
        Fit("SIN", in_square(lambda t: -mp.sin(t), 3, -1), lambda z: z, 0 * one, quarter_pi, 2, 5),
        Fit("COS", cos_tail, lambda z: z * z, 0 * one, quarter_pi, 2, 5),
        Fit("ATAN", in_square(lambda t: -mp.atan(t), 3, -1), lambda z: z, 0 * one, tan_eighth, 4, 10),
        Fit("ASIN", in_square(mp.asin, 3, 1), lambda z: z, 0 * one, one / 4, 4, 11),
        Fit("ERF", erfc_tail, erfc_weight, 0 * one, mpf("3.95"), 8, None),
        Fit("ERF", erfc_tail, erfc_weight, 0 * one, mpf("5.95"), None, 23),
    ]


def exp_tail(r: Any) -> Any:
    """``(exp(r) - 1 - r) / r**2``."""
    return mpf(1) / 2 if abs(r) < TINY else (mp.exp(r) - 1 - r) / (r * r)


def exp2_tail(f: Any) -> Any:
    """``(2**f - 1) / f``."""
    return mp.log(2) if abs(f) < TINY else (mpf(2) ** f - 1) / f


def erfc_tail(t: Any) -> Any:
    """``log(erfc(t)) / t - lead``."""
    t = max(t, TINY)
    logarithm = mp.log1p(-mp.erf(t)) if t < mpf("0.1") else mp.log(mp.erfc(t))
    return logarithm / t - ERF_LEAD


def erfc_weight(t: Any) -> Any:
    """An error of the logarithm counts as much as erfc is large beside erf = 1 - erfc, which is wanted."""
    t = max(t, TINY)
    return t * mp.erfc(t) / mp.erf(t)


def cos_tail(z: Any) -> Any:
    """``(cos(t) - 1 + t*t/2) / t**4`` of ``z = t*t``."""
    z = max(z, TINY)
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / (z * z)


def pow_tail(z: Any) -> Any:
    """``r`` in ``atanh(s) = s/3 * (3 + z + z*z*r)`` of ``z = s*s``."""
    s = mp.sqrt(max(z, TINY))
    return (3 * mp.atanh(s) / s - 3 - s * s) / s**4


def remez(fit: Fit, degree: int) -> list[Any]:
    """The coefficients, lowest power first, that minimise the largest weighted error."""
    count = degree + 2
    middle, radius = (fit.high + fit.low) / 2, (fit.high - fit.low) / 2
    grid = [middle - radius * mp.cos(mp.pi * mpf(i) / GRID) for i in range(GRID + 1)]
    values, weights = [fit.function(x) for x in grid], [fit.weight(x) for x in grid]
    chosen = [round((i + 0.5) * GRID / count) for i in range(count)]
    coefficients: list[Any] = []
    for _ in range(ROUNDS):
        # A weight of zero (the point 0) cannot carry an equation with the alternating error.
        rows = [
            [*(grid[i] ** k for k in range(degree + 1)), (-1) ** n / max(weights[i], mpf(10) ** -40)]
            for n, i in enumerate(chosen)
        ]
        solved = mp.lu_solve(mpmath.matrix(rows), mpmath.matrix([values[i] for i in chosen]))
        coefficients = [solved[k] for k in range(degree + 1)]
        errors = [w * (mp.polyval(coefficients[::-1], x) - v) for x, v, w in zip(grid, values, weights, strict=True)]
        exchanged = extremes(errors, count)
        if exchanged == chosen:
            break
        chosen = exchanged
    return coefficients


def extremes(errors: list[Any], count: int) -> list[int]:
    """Indices of ``count`` neighbouring extremes of alternating sign, the largest ones."""
    peaks: list[int] = []
    for i, error in enumerate(errors):
        if peaks and (error > 0) == (errors[peaks[-1]] > 0):
            if abs(error) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > count:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    if len(peaks) < count:
        raise ArithmeticError(f"only {len(peaks)} of {count} extremes found: choose another degree or a finer GRID")
    return peaks


def error_bits(fit: Fit, coefficients: list[float]) -> float:
    """-log2 of the largest weighted error of the rounded polynomial."""
    points = [fit.low + (fit.high - fit.low) * mpf(i) / 997 for i in range(998)]
    exact = [mpf(c) for c in reversed(coefficients)]
    return float(-mp.log(max(fit.weight(x) * abs(mp.polyval(exact, x) - fit.function(x)) for x in points), 2))


def main() -> None:
    """Prints every table with the error that is left."""
    mp.dps = 100
    for fit in fits():
        for degree, kind in ((fit.single, numpy.float32), (fit.double, numpy.float64)):
            if degree is None:
                continue
            rounded = [kind(str(c)) for c in remez(fit, degree)]
            bits = error_bits(fit, [float(c) for c in rounded])
            print(f"# {fit.name} {kind.__name__}: degree {degree}, error 2**-{bits:.1f}")
            print("(" + ", ".join(map(str, rounded)) + ")")


if __name__ == "__main__":
    main()
