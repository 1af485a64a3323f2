"""Attention as compositions: how many kernels, and what is stored; each schedule is also run and compared."""

from __future__ import annotations

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.node import Node
from lazygrad.kernel.kernel import Contraction
from lazygrad.kernel.machine import Machine
from lazygrad.ops.movement import Range
from unit.schedule.interpreted import CPU, GPU, check

SHAPES = [(2, 3, 12, 16), (2, 3, 20, 16), (2, 3, 20, 16)]
FORWARD = ["pack", "contract_mul", "max_sub_sum_div", "contract"]


def attention(q: Node, k: Node, v: Node, *bias: Node, causal: bool = False) -> Node:
    return ops.attention(q, k, v, *bias, scale=0.25, causal=causal)


def both(q: Node, k: Node, v: Node, g: Node, *bias: Node) -> list[Node | None]:
    value = attention(q, k, v, *bias)
    return [value, *vjp([value], [g], [q, k, v])]


def names(made) -> list[str]:
    return [k.kernel.name for k in made.kernels]


def test_forward_is_two_products_and_a_softmax():
    assert names(check(attention, SHAPES)) == FORWARD


def test_a_bias_and_a_causal_mask_join_the_product():
    assert len(names(check(attention, [*SHAPES, (1, 1, 12, 20)]))) == len(FORWARD)
    causal = names(check(lambda *given: attention(*given, causal=True), SHAPES))
    assert len(causal) <= len(FORWARD) + 1  # the comparison of positions may be stored


@pytest.mark.parametrize("machine", [CPU, GPU])
def test_backward_is_four_products_and_shares_the_weights(machine):
    made = check(both, [*SHAPES, SHAPES[0]], machine)
    assert sum(name.startswith("contract") for name in names(made)) == 6
    assert sum("max" in name or "sum" in name for name in names(made)) == 2
    rows, columns = SHAPES[0][-2], SHAPES[1][-2]
    large = [slot for slot in made.slots if slot.shape[-2:] == (rows, columns)]
    assert len(large) == 4  # scores, weights, and the cotangents of both


def test_nothing_is_computed_for_those_who_stream():
    """Sums and deltas are inputs of the gradients, and no composition reads them."""
    assert not any("log" in name for name in names(check(both, [*SHAPES, SHAPES[0]])))


def test_heads_that_share_a_key_share_its_memory():
    def build(q, k, v):
        k, v = (ops.expand(ops.reshape(x, (2, 1, 20, 16)), (2, 3, 20, 16)) for x in (k, v))
        return attention(q, k, v)

    made = check(build, [SHAPES[0], (2, 20, 16), (2, 20, 16)], GPU)
    assert not [slot for slot in made.slots if set(slot.shape[-2:]) == {16, 20}]


def triangles(made) -> int:
    """How many products may leave out what no row sees."""
    accumulators = [
        a for k in made.kernels for body in k.kernel.bodies for stage in body.stages for a in stage.accumulators
    ]
    return sum(isinstance(a, Contraction) and a.lower is not None for a in accumulators)


def test_all_products_of_causal_attention_know_what_they_may_leave_out():
    def causal(q: Node, k: Node, v: Node, g: Node) -> list[Node | None]:
        value = attention(q, k, v, causal=True)
        return [value, *vjp([value], [g], [q, k, v])]

    shapes = [(2, 3, 20, 16)] * 4
    assert triangles(check(causal, shapes)) == 6
    assert triangles(check(both, shapes)) == 0


def product(x: Node, y: Node) -> Node:
    """x[m, e] * y[n, e], of which the triangle n <= m counts."""
    return ops.contract(x, (0, 2), y, (1, 2), (0, 1), lower=(0, 1))


def test_a_triangle_is_that_of_the_whole_axes():
    shapes = [(12, 8), (20, 8)]
    turned = check(lambda x, y: ops.permute(product(x, y), (1, 0)), shapes)
    part = check(lambda x, y: ops.slice_(product(x, y), (Range(2, 12), Range(0, 20))), shapes)
    beginning = check(lambda x, y: ops.slice_(product(x, y), (Range(0, 5), Range(0, 20))), shapes)
    assert (triangles(turned), triangles(part), triangles(beginning)) == (1, 0, 1)


def test_pieces_of_a_sum_over_a_triangle_are_no_triangles():
    def build(x: Node, y: Node) -> Node:  # sum over n of x[m, n] * y[n, e]
        return ops.contract(x, (0, 1), y, (1, 2), (0, 2), lower=(0, 1))

    shapes = [(16, 1 << 13), (1 << 13, 16)]
    made = check(build, shapes, Machine("cpu", cores=2, level2_cache=1 << 12))
    assert len(made.kernels) > 1
    assert triangles(made) == 0
