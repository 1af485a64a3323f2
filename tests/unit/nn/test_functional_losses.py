"""Losses against torch: values and gradients, all reductions."""

import numpy
import pytest

import lazygrad as lg
from lazygrad.nn import functional
from unit.tensor.against_torch import agree, agree_to_order, numbers, numpy_device

__all__ = ["numpy_device"]

REDUCTIONS = ["mean", "sum", "none"]
SCORES = [(5,), (4, 5), (4, 5, 3), (2, 5, 3, 2)]


def classes(shape):
    generator = numpy.random.default_rng(0)
    return numpy.asarray(generator.integers(0, 5, shape[:1] + shape[2:] if len(shape) > 1 else ()))


@pytest.mark.parametrize("shape", SCORES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"ignore_index": 2}, {"label_smoothing": 0.1}, {"ignore_index": 2, "label_smoothing": 0.3}],
    ids=repr,
)
def test_cross_entropy_of_indices(shape, reduction, weighted, options):
    if shape == (5,) and options.get("ignore_index") == int(classes(shape)):
        pytest.skip("nothing is left to average")
    weight = abs(numbers(5, seed=3))

    def loss(lib, x, target):
        w = lib.tensor(weight) if weighted else None
        return lib.nn.functional.cross_entropy(x, target, w, reduction=reduction, **options)

    agree(loss, numbers(*shape) * 3, classes(shape))


