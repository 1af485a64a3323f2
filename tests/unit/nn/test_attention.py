"""Scaled dot product attention against torch: masks, shapes, dtypes, grouped heads, dropout, second derivatives."""

import math

import numpy
import pytest

import lazygrad as lg
from lazygrad.ir.node import all_inputs, topological
from lazygrad.nn.functional import scaled_dot_product_attention
from lazygrad.testing import gradcheck
from unit.tensor.against_torch import agree, numbers, numpy_device, torch

__all__ = ["numpy_device"]

BATCHES = [(), (3,), (2, 3), (2, 1, 3)]


def attended(lib, q, k, v, mask=None, **options):
    given = lib.tensor(mask) if isinstance(mask, numpy.ndarray) else mask
    return lib.nn.functional.scaled_dot_product_attention(q, k, v, given, **options)


def operands(*batch, m=4, n=6, e=5, d=3):
    return numbers(*batch, m, e, seed=1), numbers(*batch, n, e, seed=2), numbers(*batch, n, d, seed=3)


def hiding(*shape, seed=0):
    """A mask that hides some keys, and all of them from the first row of the first batch."""
    mask = numpy.random.default_rng(seed).random(shape) > 0.4
    mask.reshape(-1, *shape[-2:])[0, 0] = False
    return mask


@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("m", "n"), [(4, 4), (3, 7), (7, 3), (1, 5)])
def test_batches_and_extents(batch, causal, m, n):
    agree(lambda lib, *given: attended(lib, *given, is_causal=causal), *operands(*batch, m=m, n=n))


@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (3, 4, 6), (1, 4, 6), (2, 3, 4, 6), (2, 1, 1, 6)], ids=str)
def test_bool_masks_broadcast(shape):
    agree(lambda lib, *given: attended(lib, *given, hiding(*shape)), *operands(2, 3))


@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (4, 1), (3, 1, 6), (2, 3, 4, 6), (2, 1, 4, 6)], ids=str)
def test_float_masks_broadcast_and_have_gradients(shape):
    agree(attended, *operands(2, 3), numbers(*shape, seed=4))


def with_mask(lib, q, k, v, mask):
    return lib.nn.functional.scaled_dot_product_attention(q, k, v, mask)


def test_rows_that_see_nothing_are_zero_and_pass_no_nan():
    for mask in (hiding(4, 6), numpy.where(hiding(4, 6), 0.5, -numpy.inf)):
        given = [lg.tensor(x, requires_grad=True) for x in operands()]
        tensor = lg.tensor(mask, requires_grad=mask.dtype.kind == "f")
        found = scaled_dot_product_attention(*given, tensor)
        assert found[0].tolist() == [0, 0, 0]
        gradients = lg.autograd.grad(found.sum(), [*given, *([tensor] if tensor.requires_grad else [])])
        assert all(math.isfinite(g.sum().item()) for g in gradients)
        assert gradients[0][0].tolist() == [0] * 5
        agree(with_mask, *operands(), mask)


@pytest.mark.parametrize("scale", [None, 0.3, -1.0, 0.0, 1])
def test_scale(scale):
    agree(lambda lib, *given: attended(lib, *given, scale=scale), *operands(2))


@pytest.mark.parametrize(
    ("query", "key", "value"),
    [((2, 3), (3,), (1, 3)), ((2, 1), (5,), (5,)), ((), (3,), (3,)), ((3,), (), ()), ((2, 3), (1, 3), (1, 1))],
)
def test_batches_broadcast(query, key, value):
    q, k, v = numbers(*query, 4, 5, seed=1), numbers(*key, 6, 5, seed=2), numbers(*value, 6, 3, seed=3)
    agree(attended, q, k, v)


@pytest.mark.parametrize("heads", [(4, 2, 2), (4, 1, 1), (4, 4, 4), (6, 2, 3), (4, 1, 2)])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_grouped_heads(heads, batch):
    given = [numbers(*batch, h, n, e, seed=h) for h, (n, e) in zip(heads, ((3, 5), (6, 5), (6, 4)), strict=True)]
    mask = hiding(heads[0], 3, 6)
    agree(lambda lib, q, k, v: attended(lib, q, k, v, enable_gqa=True), *given)
    agree(lambda lib, q, k, v: attended(lib, q, k, v, is_causal=True, enable_gqa=True), *given)
    agree(lambda lib, q, k, v: attended(lib, q, k, v, mask, enable_gqa=True), *given)
    agree(lambda lib, q, k, v: attended(lib, q, k, v, mask[:1], enable_gqa=True), *given)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("mask", [None, "causal", "half", "float32", "bool"])
