"""Numbers that are the same in every framework and process: they follow from the name they are asked for under."""

from __future__ import annotations

from functools import lru_cache
from math import prod, sqrt
from typing import Any

import numpy

Array = numpy.ndarray[Any, Any]


@lru_cache(maxsize=1024)
def weights(name: str, shape: tuple[int, ...]) -> Array:
    """The initial values of a parameter: Kaiming's normal weights, biases of zero and norms of one."""
    if len(shape) < 2:
        return numpy.full(shape, float(name.endswith("weight")), numpy.float32)
    return normal(shape, name) * numpy.float32(sqrt(2 / prod(shape[1:])))


@lru_cache(maxsize=8)
def normal(shape: tuple[int, ...], name: str) -> Array:
    """Standard normal numbers, float32."""
    return numpy.random.default_rng([*name.encode()]).standard_normal(shape, numpy.float32)


def integers(below: int, shape: tuple[int, ...], name: str) -> Array:
    """Whole numbers from 0 on, int64."""
    return numpy.random.default_rng([*name.encode()]).integers(0, below, shape)


def forget() -> None:
    """Gives back what is remembered, so that it does not count as somebody's memory."""
    weights.cache_clear()
    normal.cache_clear()
