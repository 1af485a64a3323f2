"""Where an address can lie, given a mask: what the bounds of indices prove, and a counterexample by trying points.

In: an address, a mask and the size of a buffer. Out: None when every element that the mask admits is inside, else
words for an element that is not. Bounds decide the usual cases at once; what they cannot decide is tried out, fully
or on a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

from lazygrad.ir.index import Atom, Index, Mask, Variable, evaluate, variables

# Up to so many points all are tried; beyond it as many random ones.
TRIED_POINTS = 1 << 16


def bounds_under(address: Index, mask: Mask) -> tuple[int, int]:
    """Limits (both inclusive) of ``address`` where ``mask`` holds; not always the tightest.

    A masked sum of terms that is part of the address is taken as a whole: with ``0 <= i + j - 1 < 8`` the address
    ``16*i + 16*j - 16`` lies in 0..112, whatever the bounds of i and j are by themselves.
    """
    rest, low, high = dict(address.terms), address.constant, address.constant
    for bound in sorted(mask, key=lambda bound: -len(bound.index.terms)):
        inside = (max(bound.low, bound.index.low), min(bound.high - 1, bound.index.high))
        factor = _common_factor(bound.index, rest)
        if factor and inside[0] <= inside[1]:
            for atom, coefficient in bound.index.terms:
                rest[atom] -= factor * coefficient
            shift = -factor * bound.index.constant
            ends = (factor * inside[0] + shift, factor * inside[1] + shift)
            low, high = low + min(ends), high + max(ends)
    for atom, coefficient in rest.items():
        ends = (coefficient * atom.low, coefficient * atom.high)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _common_factor(index: Index, terms: Mapping[Atom, int]) -> int:
    """How often the whole of ``index`` (but for its constant) is in the sum ``terms``."""
    factors = {
        terms.get(atom, 0) // coefficient if terms.get(atom, 0) % coefficient == 0 else 0
        for atom, coefficient in index.terms
    }
    return factors.pop() if len(factors) == 1 else 0


def escape(address: Index, mask: Mask, size: int) -> str | None:
    """Words for a point where the mask holds and the address is outside ``0 <= address < size``; None if none is."""
    if any(bound.never for bound in mask):
        return None
    low, high = bounds_under(address, mask)
    if low >= 0 and high < size:
        return None
    names = sorted(
        variables(address).union(*(variables(bound.index) for bound in mask)), key=lambda variable: variable.order
    )
    points = _points(names)
    admitted: Any = numpy.ones((), bool)
    for bound in mask:
        index: Any = evaluate(bound.index, lambda v: points[v])
        admitted = admitted & (bound.low <= index) & (index < bound.high)
    addresses: Any = numpy.asarray(evaluate(address, lambda v: points[v]))
    outside = numpy.flatnonzero(admitted & ((addresses < 0) | (addresses >= size)))
    if not outside.size:
        return None
    first = outside[0]
    where = ", ".join(f"{v.name} = {points[v].reshape(-1)[first]}" for v in names)
    reached = numpy.broadcast_to(addresses, numpy.shape(outside) if not names else points[names[0]].shape)
    return f"element {reached.reshape(-1)[first]} of {size}" + (f" at {where}" if where else "")


def _points(names: list[Variable]) -> dict[Variable, Any]:
    """All points of the variables, or a random sample of them, as one array of values for each variable."""
    total = 1
    for variable in names:
        total *= variable.extent
    if total <= TRIED_POINTS:
        grids = numpy.indices([variable.extent for variable in names])
        return {variable: grid.reshape(-1) for variable, grid in zip(names, grids, strict=True)}
    random = numpy.random.default_rng(0)
    sampled = {variable: random.integers(0, variable.extent, TRIED_POINTS) for variable in names}
    for variable in names:  # mistakes live at the ends
        ends = random.integers(0, 8, TRIED_POINTS)
        sampled[variable] = numpy.where(ends == 0, 0, numpy.where(ends == 1, variable.extent - 1, sampled[variable]))
    return sampled
