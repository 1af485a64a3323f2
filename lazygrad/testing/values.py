"""Input values of conformance cases: random numbers in the domain of an operation, and the edges of its dtype.

All draws come from a generator that the caller seeds, so a failing case fails again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.shape import Shape, size_of

Array = numpy.ndarray[Any, Any]
# From (generator, shape, dtype) to the values.
Domain = Callable[[numpy.random.Generator, Shape, DType], Array]


def _as(values: Any, dtype: DType) -> Array:
    return numpy.asarray(values).astype(dtype.numpy)


def normal(generator: numpy.random.Generator, shape: Shape, dtype: DType) -> Array:
    """Standard normal floats, integers from -9 (0 where there is no sign) to 9, or coin flips."""
    if dtype is bool_:
        return generator.integers(0, 2, shape).astype(bool)
    if dtype.is_integer:
        return _as(generator.integers(-9 if dtype.is_signed else 0, 10, shape), dtype)
    return _as(generator.standard_normal(shape), dtype)


def between(low: float, high: float) -> Domain:
    """Uniform floats from ``low`` to ``high``, or integers in that range with both ends."""

    def domain(generator: numpy.random.Generator, shape: Shape, dtype: DType) -> Array:
        if dtype.is_float:
            return _as(generator.uniform(low, high, shape), dtype)
        smallest = max(int(numpy.ceil(low)), int(dtype.minimum))
        return _as(generator.integers(smallest, int(numpy.floor(high)) + 1, shape), dtype)

    return domain


positive = between(0.5, 3)


def nonzero(generator: numpy.random.Generator, shape: Shape, dtype: DType) -> Array:
    """Of both signs, at least 0.25 (or 1) from zero."""
    values = positive(generator, shape, dtype)
    if not dtype.is_signed:
        return values
    return _as(numpy.where(generator.integers(0, 2, shape) == 1, values, -values), dtype)


def apart(generator: numpy.random.Generator, shape: Shape, dtype: DType) -> Array:
    """Different values in random order, at least 0.1 from each other and 0.05 from 0: no ties, no kinks."""
    size = size_of(shape)
    values: Array = numpy.arange(size) - size // 2
    if dtype.is_float:
        values = values * 0.1 + 0.05
    return _as(generator.permutation(values).reshape(shape), dtype)


def ties(generator: numpy.random.Generator, shape: Shape, dtype: DType) -> Array:
    """Few different values, so that many are equal."""
    return _as(generator.integers(0, 3, shape), dtype)


def below(extent: int) -> Domain:
    """Positions of an axis of ``extent``."""
    return lambda generator, shape, dtype: _as(generator.integers(0, extent, shape), dtype)


def permutation(generator: numpy.random.Generator, shape: Shape, dtype: DType) -> Array:
    """0, 1, ... in random order along the last axis."""
    extent = shape[-1] if shape else 1
    rows = numpy.argsort(generator.random((size_of(shape) // max(extent, 1), extent)), axis=1)
    return _as(rows.reshape(shape), dtype)


class Limits(NamedTuple):
    """Of a float dtype: the step above 1, the smallest normal, the smallest and the largest number."""

    eps: float
    tiny: float
    subnormal: float
    max: float


def limits_of(dtype: DType) -> Limits:
    """The limits of a float dtype."""
    import ml_dtypes

    found: Any = ml_dtypes.finfo(dtype.numpy)  # type: ignore[no-untyped-call]
    return Limits(float(found.eps), float(found.tiny), float(found.smallest_subnormal), float(found.max))


# Numbers at which implementations go wrong, beside the extremes of the dtype.
_SPECIAL = (1.5, 2.5, 3, 1e-5, 0.1, 0.75, numpy.pi, numpy.pi / 2, 20, 65, 87, 88.5, 100, 700, 1000, 12345.5, 1e6, 1e10)
_SPECIAL_INTEGERS = (0, 1, 2, 3, 7, 100, -1, -2, -7)


def edges(dtype: DType, few: bool = False) -> Array:
    """Signed zeros, infinities, nan, subnormals, extremes, halves, large arguments; ``few`` where pairs are taken."""
    if dtype is bool_:
        return numpy.array([False, True])
    low, high = dtype.minimum, dtype.maximum
    if dtype.is_integer:
        extremes = (high, high - 1, low, low + 1, low // 2, high // 2)
        return numpy.array([v for v in (*_SPECIAL_INTEGERS, *extremes) if low <= v <= high], dtype.numpy)
    limits = limits_of(dtype)
    values = [0.0, 0.5, 1, 2, numpy.inf, limits.tiny, limits.tiny / 2, limits.subnormal, limits.max, limits.max / 2]
    if not few:
        values += [limits.eps, 1 + limits.eps, 1 - limits.eps / 2, *_SPECIAL]
    signed = numpy.array([*values, *(-value for value in values), numpy.nan])
    with numpy.errstate(over="ignore"):
        return numpy.asarray(signed.astype(dtype.numpy))


def edge_pairs(dtype: DType) -> tuple[Array, Array]:
    """Every edge value against every other."""
    values = edges(dtype, few=True)
    left, right = numpy.meshgrid(values, values, indexing="ij")
    return left.reshape(-1).copy(), right.reshape(-1).copy()
