"""Normalisation against torch: values, gradients, running statistics."""

import numpy
import pytest

import lazygrad as lg
from lazygrad.nn import functional
from unit.tensor.against_torch import agree, agree_to_order, numbers, numpy_device, torch

__all__ = ["numpy_device"]


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, training):
    mean, var = numbers(3, seed=8), abs(numbers(3, seed=9))

    def normalised(lib, x, w, b):
        running = (lib.tensor(mean), lib.tensor(var))
        y = lib.nn.functional.batch_norm(x, *running, w, b, training, 0.3, 1e-3)
        return (y, *running)

    agree(normalised, numbers(*shape), numbers(3, seed=1), numbers(3, seed=2))
    agree(
        lambda lib, x: lib.nn.functional.batch_norm(x, lib.tensor(mean), lib.tensor(var), training=training),
        numbers(*shape),
    )


def test_batch_norm_without_statistics_and_with_a_tensor_as_momentum():
    agree(lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True), numbers(4, 3))
    mean, var = lg.zeros(3), lg.ones(3)
    functional.batch_norm(lg.ones(4, 3), mean, var, training=True, momentum=lg.tensor(0.25))
    assert mean.tolist() == [0.25] * 3
    assert not mean.requires_grad


def test_batch_norm_of_half_width_floats():
    x = numpy.random.default_rng(0).normal(100, 1, (64, 2)).astype("float16")
    ours = functional.batch_norm(lg.tensor(x), None, None, training=True)
    assert ours.dtype is lg.float16
    theirs = torch.nn.functional.batch_norm(torch.tensor(x).float(), None, None, training=True)
    numpy.testing.assert_allclose(ours.numpy().astype("float32"), theirs.numpy(), atol=5e-3)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 4, 5)])
def test_layer_norm(shape):
    agree(
        lambda lib, x, w, b: lib.nn.functional.layer_norm(x, shape, w, b),
        numbers(2, 3, 4, 5),
        numbers(*shape, seed=1),
        numbers(*shape, seed=2),
    )
    agree(lambda lib, x: lib.nn.functional.layer_norm(x, shape, eps=0.1), numbers(2, 3, 4, 5))


def test_group_norm_and_instance_norm():
    x, w, b = numbers(2, 6, 3, 4), numbers(6, seed=1), numbers(6, seed=2)
    agree(lambda lib, x, w, b: lib.nn.functional.group_norm(x, 3, w, b), x, w, b)
    agree(lambda lib, x: lib.nn.functional.group_norm(x, 1), x)
    agree(lambda lib, x, w, b: lib.nn.functional.instance_norm(x, weight=w, bias=b), x, w, b)


def test_derivatives_of_higher_order():
    """The derivative by the mean that is left out is zero whatever the input is, so the next ones are complete.

    torch refuses a batch norm's third derivative, and has another one of its layer norm than of what that is made of.
    """

    def standardised(x, axes):
        distance = x - x.mean(axes, keepdim=True)
        return distance * ((distance * distance).mean(axes, keepdim=True) + 1e-5).rsqrt()

    def batch_norm(lib, x):
        return functional.batch_norm(x, None, None, training=True) if lib is lg else standardised(x, (0, 2))

    def layer_norm(lib, x):
        return functional.layer_norm(x, (2, 3)) if lib is lg else standardised(x, (1, 2))

    for normalised in (batch_norm, layer_norm):
        agree_to_order(3, normalised, numbers(4, 2, 3))


def test_unit_vectors():
    agree(lambda lib, x: (lib.nn.functional.normalize(x), lib.nn.functional.normalize(x, p=1, dim=0)), numbers(3, 4))
    agree(lambda lib, x, y: lib.nn.functional.cosine_similarity(x, y), numbers(3, 4), numbers(3, 4, seed=1))
    agree(lambda lib, x, y: lib.nn.functional.cosine_similarity(x, y, dim=-1), numbers(2, 3, 4), numbers(3, 4, seed=1))


def test_errors():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        functional.batch_norm(lg.ones(1, 3), None, None, training=True)
    with pytest.raises(RuntimeError, match="running_mean and running_var to be defined"):
        functional.batch_norm(lg.ones(2, 3), None, None)
    with pytest.raises(RuntimeError, match="weight should contain 3 elements not 4"):
        functional.batch_norm(lg.ones(2, 3), None, None, lg.ones(4), training=True)
    with pytest.raises(RuntimeError, match=r"given normalized_shape=\[4\], expected input with shape \[\*, 4\]"):
        functional.layer_norm(lg.ones(2, 3), (4,))
    with pytest.raises(RuntimeError, match="divisible by num_groups"):
        functional.group_norm(lg.ones(2, 3), 2)
