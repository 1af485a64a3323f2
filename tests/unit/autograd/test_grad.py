"""grad and autograd.functional: first and second derivatives against torch."""

import numpy
import pytest

import lazygrad as lg
from unit.tensor.against_torch import assert_same, both, numbers, torch


def on_both(function, *arrays):
    pairs = [both(array) for array in arrays]
    return function(lg, *(one for one, _ in pairs)), function(torch, *(other for _, other in pairs))


def test_gradients_of_inputs():
    def gradients(lib, x, y):
        z = (x * y).sin()
        return lib.autograd.grad(z.sum(), [x, y])

    assert_same(*on_both(gradients, numbers(3), numbers(3, seed=1)))


def test_nothing_is_accumulated():
    x = lg.ones(2, requires_grad=True)
    lg.autograd.grad((x * 2).sum(), x)
    assert x.grad is None


def test_inputs_in_the_middle():
    def gradients(lib, x):
        y = x * 2
        z = y**3
        return lib.autograd.grad(z.sum(), [y, x])

    assert_same(*on_both(gradients, numbers(3)))


@pytest.mark.parametrize(
    "name", ["exp", "tanh", "sigmoid", "relu", "log", "sqrt", "sin", "erf", "softmax", "norm", "prod"]
)
def test_second_derivatives(name):
    def second(lib, x):
        y = x.softmax(0) if name == "softmax" else getattr(x, name)()
        (first,) = lib.autograd.grad((y * y).sum(), x, create_graph=True)
        return lib.autograd.grad((first * first).sum(), x)

    assert_same(*on_both(second, numbers(4, low=0.3, high=2.0)))


def test_third_derivatives():
    x = lg.tensor(2.0, requires_grad=True)
    y = x**5
    for _ in range(3):
        (y,) = lg.autograd.grad(y, x, create_graph=True)
    assert y.item() == 60 * 4


def test_second_derivatives_through_layers():
    def second(lib, x, w):
        F = lib.nn.functional
        y = F.conv2d(x, w, padding=1).relu()
        y = F.avg_pool2d(y, 2)
        (first,) = lib.autograd.grad((y * y).sum(), w, create_graph=True)
        return lib.autograd.grad((first**2).sum(), [x, w])

    assert_same(*on_both(second, numbers(2, 2, 4, 4), numbers(3, 2, 3, 3)))


def test_create_graph_in_backward():
    x = lg.tensor(3.0, requires_grad=True)
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    (second,) = lg.autograd.grad(x.grad, x)
    assert second.item() == 18


def test_a_constant_gradient_does_not_require_grad():
    x = lg.ones(2, requires_grad=True)
    (first,) = lg.autograd.grad((x * 3).sum(), x, create_graph=True)
    assert not first.requires_grad


def test_unused_inputs():
    x, y = lg.ones(2, requires_grad=True), lg.ones(2, requires_grad=True)
    z = (x * 2).sum()
    with pytest.raises(RuntimeError, match="allow_unused=True"):
        lg.autograd.grad(z, [x, y])
    assert lg.autograd.grad(z, [x, y], allow_unused=True)[1] is None
    assert lg.autograd.grad(z, [x, y], materialize_grads=True)[1].tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="does not require grad"):
        lg.autograd.grad(z, lg.ones(2))
    with pytest.raises(NotImplementedError):
        lg.autograd.grad(z, x, is_grads_batched=True)


def cubic(lib):
    return lambda x: (x**3 * lib.tensor([1.0, 2.0, 3.0], dtype=lib.float64)).sum()


def outer(lib):
    return lambda x: x.unsqueeze(1) * x.sin()


def pair(lib):
    return lambda x, y: (x * y).sum() + (y**2).sum()


X, V = numbers(3), numbers(3, seed=5)


@pytest.mark.parametrize("function", [cubic, outer])
def test_jacobians(function):
    assert_same(*on_both(lambda lib, x: lib.autograd.functional.jacobian(function(lib), x), X))


def test_jacobians_of_several_inputs():
    assert_same(*on_both(lambda lib, x, y: lib.autograd.functional.jacobian(pair(lib), (x, y)), X, V))


def test_hessians():
    assert_same(*on_both(lambda lib, x: lib.autograd.functional.hessian(cubic(lib), x), X))
    ours, theirs = on_both(lambda lib, x, y: lib.autograd.functional.hessian(pair(lib), (x, y)), X, V)
    assert_same(ours, theirs)


def test_products_with_vectors():
    for name in ("vjp", "jvp"):
        weight = numbers(3, 3, seed=6) if name == "vjp" else V
        ours, theirs = on_both(
            lambda lib, x, v, name=name: getattr(lib.autograd.functional, name)(outer(lib), x.detach(), v.detach()),
            X,
            weight,
        )
        assert_same(ours, theirs)
    for name in ("vhp", "hvp"):
        ours, theirs = on_both(
            lambda lib, x, v, name=name: getattr(lib.autograd.functional, name)(cubic(lib), x.detach(), v.detach()),
            X,
            V,
        )
        assert_same(ours, theirs)


def test_forward_mode_goes_through_everything_used_in_networks():
    def function(lib):
        def network(x):
            y = lib.nn.functional.conv2d(x.reshape(1, 1, 4, 4), lib.ones(2, 1, 3, 3, dtype=lib.float64), padding=1)
            y = lib.nn.functional.max_pool2d(y.relu() + y, 2)
            return y.flatten(1).log_softmax(1).sigmoid()

        return network

    x, v = numbers(16), numbers(16, seed=3)
    ours, theirs = on_both(lambda lib, x, v: lib.autograd.functional.jvp(function(lib), x.detach(), v.detach()), x, v)
    assert_same(ours, theirs)
    assert numpy.isfinite(ours[1].numpy()).all()
