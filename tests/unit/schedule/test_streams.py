"""Attention as streams: which kernels there are, that no scores are stored, and that they compute the composition."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import bfloat16, float16, float32, float64
from lazygrad.ir.node import Node
from lazygrad.kernel.kernel import Kernel
from lazygrad.ops.movement import Range
from lazygrad.schedule import Schedule
from lazygrad.settings import set_float32_matmul_precision
from unit.schedule.interpreted import CPU, GPU, check

NAMES = (
    "attention", "attention_logsumexp", "attention_query_gradient", "attention_key_gradient", "attention_value_gradient",
)  # fmt: skip
BLOCK = replace(CPU, flavour="block", composites=frozenset(NAMES))
FOUR = [
    "attention_attention_logsumexp", "mul_sum", "attention_query_gradient",
    "attention_key_gradient_attention_value_gradient",
]  # fmt: skip


def shapes(batch, m, n, e, d):
    return [(*batch, m, e), (*batch, n, e), (*batch, n, d), (*batch, m, d)]


def both(causal=False, scale=0.4):
    """Attention and its gradients by query, key and value, and by nothing else."""

    def build(query, key, value, cotangent, *bias):
        y = ops.attention(query, key, value, *bias, scale=scale, causal=causal)
        return [y, *vjp([y], [cotangent], [query, key, value])]

    return build


def names(made: Schedule) -> list[str]:
    return [kernel.kernel.name for kernel in made.kernels]


def streams(made: Schedule) -> list[Kernel]:
    return [k.kernel for k in made.kernels if any(s.products for body in k.kernel.bodies for s in body.stages)]


def stored(made: Schedule) -> list[int]:
    return [slot.layout.size for slot in made.slots]


# ---- kernels


@pytest.mark.parametrize("causal", [False, True])
def test_forward_and_backward_are_four_kernels_that_store_no_scores(causal):
    m, n = 50, 70
    made = check(both(causal), shapes((2,), m, n, 8, 12), BLOCK)
    assert names(made) == FOUR
    results = [2 * m * 12, 2 * m, 2 * m, 2 * m * 8, 2 * n * 8, 2 * n * 12]
    assert sorted(stored(made)) == sorted(results)
    assert max(results) < m * n


def test_without_gradients_there_are_no_sums():
    made = check(lambda q, k, v, g: ops.attention(q, k, v, scale=1.0), shapes((2,), 5, 7, 8, 4), BLOCK)
    assert names(made) == ["attention"]
    assert stored(made) == [2 * 5 * 4]


@pytest.mark.parametrize("wanted", range(1, 4))
def test_each_gradient_by_itself(wanted):
    made = check(lambda *leaves: both()(*leaves)[wanted], shapes((2,), 9, 7, 8, 4), BLOCK)
    assert len(made.kernels) == 3
    (kernel,) = streams(made)[1:]
    assert len(kernel.bodies[0].stages[0].accumulators) == 1
    assert len(kernel.bodies[0].stages[0].products) == (1 if wanted == 3 else 2)


def test_other_devices_compute_the_composition():
    for machine in (CPU, GPU, replace(BLOCK, composites=frozenset())):
        made = check(both(True), shapes((2,), 9, 7, 8, 4), machine)
        assert not streams(made)
        assert max(stored(made)) >= 2 * 9 * 7


@pytest.mark.parametrize(
    "given", [shapes((2,), 9, 7, 257, 4), shapes((2,), 9, 7, 4, 257), shapes((2,), 1, 7, 8, 4)],
    ids=["long keys", "long values", "one query"],
)  # fmt: skip
def test_what_no_tile_holds_or_one_row_is_composed(given):
    assert not streams(check(lambda *leaves: both()(*leaves)[0], given, BLOCK))


def test_kernels_are_shared_by_what_runs_through_the_same_products_only():
    def build(q, k, v, g):
        sums = ops.attention_logsumexp(q, k, scale=0.5)
        y = ops.attention(q, k, v, scale=0.5)
        other = ops.attention(q, k, v, scale=0.5, causal=True)
        # Its value needs the sums, and so waits for them.
        waiting = ops.attention(
            q, k, ops.mul(v, ops.expand(ops.reshape(ops.max_(sums, (0, 1)), (1, 1, 1)), v.shape)), scale=0.5
        )
        return [sums, y, other, waiting]

    made = check(build, shapes((2,), 9, 7, 8, 4), BLOCK)
    assert sorted(names(made)) == ["attention", "attention", "attention_logsumexp_attention", "max", "mul"]


def test_heads_that_share_keys_are_rows_of_one_stream():
    def build(q, k, v, g):
        key, value = (ops.expand(ops.reshape(x, (2, 1, *x.shape[1:])), (2, 3, *x.shape[1:])) for x in (k, v))
        y = ops.attention(q, key, value, scale=0.5, causal=True)
        return [y, *vjp([y], [g], [q, k, v])]

    made = check(build, [(2, 3, 9, 8), (2, 7, 8), (2, 7, 4), (2, 3, 9, 4)], BLOCK)
    (factor,) = {product.b for product in streams(made)[0].bodies[0].stages[0].products}
    assert "i1" not in repr(factor)


# ---- what they compute


@pytest.mark.parametrize(
    "given",
    [((), 20, 30, 8, 12), ((2, 3), 30, 20, 5, 3), ((2,), 40, 17, 1, 1), ((2,), 40, 1, 3, 5), ((1, 2, 1), 3, 4, 2, 6)],
)
@pytest.mark.parametrize("causal", [False, True])
def test_shapes(given, causal):
    assert streams(check(both(causal), shapes(*given), BLOCK))


@pytest.mark.parametrize("extents", [(2, 3, 9, 11), (1, 1, 9, 11), (2, 1, 1, 11), (1, 3, 9, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("causal", [False, True])
def test_biases(extents, causal):
    made = check(both(causal), [*shapes((2, 3), 9, 11, 8, 4), extents], BLOCK)
    assert names(made) == FOUR


@pytest.mark.parametrize("causal", [False, True])
def test_rows_without_a_key(causal):
    """One of them altogether, the last in part; a row of a causal mask has its first key unless a bias hides it."""

    def build(q, k, v, g, bias):
        row = ops.expand(ops.reshape(ops.arange(9, q.device), (1, 9, 1)), bias.shape)
        column = ops.expand(ops.reshape(ops.arange(11, q.device), (1, 1, 11)), bias.shape)
        shown = ops.bitwise_and(ops.ne(row, 3), ops.le(ops.mul(column, 2), ops.add(row, 9)))
        return both(causal)(q, k, v, g, ops.where(shown, bias, float("-inf")))

    made = check(build, [*shapes((2,), 9, 11, 8, 4), (2, 9, 11)], BLOCK)
    assert names(made) == FOUR  # the bias is computed where it is added


@pytest.mark.parametrize(("dtype", "tolerance"), [(float16, 3e-3), (bfloat16, 3e-2), (float64, 1e-12)])
def test_dtypes(dtype, tolerance):
    made = check(both(True), shapes((2,), 9, 11, 8, 4), BLOCK, tolerance, dtype=dtype)
    sums = float64 if dtype is float64 else float32
    assert {slot.dtype for slot in made.slots} == {dtype, sums}


def test_products_are_as_exact_as_the_setting_says():
    set_float32_matmul_precision("high")
    try:
        made = check(both(), shapes((2,), 9, 7, 8, 4), BLOCK)
        half = check(both(), shapes((2,), 9, 7, 8, 4), BLOCK, 3e-2, dtype=bfloat16)
    finally:
        set_float32_matmul_precision("highest")
    for schedule, precision in ((made, "high"), (half, "highest")):
        for kernel in streams(schedule):
            stage = kernel.bodies[0].stages[0]
            found = {part.precision for part in (*stage.products, *stage.accumulators) if hasattr(part, "precision")}
            assert found == {precision}


# ---- what surrounds them


def test_cheap_biases_are_computed_in_the_stream_and_dear_ones_stored_once():
    given = [*shapes((2, 8), 9, 11, 8, 4), (1, 8, 9, 11)]

    def cheap(q, k, v, g, x):
        return both()(q, k, v, g, ops.where(ops.le(x, 0.5), x, float("-inf")))

    def dear(q, k, v, g, x):
        return both()(q, k, v, g, ops.tanh(ops.exp(x)))

    assert names(check(cheap, given, BLOCK)) == FOUR
    made = check(dear, given, BLOCK)
    assert names(made) == ["exp_tanh", *FOUR]
    assert 8 * 9 * 11 in stored(made)


def test_projections_read_and_write_heads_where_they_lie():
    """From one product for query, key and value to the one that joins the heads: no copies, no scores."""
    heads, width, length = 4, 64, 24

    def build(x, mix, project):
        mixed = ops.reshape(ops.contract(x, (0, 1, 2), mix, (2, 3), (0, 1, 3)), (2, length, 3, heads, width // heads))
        parts = ops.permute(mixed, (2, 0, 3, 1, 4))
        query, key, value = (_part(parts, number) for number in range(3))
        y = ops.attention(query, key, value, scale=0.25, causal=True)
        joined = ops.reshape(ops.permute(y, (0, 2, 1, 3)), (2, length, width))
        return ops.contract(joined, (0, 1, 2), project, (2, 3), (0, 1, 3))

    made = check(build, [(2, length, width), (width, 3 * width), (width, width)], BLOCK, 2e-3)
    assert names(made) == ["contract", "attention", "contract"]
    (attention,) = streams(made)
    store = attention.bodies[0].stages[-1].stores[0]
    assert [c for atom, c in store.access.address.terms if atom in attention.bodies[0].stages[-1].axes] == [1]


def _part(parts: Node, number: int) -> Node:
    ranges = (Range(number, number + 1, 1), *(Range(0, extent, 1) for extent in parts.shape[1:]))
    return ops.reshape(ops.slice_(parts, ranges), parts.shape[1:])
