"""Activations, linear maps, embedding, dropout, padding and attention against torch."""

import math

import numpy
import pytest

import lazygrad as lg
from lazygrad.nn import functional
from unit.tensor.against_torch import agree, agree_to_order, numbers, numpy_device, torch

__all__ = ["numpy_device"]

ACTIVATIONS = {
    "relu": {},
    "relu6": {},
    "hardtanh": {"min_val": -0.5, "max_val": 0.7},
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 1.3},
    "selu": {},
    "celu": {"alpha": 0.7},
    "gelu": {},
    "silu": {},
    "mish": {},
    "softplus": {},
    "logsigmoid": {},
    "softsign": {},
    "hardsigmoid": {},
    "hardswish": {},
    "sigmoid": {},
    "tanh": {},
    "softmin": {"dim": 1},
    "softmax": {"dim": 0},
    "log_softmax": {"dim": -1},
    "glu": {"dim": 1},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.filterwarnings("ignore:nn.functional")
def test_activations(name):
    # torch keeps the constants of these two in float32.
    tolerance = 1e-6 if name in ("celu", "hardsigmoid", "hardswish") else 1e-9
    agree(
        lambda lib, x: getattr(lib.nn.functional, name)(x, **ACTIVATIONS[name]), numbers(3, 4) * 4, tolerance=tolerance
    )


def test_variants_of_activations():
    F = lambda lib: lib.nn.functional  # noqa: E731
    x = numbers(3, 4) * 20
    agree(lambda lib, x: F(lib).gelu(x, approximate="tanh"), x)
    agree(lambda lib, x: F(lib).softplus(x, beta=2.0, threshold=5.0), x)
    agree(lambda lib, x, w: F(lib).prelu(x, w), x, numbers(4))
    agree(lambda lib, x, w: F(lib).prelu(x, w), x, numbers(1))
    with pytest.raises(RuntimeError, match="none or tanh"):
        functional.gelu(lg.ones(2), approximate="other")


def test_activations_at_extremes():
    x = numpy.array([-1000.0, -100.0, 0.0, 100.0, 1000.0])
    for name in ("softplus", "logsigmoid", "silu", "elu", "selu", "gelu", "mish", "sigmoid", "tanh"):
        agree(lambda lib, x, name=name: getattr(lib.nn.functional, name)(x), x)


@pytest.mark.parametrize("name", ["softplus", "logsigmoid", "mish", "silu"])
def test_derivatives_of_smooth_activations_at_0_and_far_from_it(name):
    x = numpy.array([0.0, -0.0, 1e-9, -1e-9, 0.7, -0.7, 4, -4, 15, -15, 100, -100])
    agree_to_order(3, lambda lib, x: getattr(lib.nn.functional, name)(x), x)
    if name == "softplus":
        agree_to_order(3, lambda lib, x: lib.nn.functional.softplus(x, beta=2.0, threshold=7.0), x)


def test_in_place_activations():
    x = lg.tensor([-1.0, 2.0])
    assert functional.relu(x, inplace=True) is x
    assert x.tolist() == [0, 2]
    with pytest.raises(RuntimeError, match="leaf Variable"):
        functional.relu(lg.ones(2, requires_grad=True), inplace=True)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3)])
def test_linear(shape):
    w, b = numbers(5, 3, seed=1), numbers(5, seed=2)
    agree(lambda lib, x, w, b: lib.nn.functional.linear(x, w, b), numbers(*shape), w, b)
    agree(lambda lib, x, w: lib.nn.functional.linear(x, w), numbers(*shape), w)
    agree(lambda lib, x, w: lib.nn.functional.linear(x, w[0]), numbers(*shape), w)


def test_bilinear():
    agree(
        lambda lib, x, y, w, b: lib.nn.functional.bilinear(x, y, w, b),
        numbers(2, 3),
        numbers(2, 4),
        numbers(5, 3, 4),
        numbers(5),
    )


def test_embedding():
    index = numpy.array([[0, 2], [4, 2]])
    agree(lambda lib, w, i: lib.nn.functional.embedding(i, w), numbers(5, 3), index)
    agree(lambda lib, w, i: lib.nn.functional.embedding(i, w, padding_idx=2), numbers(5, 3), index)
    agree(lambda lib, w, i: lib.nn.functional.embedding(i, w, padding_idx=-1), numbers(5, 3), index)


def test_one_hot():
    agree(lambda lib, x: (lib.nn.functional.one_hot(x), lib.nn.functional.one_hot(x, 7)), numpy.array([[0, 2], [4, 2]]))


PADDINGS = [
    ((1, 2), "constant", 0.0),
    ((1, 2, 0, 3), "constant", 1.5),
    ((-1, 2), "constant", None),
    ((-1, -1, 1, 1), "constant", 2.0),
    ((1, 2, 3, 0), "reflect", None),
    ((1, 2, 3, 4), "replicate", None),
    ((1, 0, 2, 3), "circular", None),
]


