from __future__ import annotations

import pytest

from lazygrad.ir.dtype import float32
from lazygrad.ir.index import Bound, Index, Variable, variable
from lazygrad.kernel.axes import canonical_axes, depends, stride
from lazygrad.kernel.kernel import Access, Body, Reduction, Stage, Store
from unit.kernel.kernels import load, reduced, softmax


def axes(*extents, letter="i"):
    return tuple(Variable(f"{letter}{n}", extent) for n, extent in enumerate(extents))


def row_major(of, order=None):
    total = Index(0)
    for axis in of if order is None else [of[n] for n in order]:
        total = total * axis.extent + variable(axis.name, axis.extent)
    return total


def storing(body_axes, *addresses):
    """A body that stores to buffer 0 at the first address what it loads at the others."""
    value = load(1, addresses[1])
    for number, address in enumerate(addresses[2:], 2):
        value = value + load(number, address)
    return Body(body_axes, (Stage((), (), (Store(Access(0, addresses[0]), value),)),))


def extents(body):
    return tuple(axis.extent for axis in body.axes)


def test_axes_that_all_accesses_walk_through_become_one():
    of = axes(2, 3, 4)
    body = canonical_axes(storing(of, row_major(of), row_major(of)))
    assert extents(body) == (24,)
    (store,) = body.stages[0].stores
    (axis,) = body.axes
    assert store.access.address == Index(0, ((axis, 1),))


def test_order_of_axes_does_not_matter():
    of = axes(2, 3, 4)
    turned = row_major(of, (2, 0, 1))
    assert extents(canonical_axes(storing(of, turned, turned))) == (24,)


def test_a_broadcast_keeps_its_axis_apart():
    _, c, p = of = axes(2, 3, 4)
    body = canonical_axes(storing(of, row_major(of), row_major(of), variable(c.name, 3)))
    assert extents(body) == (2, 3, 4)
    body = canonical_axes(storing(of, row_major(of), row_major(of), variable(p.name, 4)))
    assert sorted(extents(body)) == [4, 6]


def test_a_transposition_merges_nothing():
    of = axes(5, 6)
    assert extents(canonical_axes(storing(of, row_major(of), row_major(of, (1, 0))))) == (5, 6)


def test_masks_forbid_merging_and_are_carried_along():
    of = axes(5, 6)
    address = row_major(of)
    value = load(1, address, mask=(Bound(variable("i1", 6), 1, 6),))
    body = canonical_axes(Body(of, (Stage((), (), (Store(Access(0, address), value),)),)))
    assert extents(body) == (5, 6)


def test_a_divided_axis_is_split_where_the_parts_are_worth_it():
    flat = variable("i0", 128)
    body = canonical_axes(storing(axes(128), flat, (flat % 16) * 8 + flat // 16))
    assert sorted(extents(body)) == [8, 16]
    (load_value,) = (store.value for store in body.stages[0].stores)
    assert sorted(coefficient for _, coefficient in load_value.payload.address.terms) == [1, 8]


def test_short_parts_are_left_divided():
    flat = variable("i0", 128)
    assert extents(canonical_axes(storing(axes(128), flat, flat // 2))) == (128,)


def test_axes_of_stages_merge_among_themselves():
    (i,), of = axes(3), axes(4, 5, letter="j")
    address = variable("i0", 3) * 20 + row_major(of)
    stages = (
        Stage(of, (Reduction("sum", load(0, address), float32),)),
        Stage((), (), (Store(Access(1, variable("i0", 3)), reduced(0)),)),
    )
    body = canonical_axes(Body((i,), stages))
    assert [axis.extent for axis in body.stages[0].axes] == [20]
    assert extents(body) == (3,)


def test_positions_stay_in_order():
    """argmax: the last axis is not made the first, and what is merged counts as before."""
    of = axes(4, 5, letter="j")
    flat = row_major(of)
    stages = (
        Stage(of, (Reduction("argmax", load(0, row_major(of, (1, 0))), float32, flat),)),
        Stage((), (), (Store(Access(1, Index(0)), reduced(0)),)),
    )
    body = canonical_axes(Body((), stages))
    assert [axis.extent for axis in body.stages[0].axes] == [4, 5]


def test_sweeps_of_equal_extents_share_their_axes():
    body = canonical_axes(softmax(4, 16).bodies[0])
    first, second, third = body.stages
    assert first.axes == second.axes == third.axes
    assert second.accumulators[0].value is third.stores[0].value.inputs[0]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (variable("i0", 8) * 3 + variable("i1", 5), 3),
        (variable("i1", 5), 0),
        (variable("i0", 8) // 2, None),
        ((variable("i0", 8) % 4) * 2, None),
    ],
    ids=str,
)
def test_stride(index, expected):
    assert stride(index, Variable("i0", 8)) == expected


def test_depends_looks_into_masks():
    access = Access(0, variable("i1", 5), (Bound(variable("i0", 8), 1, 8),))
    assert depends(access, Variable("i0", 8))
    assert not depends(access, Variable("i2", 8))
