"""symbolic on tensors: names of leaves, numbers, random numbers, modules."""

import pytest

import lazygrad as lg
from lazygrad.mathematics import symbolic


def test_the_tour():
    a = lg.tensor([2.0, 3.0], requires_grad=True)
    b = lg.tensor([6.0, 4.0], requires_grad=True)
    Q = 3 * a**3 - b**2
    Q.backward(gradient=lg.tensor([1.0, 1.0]))
    assert symbolic(Q) == "3*a**3 - b**2"
    assert symbolic(a.grad) == "9*a**2"
    assert symbolic(b.grad) == "-2*b"


def test_the_sum_gives_the_same():
    a = lg.tensor([2.0, 3.0], requires_grad=True)
    (3 * a**3).sum().backward()
    assert symbolic(a.grad) == "9*a**2"


def test_names_are_given():
    a = lg.tensor([2.0, 3.0], requires_grad=True)
    b = lg.tensor([2.0, 5.0])
    assert symbolic(a * b, {a: "weight", b: "rate"}) == "weight*rate"
    with pytest.raises(ValueError, match="two different tensors are given the name 'x'"):
        symbolic(a * b, {a: "x", b: "x"})


def test_names_are_those_of_variables():
    first, second = lg.tensor([2.0, 3.0]), lg.tensor([2.0, 5.0], requires_grad=True)
    assert symbolic(first * second) == "first*second"


def test_names_without_variables_are_letters_in_order():
    pair = [lg.tensor([2.0, 3.0], requires_grad=True) for _ in range(2)]
    assert symbolic(pair[1] - pair[0] * pair[1]) == "a - a*b"


def test_a_named_tensor_abbreviates():
    x = lg.tensor([2.0, 3.0], requires_grad=True)
    s = lg.sigmoid(x) * 3
    assert symbolic(s * x + s, {s: "scale"}) == "scale*(x + 1)"


def test_small_data_of_one_value_is_that_number_unless_named():
    x = lg.tensor([2.0, 3.0], requires_grad=True)
    weights = lg.tensor([3.0, 3.0])
    assert symbolic(x * weights) == "3*x"
    assert symbolic(x * weights, {weights: "w"}) == "x*w"
    parameter = lg.tensor([3.0, 3.0], requires_grad=True)
    assert symbolic(parameter * 2) == "2*parameter"


def test_random_numbers_are_one_leaf():
    x = lg.tensor([2.0, 3.0], requires_grad=True)
    noise = lg.rand(2)
    assert symbolic(x * noise) == "x*noise"
    assert symbolic(x * lg.rand(2)) == "x*a"


def test_modules_give_names():
    layer = lg.nn.Linear(3, 2)
    x = lg.tensor([[1.0, 2.0, 3.0]])
    assert symbolic(lg.relu(layer(x))) == "relu(x @ layer.weight.T + layer.bias)"


def test_layers():
    x = lg.tensor([[1.0, 2.0, 4.0], [0.0, 2.0, 1.0]], requires_grad=True)
    F = lg.nn.functional
    assert symbolic(lg.softmax(x, -1)) == "softmax(x, axis=1)"
    assert symbolic(F.log_softmax(x, -1)) == "x - logsumexp(x, axis=1, keepdim=True)"
    assert symbolic(F.gelu(x)) == "0.5*x*(erf(0.7071068*x) + 1)"
    assert symbolic(F.silu(x)) == "x*sigmoid(x)"
    assert symbolic(x.mean(1)) == "mean(x, axis=1)"
    assert symbolic((x - x.mean()).sum()) == "0"


def test_image_layers():
    x = lg.tensor([[[[float(i * j) for i in range(8)] for j in range(8)] for _ in range(3)]], requires_grad=True)
    layer = lg.nn.Conv2d(3, 4, 3, stride=2, padding=1)
    assert symbolic(layer(x)) == "conv2d(x, layer.weight, stride=2, padding=1) + layer.bias[:, None, None]"
    pooled = lg.nn.functional.adaptive_avg_pool2d(x, 1)
    assert symbolic(pooled) == "mean(x, axis=(2, 3), keepdim=True)"


def test_attention():
    x = lg.tensor([[[1.0, 2.0], [3.0, 5.0]]], requires_grad=True)
    F = lg.nn.functional
    written = symbolic(F.scaled_dot_product_attention(x, x, x))
    assert written == "softmax(0.7071068*(x @ x.mT), axis=2) @ x"


def test_cross_entropy_and_its_gradient():
    x = lg.tensor([[1.0, 2.0, 4.0], [0.0, 2.0, 1.0]], requires_grad=True)
    p = lg.tensor([[0.0, 0.25, 0.75], [0.5, 0.0, 0.5]])
    loss = lg.nn.functional.cross_entropy(x, p)
    loss.backward()
    assert symbolic(x.grad) == "0.5*(sum(p, axis=1, keepdim=True)*softmax(x, axis=1) - p)"


def test_second_derivatives():
    x = lg.tensor([0.5, 1.5], requires_grad=True)
    (slope,) = lg.autograd.grad(lg.sin(x).sum(), x, create_graph=True)
    (curvature,) = lg.autograd.grad(slope.sum(), x)
    assert symbolic(curvature) == "-sin(x)"


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="expected a tensor or a node, got float"):
        symbolic(1.0)


def test_it_is_a_function_of_the_library():
    x = lg.tensor([0.5, 1.5], requires_grad=True)
    assert lg.symbolic(x * x) == "x**2"
