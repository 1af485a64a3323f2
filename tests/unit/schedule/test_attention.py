"""Attention as compositions: how many kernels, and what is stored; each schedule is also run and compared."""

from __future__ import annotations

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.node import Node
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