@pytest.mark.parametrize(("widths", "mode", "value"), PADDINGS)
def test_padding(widths, mode, value):
    agree(lambda lib, x: lib.nn.functional.pad(x, widths, mode, value), numbers(2, 3, 5, 5))


def test_padding_of_integers():
    agree(lambda lib, x: lib.nn.functional.pad(x, (1, 1), value=7), numpy.arange(3))


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("mask", [None, "bool", "float", "causal"])
def test_attention(mask, scale):
    given = {
        None: None,
        "causal": None,
        "bool": numpy.random.default_rng(0).random((4, 6)) > 0.3,
        "float": numbers(2, 1, 4, 6, seed=9),
    }[mask]

    def attended(lib, q, k, v):
        attn_mask = None if given is None else lib.tensor(given)
        return lib.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask, is_causal=mask == "causal", scale=scale
        )

    agree(attended, numbers(2, 3, 4, 5, seed=1), numbers(2, 3, 6, 5, seed=2), numbers(2, 3, 6, 7, seed=3))


def test_grouped_heads():
    agree(
        lambda lib, q, k, v: lib.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        numbers(2, 4, 3, 5),
        numbers(2, 2, 3, 5),
        numbers(2, 2, 3, 5),
    )


def test_attention_refuses_two_masks():
    x = lg.ones(1, 2, 2)
    with pytest.raises(RuntimeError, match="should not be set when is_causal"):
        functional.scaled_dot_product_attention(x, x, x, lg.ones(2, 2), is_causal=True)


def test_dropout():
    lg.manual_seed(0)
    x = lg.ones(20_000, requires_grad=True)
    y = functional.dropout(x, 0.3)
    y.sum().backward()
    values = y.detach().numpy()
    assert set(numpy.unique(values).tolist()) == {0, numpy.float32(1 / 0.7)}
    assert abs((values == 0).mean() - 0.3) < 0.02
    numpy.testing.assert_array_equal(x.grad.numpy(), values)
    assert functional.dropout(x, 0.3, training=False) is x
    assert functional.dropout(x, 0) is x
    assert not functional.dropout(x, 1.0).detach().numpy().any()
    assert functional.dropout(lg.ones(4)).tolist() != functional.dropout(lg.ones(400)).tolist()
    with pytest.raises(ValueError, match="between 0 and 1"):
        functional.dropout(x, 1.5)


def test_dropout_of_channels():
    y = functional.dropout2d(lg.ones(50, 8, 2, 3), 0.5).numpy()
    assert ((y == 0).all((2, 3)) | (y == 2).all((2, 3))).all()
    assert 0.3 < (y == 0).mean() < 0.7
    assert functional.dropout1d(lg.ones(5, 8, 2), 0.5).shape == (5, 8, 2)
    with pytest.raises(RuntimeError, match="expected 3D or 4D"):
        functional.dropout2d(lg.ones(3))


def test_gumbel_softmax():
    lg.manual_seed(1)
    logits = lg.tensor([[1.0, 2.0, 0.0]]).expand(4000, 3)
    hard = functional.gumbel_softmax(logits, hard=True).numpy()
    assert abs(hard.mean(0) - torch.tensor([1.0, 2.0, 0.0]).softmax(0).numpy()).max() < 0.03
    assert functional.gumbel_softmax(logits).sum(-1).sub(1).abs().max().item() < 1e-5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda F: F.linear(lg.ones(2, 3), lg.ones(4, 5)), RuntimeError, r"input \[2, 3\] and weight \[4, 5\] cannot"),
        (lambda F: F.linear(lg.ones(2, 3), lg.ones(4, 3), lg.ones(3)), RuntimeError, r"bias must have the shape \[4\]"),
        (lambda F: F.linear(lg.arange(3), lg.ones(4, 3)), RuntimeError, "same dtype"),
        (lambda F: F.embedding(lg.ones(2), lg.ones(4, 3)), RuntimeError, "integer indices, got float32"),
        (lambda F: F.embedding(lg.arange(2), lg.ones(4)), RuntimeError, "must be 2-D"),
        (lambda F: F.embedding(lg.arange(2), lg.ones(4, 3), 4), ValueError, "within num_embeddings"),
        (lambda F: F.one_hot(lg.ones(2)), RuntimeError, "type int64"),
        (lambda F: F.pad(lg.ones(2), (1,)), RuntimeError, "divisible by 2"),
        (lambda F: F.pad(lg.ones(2, 2), (2, 0), "reflect"), RuntimeError, "must be from 0 to 1"),
        (lambda F: F.pad(lg.ones(2, 2), (2, 0), "other"), NotImplementedError, "Unrecognised padding mode"),
        (lambda F: F.softmax(lg.ones(2), 3), IndexError, "out of range"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(functional)


def test_a_large_softmax_sums_to_one():
    assert math.isclose(lg.randn(1000).mul(100).softmax(0).sum().item(), 1, rel_tol=1e-5)