def test_half_widths(dtype, mask):
    """Both compute in float32: what differs is where results are rounded, the second time in gradients."""
    arrays = [array.astype("float32") for array in operands(2, 3)]
    extra = {"half": numbers(4, 6), "float32": numbers(4, 6), "bool": hiding(4, 6)}.get(mask)
    results = []
    for lib in (lg, torch):
        kind = getattr(lib, dtype)
        given = [lib.tensor(array).to(kind).requires_grad_() for array in arrays]
        bias = None if extra is None else lib.tensor(extra)
        if mask in ("half", "float32"):
            bias = bias.to(kind if mask == "half" else lib.float32)
        value = lib.nn.functional.scaled_dot_product_attention(*given, bias, is_causal=mask == "causal")
        assert value.dtype is kind
        weights = lib.tensor(numbers(2, 3, 4, 3, seed=9).astype("float32"))
        (value * weights.to(kind)).sum().backward()
        results.append([value, *(x.grad for x in given)])
    step = {"float16": 2**-10, "bfloat16": 2**-7}[dtype]
    for own, other in zip(*results, strict=True):
        assert str(own.dtype).split(".")[1] == str(other.dtype).split(".")[1]
        wanted = other.detach().float().numpy()
        numpy.testing.assert_allclose(own.detach().float().numpy(), wanted, rtol=step, atol=2 * step)


def second_derivatives(lib, *given, **options):
    value = attended(lib, *given, **options)
    inputs = [x for x in given if getattr(x, "requires_grad", False)]
    weights = lib.tensor(numbers(*value.shape, seed=11))
    first = lib.autograd.grad((value * weights).sum(), inputs, create_graph=True)
    return tuple(first)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.4}], ids=str)
def test_second_derivatives_against_torch(options):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        agree(lambda lib, *given: second_derivatives(lib, *given, **options), *operands(2))


def test_second_derivatives_with_masks_against_torch():
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        agree(lambda lib, *given: second_derivatives(lib, *given, hiding(4, 6)), *operands(2))
        agree(second_derivatives, *operands(2), numbers(2, 1, 6, seed=4))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_derivatives_against_finite_differences(causal, biased):
    bias = [lg.tensor(numbers(2, 3, 6, seed=4))] if biased and not causal else []
    arrays = [lg.tensor(x) for x in operands(2, m=3)]
    assert gradcheck(
        lambda *given: scaled_dot_product_attention(*given, is_causal=causal), [*arrays, *bias], second_order=True
    )


def test_gradients_of_gradients_are_composed_but_first_ones_are_not():
    given = [lg.tensor(x, requires_grad=True) for x in operands(2)]
    value = scaled_dot_product_attention(*given, is_causal=True)
    first = lg.autograd.grad(value.sum(), given, create_graph=True)

    def names(*tensors):
        return {node.op.name for node in topological([t._node for t in tensors], all_inputs)}

    gradients = {f"attention_{of}_gradient" for of in ("query", "key", "value")}
    assert {"attention", "attention_logsumexp", *gradients} <= names(*first)
    assert not {"contract", "exp", "max"} & names(*first)
    second = lg.autograd.grad(first[0].sum(), given, allow_unused=True)
    assert "contract" in names(*[g for g in second if g is not None])


