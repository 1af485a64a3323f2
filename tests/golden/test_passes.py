"""Golden tests: the printed graph after each pass, and after the pipeline."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import bool_, float32, int64
from lazygrad.ir.node import Node
from lazygrad.ir.printer import print_graph
from lazygrad.ir.verify import verify_graph
from lazygrad.ops.movement import Padding, Range, Window
from lazygrad.passes import PIPELINE, simplify
from lazygrad.passes.algebra import simplify_algebra
from lazygrad.passes.contractions import fold_into_contractions, replace_degenerate_contractions
from lazygrad.passes.identities import drop_identities
from lazygrad.passes.indexing import drop_empty_scatters
from lazygrad.passes.phases import split_phases
from lazygrad.passes.reductions import simplify_reductions
from lazygrad.passes.rewrite import Pass, everywhere
from lazygrad.passes.views import compose_views


def given(*shape: int, dtype=float32) -> Node:
    return ops.placeholder(shape, dtype, "numpy")


def shows(one_pass: Pass, roots: Sequence[Node], names: dict[Node, str], expected: str) -> None:
    result = one_pass(roots)
    verify_graph(result)
    assert print_graph(result, names) == textwrap.dedent(expected).lstrip()


def test_identities_vanish():
    x = given(2)
    root = ops.detach(ops.leaf(ops.neg(ops.detach(x))))
    shows(
        everywhere(drop_identities),
        [root],
        {x: "x"},
        """
        %0 = x : float32[2]
        %1 = neg %0 : float32[2]
        return %1
        """,
    )


def test_what_a_rule_writes_is_looked_at_too():
    x, y = given(2), given(2)

    def expand_sine(current: Node) -> Node | None:
        return ops.neg(ops.neg(ops.mul(current.inputs[0], 1.0))) if current.op.name == "sin" else None

    root = ops.add(ops.sin(x), y)
    (changed,) = everywhere(expand_sine, simplify_algebra)([root])
    assert changed is ops.add(x, y)


def test_a_node_is_rewritten_once_whoever_asks():
    x = given(2)
    seen: list[Node] = []

    def watch(current: Node) -> Node | None:
        seen.append(current)
        return None

    root = ops.neg(x)
    assert everywhere(drop_identities, watch)([ops.leaf(root), root, ops.detach(root)]) == [root] * 3
    assert seen.count(root) == 1


def test_a_chain_of_movements_is_one_view():
    x = given(4, 6)
    root = ops.permute(ops.reshape(ops.flip(x, (1,)), (2, 12)), (1, 0))
    shows(
        everywhere(compose_views),
        [root],
        {x: "x"},
        """
        %0 = x : float32[4,6]
        %1 = view %0 [[12, 2] -> [2*i1 + (i0) // 6, -(i0) % 6 + 5]] : float32[12,2]
        return %1
        """,
    )


def test_movements_that_undo_each_other_vanish():
    x = given(4, 6)
    there = ops.permute(ops.reshape(ops.flip(x, (1,)), (2, 2, 6)), (2, 0, 1))
    back = ops.flip(ops.reshape(ops.permute(there, (1, 2, 0)), (4, 6)), (1,))
    assert everywhere(compose_views)([back]) == [x]


def test_padding_becomes_a_mask():
    x = given(3)
    root = ops.slice_(ops.pad(x, (Padding(2, 1, 1),)), (Range(1, 7, 1),))
    shows(
        everywhere(compose_views),
        [root],
        {x: "x"},
        """
        %0 = x : float32[3]
        %1 = view %0 [[6] -> [(i0 + 1) // 2 - 1] where 0 <= (i0 + 1) % 2 < 1 and 1 <= i0 < 6] : float32[6]
        return %1
        """,
    )


def test_a_view_of_nothing_but_padding_is_zero():
    x = given(3)
    root = ops.slice_(ops.pad(x, (Padding(4, 0),)), (Range(0, 3),))
    shows(
        everywhere(compose_views),
        [root],
        {x: "x"},
        """
        %0 = constant 0.0 : float32[3]
        return %0
        """,
    )


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: ops.add(x, 0.0), "x"),
        (lambda x: ops.mul(1.0, x), "x"),
        (lambda x: ops.neg(ops.neg(x)), "x"),
        (lambda x: ops.pow_(x, 1.0), "x"),
        (lambda x: ops.cast(x, float32), "x"),
        (lambda x: ops.div(x, 1.0), "x"),
        (lambda x: ops.where(ops.lt(ops.constant(0, (2,), float32, "numpy"), 1.0), x, ops.neg(x)), "x"),
    ],
)
def test_neutral_elements_vanish(build, expected):
    x = given(2)
    assert simplify([build(x)]) == [x]


def test_zero_times_a_value_stays_since_it_may_be_nan():
    x = given(2)
    root = ops.mul(x, 0.0)
    assert everywhere(simplify_algebra)([root]) == [root]


def test_constants_fold_and_factors_meet():
    x = given(2)
    two = ops.constant(2, (2,), float32, "numpy")
    root = ops.mul(ops.mul(ops.add(two, 1.0), x), 4.0)
    shows(
        everywhere(simplify_algebra),
        [root],
        {x: "x"},
        """
        %0 = x : float32[2]
        %1 = constant 12.0 : float32[2]
        %2 = mul %0 %1 : float32[2]
        return %2
        """,
    )


def test_small_powers_are_products():
    x = given(2)
    shows(
        everywhere(simplify_algebra),
        [ops.pow_(x, 3.0)],
        {x: "x"},
        """
        %0 = x : float32[2]
        %1 = mul %0 %0 : float32[2]
        %2 = mul %1 %0 : float32[2]
        return %2
        """,
    )


def test_division_by_a_power_of_two_is_exact_as_a_product_and_by_others_stays():
    x = given(2)
    quarter, third = everywhere(simplify_algebra)([ops.div(x, 4.0), ops.div(x, 3.0)])
    assert quarter.op.name == "mul"
    assert third.op.name == "div"


def test_logic_with_a_known_side():
    a = given(2, dtype=bool_)
    true = ops.constant(True, (2,), bool_, "numpy")
    assert simplify([ops.bitwise_and(a, true), ops.bitwise_or(a, true)]) == [a, true]


def test_sums_of_sums_join():
    x = given(2, 3, 4)
    shows(
        everywhere(simplify_reductions),
        [ops.sum_(ops.sum_(x, (1,)), (1,))],
        {x: "x"},
        """
        %0 = x : float32[2,3,4]
        %1 = sum %0 [(1, 2)] : float32[2]
        return %1
        """,
    )


def test_a_sum_over_what_is_repeated_is_a_product():
    x = given(3, 1)
    root = ops.sum_(ops.expand(x, (3, 5)), (1,))
    shows(
        simplify,
        [root],
        {x: "x"},
        """
        %0 = x : float32[3,1]
        %1 = view %0 [[3] -> [i0, 0]] : float32[3]
        %2 = constant 5.0 : float32[3]
        %3 = mul %1 %2 : float32[3]
        return %3
        """,
    )


def test_an_empty_sum_is_zero():
    x = given(3, 0)
    shows(
        everywhere(simplify_reductions),
        [ops.sum_(x, (1,))],
        {x: "x"},
        """
        %0 = constant 0.0 : float32[3]
        return %0
        """,
    )


def _convolution(x: Node, w: Node, stride: int) -> Node:
    taps = ops.windows(x, (Window(2, w.shape[2], stride), Window(3, w.shape[3], stride)))
    return ops.contract(taps, (0, 1, 2, 3, 4, 5), w, (6, 1, 4, 5), (0, 6, 2, 3))


def test_a_convolutions_gradient_by_its_input_is_one_contraction():
    x, w = given(2, 3, 8, 8), given(4, 3, 3, 3)
    y = _convolution(x, w, 1)
    g = ops.placeholder(y.shape, float32, "numpy")
    (dx,) = vjp([y], [g], [x])
    shows(
        simplify,
        [dx],
        {g: "g", w: "w"},
        """
        %0 = g : float32[2,4,6,6]
        %1 = view %0 [[2, 8, 8, 3, 3, 4] -> [i0, i5, i1 - i3, i2 - i4] where 0 <= i1 - i3 < 6 and 0 <= i2 - i4 < 6] : float32[2,8,8,3,3,4]
        %2 = w : float32[4,3,3,3]
        %3 = view %2 [[3, 3, 3, 4] -> [i3, i0, i1, i2]] : float32[3,3,3,4]
        %4 = contract %1 %3 [(0, 1, 2, 3, 4, 5); (6, 3, 4, 5); (0, 6, 1, 2)] : float32[2,3,8,8]
        return %4
        """,
    )


def test_a_strided_gradient_splits_into_phases_without_divisibility_masks():
    x, w = given(1, 1, 9, 1), given(1, 1, 3, 1)
    y = ops.contract(
        ops.windows(x, (Window(2, 3, 2),)), (0, 1, 2, 3, 4), ops.reshape(w, (1, 1, 3)), (5, 1, 4), (0, 5, 2, 3)
    )
    g = ops.placeholder(y.shape, float32, "numpy")
    (dx,) = vjp([y], [g], [x])
    (folded,) = fold_into_contractions(everywhere(compose_views)([dx]))
    (root,) = everywhere(split_phases)(everywhere(compose_views)([folded]))
    text = print_graph([root], {g: "g", w: "w"})
    assert text.count("contract") == 2, text
    read = [line for line in text.splitlines() if "] -> [" in line and "%0 " in line]
    assert read, text
    assert all(") %" not in line for line in read), text
    verify_graph([root])


def _padded_convolution(images: int, size: int) -> tuple[Node, Node, Node]:
    x, w = given(images, 8, size, size), given(12, 8, 3, 3)
    return x, w, _convolution(ops.pad(x, (Padding(0, 0), Padding(0, 0), Padding(1, 1), Padding(1, 1))), w, 1)


def test_windows_around_a_whole_image_and_their_gradients_by_it_are_sums_over_its_places():
    x, w, y = _padded_convolution(16, 2)
    g = given(*y.shape)
    (dx,) = vjp([y], [g], [x])
    shows(
        simplify,
        [y, dx],
        {x: "x", w: "w", g: "g"},
        """
        %0 = x : float32[16,8,2,2]
        %1 = w : float32[12,8,3,3]
        %2 = view %1 [[12, 8, 2, 2, 2, 2] -> [i0, i1, -i2 + i3 + 1, -i4 + i5 + 1]] : float32[12,8,2,2,2,2]
        %3 = contract %0 %2 [(0, 1, 2, 3); (4, 1, 5, 2, 6, 3); (0, 4, 5, 6)] : float32[16,12,2,2]
        %4 = g : float32[16,12,2,2]
        %5 = view %1 [[8, 12, 2, 2, 2, 2] -> [i1, i0, i2 - i3 + 1, i4 - i5 + 1]] : float32[8,12,2,2,2,2]
        %6 = contract %4 %5 [(0, 1, 2, 3); (4, 1, 5, 2, 6, 3); (0, 4, 5, 6)] : float32[16,8,2,2]
        return %3 %6
        """,
    )


def test_of_windows_around_one_pixel_one_tap_is_left():
    x, w, y = _padded_convolution(16, 1)
    g = given(*y.shape)
    (dx,) = vjp([y], [g], [x])
    for root in simplify([y, dx]):
        text = print_graph([root], {x: "x", w: "w", g: "g"})
        assert "where" not in text, text
        assert "1, 1]] : float32" in text, text  # the tap in the middle
        assert "sum" not in text, text


@pytest.mark.parametrize(("images", "size"), [(16, 3), (16, 4), (8, 2)])
def test_windows_stay_where_images_are_larger_or_few(images, size):
    x, w, y = _padded_convolution(images, size)
    assert " where " in print_graph(simplify([y]), {x: "x", w: "w"})


def test_a_contraction_with_another_use_is_not_computed_twice():
    a, b = given(4, 5), given(5, 6)
    product = ops.contract(a, (0, 1), b, (1, 2), (0, 2))
    roots = [product, ops.permute(product, (1, 0))]
    (same, view) = fold_into_contractions(everywhere(compose_views)(roots))
    assert view.inputs[0] is same


def test_matrix_times_vector_is_a_reduction():
    a, v = given(4, 5), given(5)
    root = ops.contract(a, (0, 1), v, (1,), (0,))
    (result,) = everywhere(replace_degenerate_contractions)([root])
    assert result.op.name == "sum"


def test_a_scatter_of_nothing_is_its_base():
    base, index, source = given(4), given(0, dtype=int64), given(0)
    root = ops.scatter(base, index, source, 0, "add")
    assert everywhere(drop_empty_scatters)([root]) == [base]


def test_gather_passes_through():
    x, index = given(4, 3), given(2, 3, dtype=int64)
    root = ops.gather(x, index, 0)
    assert simplify([root]) == [root]


def test_every_pass_keeps_the_graph_well_formed():
    x, w = given(2, 3, 8, 8), given(4, 3, 3, 3)
    y = ops.relu(_convolution(x, w, 2))
    g = ops.placeholder(y.shape, float32, "numpy")
    roots = [y, *(n for n in vjp([y], [g], [x, w]) if n is not None)]
    for one_pass in PIPELINE:
        roots = one_pass(roots)
        verify_graph(roots)
