"""Reductions: all axes, ties, nan, nothing to reduce, long and short axes."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy

from lazygrad.ir.dtype import DType, bool_
from lazygrad.testing import values
from lazygrad.testing.row import ALL, EXACT, FLOATS, NUMBERS, SINGLE, SUMMED, Case, Row, Tolerance, case, data, tensor
from lazygrad.testing.values import Domain, between, normal

# Shapes with the axes that are reduced; None means all.
_REDUCED: tuple[tuple[tuple[int, ...], int | tuple[int, ...] | None], ...] = (
    ((7,), 0), ((33,), 0), ((1,), 0), ((3, 5), 0), ((3, 5), 1), ((3, 5), (0, 1)), ((2, 9, 4), 1),
    ((2, 9, 4), (0, 2)), ((2, 1, 4), 1), ((5, 129), 1), ((129, 5), 0), ((2, 17, 33), None), ((8, 8), -1),
)  # fmt: skip
# Every so many-th case is taken by a reduction that takes turns.
_TURNS = 6
_EMPTY: tuple[tuple[tuple[int, ...], int | tuple[int, ...] | None], ...] = (((0,), 0), ((0, 3), 0), ((3, 0), None))


def _cases(domain: Domain, name: str = "", empty: bool = True, several: bool = True) -> tuple[Case, ...]:
    """Every shape, axis and view for the reduction whose name is empty, a few of them, in turn, for each other one."""
    shapes = _REDUCED + (_EMPTY if empty else ())
    cases = tuple(
        case(tensor(*shape, domain=domain), dim=dim, keepdim=keepdim)
        for number, (shape, dim) in enumerate(shapes)
        for keepdim in ((False, True) if number % 4 == 0 else (number % 2 == 0,))
        if several or isinstance(dim, int)
    )
    viewed = case(tensor(5, 8, domain=domain, look=lambda m, x: x.permute(1, 0)[::2]), dim=1, keepdim=False)
    cases = (*cases, viewed)
    start = crc32(name.encode()) % _TURNS
    return cases if not name else (case(tensor(3, 19, domain=domain), dim=1, keepdim=False), *cases[start::_TURNS])


def _edges(dtype: DType, **options: Any) -> tuple[Case, ...]:
    """Rows with a nan, with infinities, with both signs of zero."""
    if not dtype.is_float:
        extremes = values.edges(dtype)
        return (case(data(extremes), **options),)
    rows = [[1, numpy.nan, 3, -2], [numpy.inf, 1, -numpy.inf, 0], [-numpy.inf, -1, -2, -3], [0.0, 1, 1, 0.5]]
    return tuple(case(data(row), **options) for row in rows)


def _by_dim(name: str) -> Any:
    def function(m: Any, x: Any, dim: Any, keepdim: bool) -> Any:
        if dim is None:
            return getattr(m, name)(x)
        return getattr(m, name)(x, dim, keepdim)

    return function


def _prod(m: Any, x: Any, dim: Any, keepdim: bool) -> Any:
    return m.prod(x) if dim is None else m.prod(x, dim, keepdim)


def _with_zeros(extent: int) -> values.Array:
    """Rows with no, one, two and three zeros, at both ends and inside."""
    rows = numpy.linspace(0.7, 1.4, 4 * extent).reshape(4, extent)
    for row, places in enumerate(((), (1,), (0, extent - 1), (0, extent // 2, extent - 1))):
        rows[row, list(places)] = 0
    return rows


def _extremum(name: str) -> Any:
    def function(m: Any, x: Any, dim: Any, keepdim: bool) -> Any:
        if dim is None:
            return getattr(m, name)(x)
        found = getattr(m, name)(x, dim, keepdim)
        return found.values, found.indices

    return function


_OPTIONS = {"dim": 0, "keepdim": False}
ROWS: tuple[Row, ...] = (
    Row(name="sum of all shapes", function=_by_dim("sum"), cases=_cases(normal), dtypes=SINGLE, tolerance=SUMMED),
    Row(name="amax of all shapes", function=_by_dim("amax"), cases=_cases(values.apart, empty=False), dtypes=SINGLE,
        tolerance=EXACT, second_order=False),
    Row(name="sum", function=_by_dim("sum"), cases=_cases(normal, "sum"), dtypes=ALL, tolerance=SUMMED,
        edge_cases=lambda dtype: _edges(dtype, **_OPTIONS)),
    Row(name="mean", function=_by_dim("mean"), cases=_cases(normal, "mean", empty=False), tolerance=SUMMED,
        edge_cases=lambda dtype: _edges(dtype, **_OPTIONS)),
    Row(name="prod", function=_prod, cases=_cases(between(0.8, 1.2), "prod", several=False), dtypes=NUMBERS,
        tolerance=Tolerance(64, 16), edge_cases=lambda dtype: _edges(dtype, **_OPTIONS) if dtype.is_float else ()),
    Row(name="prod with zeros", function=_prod, dtypes=FLOATS, tolerance=Tolerance(64, 16),
        cases=(case(data([[2.0, 3, 4], [0, 3, 4], [0, 0, 4], [0, 0, 0]]), dim=1, keepdim=False),
               case(data(_with_zeros(21)), dim=1, keepdim=False), case(data(_with_zeros(18).T), dim=0, keepdim=True),
               case(data(_with_zeros(4).reshape(4, 4)[:2]), dim=None, keepdim=False),
               case(data(_with_zeros(3).reshape(2, 2, 3)), dim=1, keepdim=False))),
    Row(name="amax", function=_by_dim("amax"), cases=_cases(values.apart, "amax", empty=False), dtypes=NUMBERS,
        tolerance=EXACT,
        edge_cases=lambda dtype: _edges(dtype, **_OPTIONS), second_order=False, signed_zeros=False),
    Row(name="amin", function=_by_dim("amin"), cases=_cases(values.apart, "amin", empty=False), dtypes=NUMBERS,
        tolerance=EXACT,
        edge_cases=lambda dtype: _edges(dtype, **_OPTIONS), second_order=False, signed_zeros=False),
    Row(name="max", function=_extremum("max"), cases=_cases(values.apart, "max", empty=False, several=False),
        dtypes=NUMBERS,
        tolerance=EXACT, edge_cases=lambda dtype: _edges(dtype, **_OPTIONS), second_order=False, signed_zeros=False),
    Row(name="min", function=_extremum("min"), cases=_cases(values.apart, "min", empty=False, several=False),
        dtypes=NUMBERS,
        tolerance=EXACT, edge_cases=lambda dtype: _edges(dtype, **_OPTIONS), second_order=False, signed_zeros=False),
    Row(name="argmax", function=_by_dim("argmax"), cases=_cases(values.apart, "argmax", empty=False, several=False),
        dtypes=NUMBERS, tolerance=EXACT, gradients=False, edge_cases=lambda dtype: _edges(dtype, **_OPTIONS)),
    Row(name="argmin", function=_by_dim("argmin"), cases=_cases(values.apart, "argmin", empty=False, several=False),
        dtypes=NUMBERS, tolerance=EXACT, gradients=False, edge_cases=lambda dtype: _edges(dtype, **_OPTIONS)),
    Row(name="any", function=_by_dim("any"), cases=_cases(normal, "any", several=False), dtypes=ALL, tolerance=EXACT,
        gradients=False),
    Row(name="all", function=_by_dim("all"), cases=_cases(normal, "all", several=False), dtypes=ALL, tolerance=EXACT,
        gradients=False),
    Row(name="var and std", function=lambda m, x, dim, correction: (
            m.var(x, dim=dim, correction=correction), m.std(x, dim=dim, correction=correction)),
        cases=tuple(case(tensor(4, 9), dim=dim, correction=c) for dim in (0, 1) for c in (0, 1)),
        tolerance=Tolerance(64, 64)),
    Row(name="logsumexp", function=lambda m, x, dim: m.logsumexp(x, dim), tolerance=Tolerance(16, 16),
        cases=(case(tensor(3, 9), dim=1), case(tensor(3, 9), dim=0), case(tensor(2, 3, 4), dim=(0, 2))),
        edge_cases=lambda dtype: (case(data([[1000.0, 1000], [-1000, -1001], [0, -numpy.inf]]), dim=1),)),
    Row(name="cumsum", function=lambda m, x, dim: m.cumsum(x, dim), dtypes=NUMBERS, tolerance=SUMMED,
        cases=(case(tensor(9), dim=0), case(tensor(3, 7), dim=1), case(tensor(3, 7), dim=0))),
    Row(name="ties share the gradient", function=lambda m, x: (m.amax(x, 1), m.amin(x, 0)), dtypes=FLOATS,
        tolerance=EXACT, cases=(case(tensor(4, 9, domain=values.ties)),), gradients=False),
    Row(name="count of bools", function=lambda m, x: (x.sum(), x.sum(0), x.any(), x.all(), x.to(m.float32).mean()),
        cases=(case(tensor(5, 7)),), dtypes=(bool_,), tolerance=SUMMED, gradients=False),
)  # fmt: skip
