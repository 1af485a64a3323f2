"""Index algebra: any expression built by its operators has the value that the integers have, within its bounds."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazygrad.ir.index import (
    Bound,
    Index,
    Substitution,
    constant,
    evaluate,
    simplify_mask,
    substitute,
    variable,
    variables,
)

EXTENTS = {"i": 4, "j": 6, "k": 5}
VARIABLES = {name: variable(name, extent) for name, extent in EXTENTS.items()}
POINTS = [dict(zip(EXTENTS, point, strict=True)) for point in product(*(range(e) for e in EXTENTS.values()))]


class Pair:
    """An index and the plain function of integers that it should be."""

    def __init__(self, index, value):
        self.index, self.value = index, value


def _leaves():
    return st.one_of(
        st.sampled_from(sorted(EXTENTS)).map(lambda n: Pair(VARIABLES[n], lambda p: p[n])),
        st.integers(-9, 9).map(lambda c: Pair(constant(c), lambda p: c)),
    )


def _grow(inner):
    divisors = st.sampled_from([1, 2, 3, 4, 5, 6, 8, 12])
    return st.one_of(
        st.tuples(inner, inner).map(lambda t: Pair(t[0].index + t[1].index, lambda p: t[0].value(p) + t[1].value(p))),
        st.tuples(inner, inner).map(lambda t: Pair(t[0].index - t[1].index, lambda p: t[0].value(p) - t[1].value(p))),
        st.tuples(inner, st.integers(-7, 7)).map(lambda t: Pair(t[0].index * t[1], lambda p: t[0].value(p) * t[1])),
        st.tuples(inner, divisors).map(lambda t: Pair(t[0].index // t[1], lambda p: t[0].value(p) // t[1])),
        st.tuples(inner, divisors).map(lambda t: Pair(t[0].index % t[1], lambda p: t[0].value(p) % t[1])),
    )


expressions = st.recursive(_leaves(), _grow, max_leaves=8)


def value_at(index, point):
    return evaluate(index, lambda v: point[v.name])


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_values_and_bounds(pair):
    for point in POINTS:
        expected = pair.value(point)
        assert value_at(pair.index, point) == expected
        assert pair.index.low <= expected <= pair.index.high


@settings(max_examples=200, deadline=None)
@given(expressions, expressions)
def test_equal_expressions_have_equal_values(a, b):
    if a.index == b.index:
        assert hash(a.index) == hash(b.index)
        assert all(a.value(point) == b.value(point) for point in POINTS)
    assert a.index + b.index == b.index + a.index
    assert a.index - a.index == constant(0)


@settings(max_examples=200, deadline=None)
@given(expressions, expressions)
def test_substitution(outer, inner):
    """Putting an expression in for a variable is putting its value in."""
    shifted = inner.index % EXTENTS["i"]
    (target,) = variables(VARIABLES["i"])
    changed = substitute(outer.index, {target: shifted})
    for point in POINTS:
        there = {**point, "i": inner.value(point) % EXTENTS["i"]}
        assert value_at(changed, point) == outer.value(there)


@settings(max_examples=200, deadline=None)
@given(expressions, st.integers(1, 12))
def test_division_with_remainder_is_whole(pair, divisor):
    whole, rest = pair.index // divisor, pair.index % divisor
    for point in POINTS:
        assert value_at(whole * divisor + rest, point) == pair.value(point)
    assert rest.low >= 0
    assert rest.high < divisor


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(expressions, st.integers(-20, 20), st.integers(-20, 20)), max_size=4))
def test_masks_hold_where_their_bounds_do(bounds):
    mask = simplify_mask([Bound(pair.index, low, high) for pair, low, high in bounds])
    for point in POINTS:
        expected = all(low <= pair.value(point) < high for pair, low, high in bounds)
        found = all(bound.low <= value_at(bound.index, point) < bound.high for bound in mask)
        assert found == expected


def test_flattened_axes_come_apart_again():
    i, j, k = (VARIABLES[name] for name in "ijk")
    flat = (i * 6 + j) * 5 + k
    assert (flat // 30, (flat // 5) % 6, flat % 5) == (i, j, k)
    assert flat // 5 == i * 6 + j
    assert repr(flat) == "30*i + 5*j + k"


def test_pieces_join():
    j = VARIABLES["j"]
    assert (j // 2) * 2 + j % 2 == j
    assert (j * 6 + 3) // 6 == j
    assert ((j // 2) // 2) == j // 4
    assert (j % 6) == j


def test_an_axis_of_one_is_zero():
    assert variable("n", 1) == constant(0)
    assert constant(3).is_constant


def test_what_always_holds_is_no_mask():
    i = VARIABLES["i"]
    assert simplify_mask([Bound(i, 0, 4), Bound(i + 1, 0, 9)]) == ()
    (bound,) = simplify_mask([Bound(i, 1, 9), Bound(i, -3, 3)])
    assert repr(bound) == "1 <= i < 3"
    assert Bound(i, 5, 9).never


def test_division_by_what_is_not_positive():
    with pytest.raises(ValueError, match="divisor must be positive"):
        VARIABLES["i"] // 0


def test_substitution_remembers_shared_parts():
    index = VARIABLES["j"]
    for _ in range(60):
        index = (index // 1) * 1 + (index % 7) - (index % 7)
    assert isinstance(Substitution({})(index), Index)
