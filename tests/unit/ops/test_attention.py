"""The composites of attention: what they refuse, and their meaning against formulas written out in NumPy."""

import numpy
import pytest

from lazygrad import ops, runtime
from lazygrad.ir.dtype import bool_, float16, float32, float64, int64
from lazygrad.ir.verify import verify_graph
from lazygrad.testing.gradcheck import evaluate


def x(*shape, dtype=float32):
    return ops.placeholder(shape, dtype, "numpy:0")


def attention(*inputs):
    return ops.attention(*inputs, scale=1.0)


def query_gradient(*inputs):
    return ops.attention_query_gradient(*inputs, scale=1.0)


Q, K, V = x(2, 3, 4), x(2, 5, 4), x(2, 5, 6)
G, SUMS = x(2, 3, 6), x(2, 3)
REFUSED = [
    (lambda: attention(x(4), x(5, 4), x(5, 6)), r"equal batch axes .* got \[4\] and \[5, 4\] and \[5, 6\]"),
    (lambda: attention(Q, x(5, 4), V), "attention: query, key and value need equal batch axes"),
    (lambda: attention(Q, x(2, 5, 3), V), r"need N > 0 and one N and E, got \[2, 3, 4\] and \[2, 5, 3\]"),
    (lambda: attention(Q, K, x(2, 4, 6)), "need N > 0 and one N and E"),
    (lambda: attention(Q, x(2, 0, 4), x(2, 0, 6)), "need N > 0 and one N and E"),
    (lambda: attention(Q, K, x(2, 5, 6, dtype=float64)), "one float dtype, got float32 and float32 and float64"),
    (lambda: attention(*(x(2, 3, 3, dtype=int64) for _ in range(3))), "one float dtype, got int64"),
    (lambda: attention(Q, K, V, x(3, 5)), r"a bias \[3, 5\] does not broadcast to scores \[2, 3, 5\]"),
    (lambda: attention(Q, K, V, x(2, 5, 3)), r"a bias \[2, 5, 3\] does not broadcast"),
    (lambda: attention(Q, K, V, x(2, 3, 5, dtype=bool_)), "a bias of bool does not go with a query of float32"),
    (lambda: attention(Q, K, V, x(2, 3, 5, dtype=float16)), "a bias of float16 does not go with"),
    (lambda: ops.attention_logsumexp(Q, x(2, 5, 3), scale=1.0), "attention_logsumexp: query"),
    (lambda: query_gradient(Q, K, V, x(2, 3, 5), SUMS, SUMS), "attention_query_gradient: the cotangent"),
    (lambda: query_gradient(Q, K, V, G, x(2, 5), SUMS), r"must be float32\[2, 3\]"),
    (lambda: query_gradient(Q, K, V, G, SUMS, x(2, 3, dtype=float16)), r"must be float32\[2, 3\]"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refusals(build, message):
    with pytest.raises(RuntimeError, match=message):
        build()


def test_a_bias_of_half_width_inputs_may_be_wider():
    given = [x(*shape, dtype=float16) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6))]
    made = attention(*given, x(2, 1, 5))
    sums = ops.attention_logsumexp(*given[:2], scale=1.0)
    assert (made.dtype, sums.dtype, made.shape, sums.shape) == (float16, float32, (2, 3, 6), (2, 3))
    verify_graph([made, sums])


def test_equal_calls_are_one_node():
    assert ops.attention(Q, K, V, scale=0.5) is ops.attention(Q, K, V, scale=0.5, causal=False)
    assert ops.attention(Q, K, V, scale=0.5) is not ops.attention(Q, K, V, scale=0.5, causal=True)


def test_the_formulas():
    """FlashAttention-2's algorithms 1 and 2, without blocks."""
    draw = numpy.random.default_rng(0).standard_normal
    arrays = q, k, v, g, bias = [draw(s) for s in ((2, 3, 4), (2, 5, 4), (2, 5, 6), (2, 3, 6), (1, 3, 5))]
    scores = 0.7 * q @ k.swapaxes(1, 2) + bias
    scores[:, numpy.arange(3)[:, None] < numpy.arange(5)] = -numpy.inf
    sums = numpy.log(numpy.exp(scores).sum(-1))
    weights = numpy.exp(scores - sums[..., None])
    delta = (g * (weights @ v)).sum(-1)
    of_scores = weights * (g @ v.swapaxes(1, 2) - delta[..., None])
    expected = [weights @ v, sums, 0.7 * of_scores @ k, 0.7 * of_scores.swapaxes(1, 2) @ q, weights.swapaxes(1, 2) @ g]

    nodes = [ops.buffer(runtime.from_host(array, float64, "numpy:0")) for array in (*arrays, sums, delta)]
    nq, nk, nv, ng, nbias, nsums, ndelta = nodes
    made = [
        ops.attention(nq, nk, nv, nbias, scale=0.7, causal=True),
        ops.attention_logsumexp(nq, nk, nbias, scale=0.7, causal=True),
        *(
            build(nq, nk, nv, ng, nsums, ndelta, nbias, scale=0.7, causal=True)
            for build in (ops.attention_query_gradient, ops.attention_key_gradient, ops.attention_value_gradient)
        ),
    ]
    verify_graph(made)
    for found, wanted in zip(evaluate(made), expected, strict=True):
        numpy.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_the_sum_of_a_row_that_sees_nothing_is_zero():
    bias = numpy.array([[-numpy.inf] * 5, [0.0] * 5])
    zeros = [ops.constant(0, shape, float64, "numpy:0") for shape in ((2, 4), (5, 4))]
    (sums,) = evaluate(
        [ops.attention_logsumexp(*zeros, ops.buffer(runtime.from_host(bias, float64, "numpy:0")), scale=1.0)]
    )
    assert sums.tolist() == [-numpy.inf, pytest.approx(numpy.log(5))]
