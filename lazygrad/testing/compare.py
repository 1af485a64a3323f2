"""Comparing arrays of results: shapes, special values, and numbers in units of the dtype's precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from lazygrad.ir.dtype import DType
from lazygrad.testing.row import Tolerance
from lazygrad.testing.values import Array, limits_of


@dataclass(frozen=True)
class Difference:
    """The worst element: where it is, what it is, what was expected, and by how much of what is allowed."""

    position: tuple[int, ...]
    found: object
    expected: object
    count: int
    size: int
    excess: float

    def __str__(self) -> str:
        amount = "" if numpy.isnan(self.excess) else f", {self.excess:.3g} times what is allowed"
        return (
            f"{self.count} of {self.size} elements differ, the worst at {list(self.position)}: {self.found!r} instead "
            f"of {self.expected!r}{amount}"
        )


def difference(
    found: Array, expected: Array, dtype: DType, tolerance: Tolerance, signed_zeros: bool = True
) -> Difference | str | None:
    """What is wrong with ``found``, or None.

    Infinities must be equal and nan be where nan is expected; zeros have their sign where ``signed_zeros``.
    """
    if found.shape != expected.shape:
        return f"shape {list(found.shape)} instead of {list(expected.shape)}"
    if not dtype.is_float:
        wrong = found != expected
        return _worst(found, expected, numpy.where(wrong, numpy.nan, 0.0), wrong)
    limits = limits_of(dtype)
    f, e = found.astype(numpy.float64), expected.astype(numpy.float64)
    with numpy.errstate(all="ignore"):
        finite = numpy.isfinite(e) & numpy.isfinite(f)
        largest = float(numpy.abs(e[numpy.isfinite(e)]).max()) if numpy.isfinite(e).any() else 0.0
        step = limits.eps
        # Below the normal numbers precision is absolute.
        relative = tolerance.relative * step * numpy.maximum(numpy.abs(e), limits.tiny)
        allowed = relative + tolerance.absolute * step * min(largest, limits.max)
        if tolerance.tiny:
            allowed = allowed + 2 * limits.tiny
        off = numpy.abs(f - e)
        wrong = numpy.where(finite, off > allowed, ~((f == e) | (numpy.isnan(f) & numpy.isnan(e))))
        if tolerance.relative or tolerance.absolute:
            # A result at the very end of the range may be rounded to infinity, and back.
            edge = numpy.abs(numpy.where(numpy.isfinite(e), e, f)) >= limits.max * (1 - 4 * tolerance.relative * step)
            wrong &= ~(edge & (numpy.isinf(f) != numpy.isinf(e)) & ~numpy.isnan(f) & ~numpy.isnan(e))
        if signed_zeros and not tolerance.absolute:
            wrong |= (f == 0) & (e == 0) & (numpy.signbit(f) != numpy.signbit(e))
        excess = numpy.where(
            finite, off / numpy.where(allowed > 0, allowed, step * numpy.maximum(numpy.abs(e), 1e-300)), numpy.nan
        )
    return _worst(found, expected, excess, wrong)


def _worst(found: Array, expected: Array, excess: Array, wrong: Array) -> Difference | None:
    count = int(numpy.count_nonzero(wrong))
    if not count:
        return None
    order = numpy.where(wrong, numpy.where(numpy.isnan(excess), numpy.inf, excess), -1.0)
    position = numpy.unravel_index(int(numpy.argmax(order)), wrong.shape) if wrong.shape else ()
    place = tuple(int(p) for p in position)
    return Difference(
        place, found[place].item(), expected[place].item(), count, max(wrong.size, 1), float(excess[place])
    )  # fmt: skip