def test_dropout_drops_weights():
    lg.manual_seed(3)
    q, k = lg.zeros(64, 4, requires_grad=True), lg.randn(32, 4)
    value = lg.eye(32)
    weights = scaled_dot_product_attention(q, k, value, dropout_p=0.25)
    elements = weights.detach().numpy() * 32
    kept = numpy.float32(1 / 0.75)
    numpy.testing.assert_allclose(numpy.unique(elements.round(5)), [0, kept], rtol=1e-5)
    assert abs((elements == 0).mean() - 0.25) < 0.05
    (gradient,) = lg.autograd.grad((weights * lg.randn(64, 32)).sum(), q)
    assert gradient.abs().sum().item() > 0
    assert not scaled_dot_product_attention(q, k, value, dropout_p=1.0).detach().numpy().any()
    halves = [x.detach().to(lg.float16) for x in (q, k, value)]
    assert scaled_dot_product_attention(*halves, dropout_p=0.5).dtype is lg.float16
    with pytest.raises(ValueError, match="between 0 and 1"):
        scaled_dot_product_attention(q, k, value, dropout_p=1.5)


@pytest.mark.parametrize(
    ("m", "n", "e", "d"), [(2, 0, 3, 2), (0, 3, 3, 2), (2, 3, 0, 2), (2, 3, 3, 0)], ids=["keys", "queries", "e", "d"]
)
def test_nothing_to_attend_with(m, n, e, d):
    agree(attended, *operands(2, m=m, n=n, e=e, d=d))


def x(*shape, dtype=lg.float32):
    return lg.ones(*shape, dtype=dtype)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((x(3, 4), x(3, 4), x(3, 4), x(3, 3)), {"is_causal": True}, "should not be set when is_causal=True"),
        ((x(4), x(3, 4), x(3, 4)), {}, r"at least 2 dimensions, got \[4\], \[3, 4\] and \[3, 4\]"),
        ((x(3, 4), x(3, 5), x(3, 4)), {}, r"do not fit together, got \[3, 4\], \[3, 5\] and \[3, 4\]"),
        ((x(3, 4), x(3, 4), x(2, 4)), {}, "do not fit together"),
        ((x(2, 3, 4), x(3, 3, 4), x(3, 3, 4)), {}, "scaled_dot_product_attention: shapes .* cannot be broadcast"),
        ((x(3, 4), x(3, 4), x(3, 4, dtype=lg.float64)), {}, "same float dtype, but got float32, float32 and float64"),
        ((x(3, 4, dtype=lg.int32),) * 3, {}, "same float dtype, but got int32"),
        ((x(3, 4), x(5, 4), x(5, 4), x(3, 4)), {}, r"shapes \[3, 4\] and \[3, 5\] cannot be broadcast"),
        ((x(3, 4), x(5, 4), x(5, 4), x(2, 3, 5)), {}, r"attn_mask \[2, 3, 5\] does not broadcast to scores \[3, 5\]"),
        ((x(1, 4), x(5, 4), x(5, 4), x(3, 5)), {}, r"attn_mask \[3, 5\] does not broadcast to scores \[1, 5\]"),
        ((x(3, 4), x(5, 4), x(5, 4), x(3, 5, dtype=lg.float64)), {}, "attn_mask dtype to be bool .* float64 beside"),
        ((x(3, 4), x(5, 4), x(5, 4), x(3, 5, dtype=lg.int64)), {}, "attn_mask dtype to be bool .* int64 beside"),
        ((x(3, 4),) * 3, {"enable_gqa": True}, r"enable_gqa needs a dimension of heads .* got ranks \[2, 2, 2\]"),
        ((x(4, 3, 4), x(3, 3, 4), x(3, 3, 4)), {"enable_gqa": True}, "must divide that of query, got 4 heads"),
        ((x(4, 3, 4), x(2, 3, 4), x(2, 3, 4), x(2, 3, 3)), {"enable_gqa": True}, "cannot be broadcast"),
    ],
)
def test_errors(arguments, options, message):
    with pytest.raises(RuntimeError, match=message):
        scaled_dot_product_attention(*arguments, **options)


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize(
    "mask", [None, hiding(3, 6), hiding(2, 1, 3, 6), numbers(4, 3, 6, seed=5)], ids=["none", "bool", "bool4", "float"]
)
def test_masks_grouped_heads_and_broadcast_batches_at_once(mask, scale):
    q, k, v = numbers(2, 4, 3, 5, seed=1), numbers(1, 2, 6, 5, seed=2), numbers(2, 2, 6, 3, seed=3)
    agree(lambda lib, *given: attended(lib, *given, mask, scale=scale, enable_gqa=True), q, k, v, gradients=False)