@pytest.mark.parametrize("shape", SCORES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(shape, reduction, smoothing, weighted):
    target = abs(numbers(*shape, seed=4))
    weight = abs(numbers(5, seed=3))

    def loss(lib, x, target):
        w = lib.tensor(weight) if weighted else None
        return lib.nn.functional.cross_entropy(x, target, w, reduction=reduction, label_smoothing=smoothing)

    agree(loss, numbers(*shape), target)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ignored", [-100, 1])
def test_nll_loss(reduction, ignored):
    def loss(lib, x, target):
        logs = lib.nn.functional.log_softmax(x, 1)
        weight = lib.arange(1, 6, dtype=lib.float64)
        return (
            lib.nn.functional.nll_loss(logs, target, ignore_index=ignored, reduction=reduction),
            lib.nn.functional.nll_loss(logs, target, weight, ignore_index=ignored, reduction=reduction),
        )

    agree(loss, numbers(4, 5, 3), classes((4, 5, 3)))


def test_large_scores_stay_finite():
    agree(lambda lib, x, t: lib.nn.functional.cross_entropy(x, t), numbers(4, 5) * 1e4, classes((4, 5)))
    masked = numbers(4, 5)
    masked[:, 4] = -numpy.inf
    agree(lambda lib, x, t: lib.nn.functional.cross_entropy(x, t), masked, classes((4, 5)) % 4)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_distances(name, reduction):
    x, y = numbers(3, 4) * 2, numbers(3, 4, seed=1)
    agree(lambda lib, x, y: getattr(lib.nn.functional, name)(x, y, reduction=reduction), x, y)


def test_widths_of_smooth_losses():
    x, y = numbers(3, 4) * 2, numbers(3, 4, seed=1)
    agree(lambda lib, x, y: lib.nn.functional.smooth_l1_loss(x, y, beta=0.3), x, y)
    agree(lambda lib, x, y: lib.nn.functional.smooth_l1_loss(x, y, beta=0.0), x, y)
    agree(lambda lib, x, y: lib.nn.functional.huber_loss(x, y, delta=2.0), x, y)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy(reduction):
    p, t, w = numbers(3, 4, low=0.01, high=0.99), numbers(3, 4, seed=1, low=0, high=1), abs(numbers(4, seed=2))
    F = lambda lib: lib.nn.functional  # noqa: E731
    agree(lambda lib, p, t: F(lib).binary_cross_entropy(p, t, reduction=reduction), p, t)
    agree(lambda lib, p, t, w: F(lib).binary_cross_entropy(p, t, w.detach(), reduction=reduction), p, t, w)
    agree(lambda lib, x, t: F(lib).binary_cross_entropy_with_logits(x, t, reduction=reduction), numbers(3, 4) * 50, t)
    agree(
        lambda lib, x, t, w: F(lib).binary_cross_entropy_with_logits(
            x, t, w.detach(), reduction=reduction, pos_weight=w.detach()
        ),
        numbers(3, 4) * 5,
        t,
        w,
    )


# At 0 |x| and max(x, 0) have no derivative; far from it exponentials overflow and differences cancel.
LOGITS = numpy.array([0.0, -0.0, 1e-9, -1e-9, 0.7, -0.7, 5, -5, 25, -25, 120, -120, 700, -700])


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_derivatives_of_binary_cross_entropy_with_logits(target):
    targets = numpy.full(14, target)
    weights = {"weight": abs(numbers(14, seed=2)), "pos_weight": abs(numbers(1, seed=3))}

    def loss(lib, x, t, **given):
        tensors = {name: lib.tensor(value) for name, value in given.items()}
        return lib.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none", **tensors)

    agree_to_order(3, lambda lib, x: loss(lib, x, lib.tensor(targets)), LOGITS)
    agree_to_order(3, lambda lib, x: loss(lib, x, lib.tensor(targets), **weights), LOGITS)
    # The target is differentiated by, too. Its derivatives end; a term that goes on keeps it in all of them.
    agree_to_order(3, lambda lib, x, t: loss(lib, x, t) + (x * t) ** 3, LOGITS[:8], targets[:8])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_smallest_losses_and_gradients_keep_their_digits(dtype):
    """On either side: a target of 0 far below 0, a target of 1 far above."""
    dtype = getattr(lg, dtype)
    x = lg.tensor([-30.0, 30.0], dtype=dtype, requires_grad=True)
    loss = functional.binary_cross_entropy_with_logits(x, lg.tensor([0.0, 1.0], dtype=dtype), reduction="none")
    (slope,) = lg.autograd.grad(loss.sum(), x)
    small = numpy.exp(-30.0)
    assert loss.tolist() == pytest.approx([small, small], rel=2.0**-7)
    assert slope.tolist() == pytest.approx([small, -small], rel=2.0**-7)


def test_binary_cross_entropy_at_the_ends():
    p, t = numpy.array([0.0, 1.0, 1.0]), numpy.array([1.0, 0.0, 1.0])
    agree(lambda lib, p, t: lib.nn.functional.binary_cross_entropy(p, t, reduction="none"), p, t, gradients=False)


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(reduction, log_target):
    x, t = (
        numbers(3, 4, high=0),
        numbers(3, 4, seed=1, low=0, high=1) if not log_target else numbers(3, 4, seed=1, high=0),
    )
    agree(lambda lib, x, t: lib.nn.functional.kl_div(x, t, reduction=reduction, log_target=log_target), x, t)


def test_kl_div_of_zero_probability():
    x, t = numbers(3, high=0), numpy.array([0.0, 0.5, 0.5])
    agree(lambda lib, x, t: lib.nn.functional.kl_div(x, t.detach(), reduction="sum"), x, t)


def test_older_names_of_reductions():
    x, y = lg.tensor([1.0, 3.0]), lg.tensor([0.0, 0.0])
    assert functional.mse_loss(x, y, size_average=False).item() == 10
    assert functional.mse_loss(x, y, reduce=False).tolist() == [1, 9]
    assert functional.mse_loss(x, y, reduce=True).item() == 5


def test_errors():
    x = lg.ones(4, 5)
    with pytest.raises(ValueError, match=r"expected target of shape \[4\] for input of shape \[4, 5\], got \[3\]"):
        functional.cross_entropy(x, lg.zeros(3, dtype=lg.int64))
    with pytest.raises(RuntimeError, match="class indices of dtype int64, got float32"):
        functional.cross_entropy(x, lg.zeros(4))
    with pytest.raises(RuntimeError, match="label_smoothing"):
        functional.cross_entropy(x, lg.zeros(4, dtype=lg.int64), label_smoothing=2)
    with pytest.raises(RuntimeError, match="all 5 classes or no classes"):
        functional.cross_entropy(x, lg.zeros(4, dtype=lg.int64), lg.ones(4))
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        functional.mse_loss(x, x, reduction="average")
    with pytest.raises(ValueError, match="must be the same as input size"):
        functional.binary_cross_entropy_with_logits(x, lg.ones(4))
    with pytest.warns(UserWarning, match="target size"):
        functional.mse_loss(x, lg.ones(5))
