"""What symbolic prints, line for line."""

import pytest

from lazygrad import ops
from lazygrad.ops.movement import Padding, Range, Window
from unit.mathematics.expressions import derivative, kept, leaf, linear, mean, softmax, text, total


def test_the_tour():
    a, b = leaf(2), leaf(2)
    Q = ops.sub(ops.mul(3, ops.pow_(a, 3.0)), ops.pow_(b, 2.0))
    assert text(Q, a=a, b=b) == "3*a**3 - b**2"
    assert text(derivative(Q, a), a=a, b=b) == "9*a**2"
    assert text(derivative(Q, b), a=a, b=b) == "-2*b"


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [
        (ops.sin, "cos(x)", "-sin(x)"),
        (ops.cos, "-sin(x)", "-cos(x)"),
        (ops.exp, "exp(x)", "exp(x)"),
        (ops.log, "1/x", "-1/x**2"),
        (ops.sqrt, "0.5/sqrt(x)", "-0.25/x**1.5"),
        (ops.rsqrt, "-0.5/x**1.5", "0.75/x**2.5"),
        (ops.tanh, "1 - tanh(x)**2", "-2*tanh(x)*(1 - tanh(x)**2)"),
        (ops.sigmoid, "sigmoid(x)*(1 - sigmoid(x))", "sigmoid(x)*(1 - sigmoid(x))*(1 - 2*sigmoid(x))"),
        (ops.atan, "1/(x**2 + 1)", "-2*x/(x**2 + 1)**2"),
        (ops.asin, "1/sqrt(1 - x**2)", "x/(1 - x**2)**1.5"),
        (ops.log1p, "1/(x + 1)", "-1/(x + 1)**2"),
        (ops.erf, "1.128379*exp(-x**2)", "-2.256758*x*exp(-x**2)"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_derivatives_of_functions(function, first, second):
    x = leaf(4)
    slope = derivative(function(x), x)
    assert text(slope, x=x) == first
    assert text(derivative(slope, x), x=x) == second


def test_polynomials_collect_terms_and_factors():
    x, y = leaf(3), leaf(3)
    assert text(ops.add(ops.add(x, x), x), x=x) == "3*x"
    assert text(ops.mul(x, ops.mul(x, x)), x=x) == "x**3"
    assert text(ops.sub(x, x), x=x) == "0"
    assert text(ops.div(ops.mul(x, y), x), x=x, y=y) == "y"
    assert text(ops.add(ops.mul(x, y), ops.mul(x, ops.exp(y))), x=x, y=y) == "x*y + x*exp(y)"
    assert text(ops.add(ops.mul(ops.sin(x), y), ops.mul(ops.sin(x), ops.exp(y))), x=x, y=y) == "sin(x)*(y + exp(y))"
    assert text(ops.add(ops.add(ops.mul(2.0, x), ops.mul(3.0, ops.mul(x, x))), 1.0), x=x) == "3*x**2 + 2*x + 1"
    square = ops.pow_(ops.add(x, y), 2.0)
    assert text(derivative(square, x), x=x, y=y) == "2*x + 2*y"
    assert text(ops.sub(square, ops.mul(ops.mul(2.0, x), y)), x=x, y=y) == "x**2 + y**2"


def test_heavy_common_factors_come_out_of_some_summands():
    x, a, b, c = leaf(3), leaf(3), leaf(3), leaf(3)
    s = ops.sigmoid(x)
    written = text(ops.add(ops.add(ops.mul(a, s), ops.mul(b, s)), c), x=x, a=a, b=b, c=c)
    assert written == "sigmoid(x)*(a + b) + c"


def test_signs_and_parentheses():
    x, y, z = leaf(3), leaf(3), leaf(3)
    names = {"x": x, "y": y, "z": z}
    assert text(ops.neg(ops.mul(x, y)), **names) == "-x*y"
    assert text(ops.sub(ops.neg(x), y), **names) == "-x - y"
    assert text(ops.add(ops.neg(x), y), **names) == "y - x"
    assert text(ops.sub(x, ops.sub(y, z)), **names) == "x - y + z"
    assert text(ops.mul(ops.add(x, y), z), **names) == "z*(x + y)"
    assert text(ops.div(x, ops.mul(y, z)), **names) == "x/(y*z)"
    assert text(ops.div(x, ops.add(y, z)), **names) == "x/(y + z)"
    assert text(ops.neg(ops.pow_(x, 2.0)), **names) == "-x**2"
    assert text(ops.pow_(ops.neg(x), 2.0), **names) == "x**2"
    assert text(ops.sin(ops.neg(x)), **names) == "-sin(x)"
    assert text(ops.cos(ops.neg(x)), **names) == "cos(x)"
    assert text(ops.pow_(x, y), **names) == "x**y"
    assert text(ops.pow_(ops.add(x, y), z), **names) == "(x + y)**z"
    assert text(ops.mul(ops.sub(y, x), ops.neg(z)), **names) == "z*(x - y)"


@pytest.mark.parametrize(
    ("number", "written"),
    [(9.0, "9*x"), (0.5, "0.5*x"), (1 / 3, "x/3"), (2 / 3, "2*x/3"), (0.1, "0.1*x"), (1e-5, "1e-5*x"), (-1.0, "-x"),
     (0.70710678, "0.7071068*x"), (1e10, "10000000000*x"), (1e30, "1e30*x"), (1.0, "x"), (0.0, "0")],
)  # fmt: skip
def test_numbers_are_short(number, written):
    x = leaf(3)
    assert text(ops.mul(number, x), x=x) == written


def test_constants_that_are_no_numbers():
    x = leaf(3)
    assert text(ops.minimum(x, float("inf")), x=x) == "minimum(x, inf)"
    assert text(ops.where(ops.lt(x, 0.0), float("-inf"), x), x=x) == "where(x < 0, -inf, x)"


def test_conditions():
    x, y = leaf(3), leaf(3)
    names = {"x": x, "y": y}
    relu = ops.relu(x)
    assert text(relu, **names) == "relu(x)"
    assert text(derivative(relu, x), **names) == "where(x > 0, 1, 0)"
    assert text(derivative(ops.mul(relu, y), x), **names) == "where(x > 0, y, 0)"
    assert text(derivative(ops.mul(relu, relu), x), **names) == "where(x > 0, 2*relu(x), 0)"
    assert text(ops.where(ops.lt(x, y), x, y), **names) == "where(x < y, x, y)"
    assert text(ops.where(ops.lt(x, y), x, x), **names) == "x"
    both = ops.bitwise_and(ops.lt(x, y), ops.le(0.0, x))
    assert text(ops.where(both, x, 1.0), **names) == "where((x < y) & (x >= 0), x, 1)"
    assert text(derivative(ops.maximum(x, y), x), **names) == "where(y < x, 1, where(x == y, 0.5, 0))"


def test_gelu():
    x = leaf(4)
    gelu = ops.mul(ops.mul(x, 0.5), ops.add(1.0, ops.erf(ops.mul(x, 0.70710678))))
    assert text(gelu, x=x) == "0.5*x*(erf(0.7071068*x) + 1)"
    expected = "0.3989423*x*exp(-0.5*x**2) + 0.5*erf(0.7071068*x) + 0.5"
    assert text(derivative(gelu, x), x=x) == expected


def test_softmax_and_its_gradient():
    x, g = leaf(4, 5), leaf(4, 5)
    y = softmax(x)
    assert text(y, x=x) == "softmax(x, axis=1)"
    expected = "softmax(x, axis=1)*(g - sum(g*softmax(x, axis=1), axis=1, keepdim=True))"
    assert text(derivative(y, x, g), x=x, g=g) == expected
    assert text(derivative(y, x), x=x) == "0"
    assert text(ops.log(y), x=x) == "x - logsumexp(x, axis=1, keepdim=True)"


def test_logsumexp_and_its_gradient():
    x = leaf(4, 5)
    largest = ops.max_(x, (1,))
    shifted = ops.sub(x, kept(largest, x.shape, (1,)))
    lse = ops.add(ops.log(ops.sum_(ops.exp(shifted), (1,))), largest)
    assert text(lse, x=x) == "logsumexp(x, axis=1)"
    assert text(derivative(lse, x), x=x) == "softmax(x, axis=1)"
    log_softmax = ops.sub(x, kept(lse, x.shape, (1,)))
    assert text(ops.exp(log_softmax), x=x) == "softmax(x, axis=1)"


def test_mean_squared_error_of_a_linear_layer():
    x, w, b, y = leaf(4, 5), leaf(3, 5), leaf(3), leaf(4, 3)
    names = {"x": x, "w": w, "b": b, "y": y}
    loss = mean(ops.pow_(ops.sub(linear(x, w, b), y), 2.0))
    assert text(loss, **names) == "mean((x @ w.T + b - y)**2)"
    assert text(derivative(loss, w), **names) == "((x @ w.T + b - y).T @ x)/6"
    assert text(derivative(loss, x), **names) == "((x @ w.T + b - y) @ w)/6"
    assert text(derivative(loss, b), **names) == "sum(x @ w.T + b - y, axis=0)/6"


def test_layer_norm_and_its_gradient():
    x, g = leaf(2, 5), leaf(2, 5)
    centred = ops.sub(x, kept(mean(x, 1), x.shape, (1,)))
    variance = mean(ops.mul(centred, centred), 1)
    y = ops.mul(centred, kept(ops.rsqrt(ops.add(variance, 1e-5)), x.shape, (1,)))
    assert text(y, x=x).splitlines() == [
        "t1 = x - mean(x, axis=1, keepdim=True)",
        "t1/sqrt(mean(t1**2, axis=1, keepdim=True) + 1e-5)",
    ]
    assert text(derivative(y, x, g), x=x, g=g).splitlines() == [
        "t1 = x - mean(x, axis=1, keepdim=True)",
        "t2 = mean(t1**2, axis=1, keepdim=True) + 1e-5",
        "(g - mean(g*t1, axis=1, keepdim=True)*t1/t2 - mean(g, axis=1, keepdim=True))/sqrt(t2)",
    ]


def test_reductions():
    x, s = leaf(4, 5), leaf(4)
    names = {"x": x, "s": s}
    assert text(total(x), **names) == "sum(x)"
    assert text(total(x, 0), **names) == "sum(x, axis=0)"
    assert text(total(total(x, 0)), **names) == "sum(x)"
    assert text(total(ops.mul(-3.0, x)), **names) == "-3*sum(x)"
    assert text(total(ops.add(x, 1.0), 1), **names) == "sum(x, axis=1) + 5"
    assert text(total(ops.mul(x, kept(s, x.shape, (1,))), 1), **names) == "s*sum(x, axis=1)"
    assert text(total(ops.sub(x, kept(mean(x, 1), x.shape, (1,))), 1), **names) == "0"
    assert text(ops.max_(x, (1,)), **names) == "max(x, axis=1)"
    assert text(ops.argmax(x, 1), **names) == "argmax(x, axis=1)"
    assert text(derivative(total(x), x), **names) == "1"
    assert text(derivative(total(ops.mul(x, x)), x), **names) == "2*x"


def test_matrix_products():
    x, w, v = leaf(4, 5), leaf(3, 5), leaf(5)
    names = {"x": x, "w": w, "v": v}
    product = ops.contract(x, (0, 1), w, (2, 1), (0, 2))
    assert text(product, **names) == "x @ w.T"
    assert text(ops.contract(w, (2, 1), x, (0, 1), (2, 0)), **names) == "w @ x.T"
    assert text(ops.contract(x, (0, 1), v, (1,), (0,)), **names) == "x @ v"
    assert text(ops.contract(v, (0,), v, (0,), ()), **names) == "v @ v"
    assert text(ops.contract(v, (0,), v, (1,), (0, 1)), **names) == "v*v[:, None]"
    assert text(ops.permute(product, (1, 0)), **names) == "w @ x.T"
    assert text(derivative(total(product), w), **names) == "sum(x, axis=0)"
    assert text(derivative(total(product), x), **names) == "sum(w, axis=0)"
    assert text(ops.contract(ops.mul(2.0, x), (0, 1), w, (2, 1), (0, 2)), **names) == "2*(x @ w.T)"
    batched, other = leaf(2, 4, 5), leaf(2, 5, 3)
    assert text(ops.contract(batched, (0, 1, 2), other, (0, 2, 3), (0, 1, 3)), p=batched, q=other) == "p @ q"
    three = ops.contract(batched, (0, 1, 2), batched, (0, 1, 3), (2, 3))
    assert text(three, p=batched) == 'einsum("ijk,ijl->kl", p, p)'


def test_movement():
    x, v = leaf(2, 6), leaf(6)
    names = {"x": x, "v": v}
    assert text(ops.permute(x, (1, 0)), **names) == "x.T"
    assert text(ops.permute(ops.permute(x, (1, 0)), (1, 0)), **names) == "x"
    assert text(ops.reshape(x, (3, 4)), **names) == "reshape(x, (3, 4))"
    assert text(ops.reshape(ops.reshape(x, (3, 4)), (2, 6)), **names) == "x"
    assert text(ops.mul(x, ops.expand(ops.reshape(v, (1, 6)), (2, 6))), **names) == "x*v"
    assert text(ops.flip(x, (1,)), **names) == "flip(x, axis=1)"
    assert text(ops.slice_(x, (Range(0, 2), Range(1, 6, 2))), **names) == "x[:, 1::2]"
    assert text(ops.reshape(ops.slice_(x, (Range(1, 2), Range(0, 6))), (6,)), **names) == "x[1]"
    assert text(ops.pad(x, (Padding(1, 0), Padding(0, 2))), **names) == "pad(x, ((1, 0), (0, 2)))"
    column = ops.expand(ops.reshape(v, (6, 1)), (6, 4))
    assert text(ops.add(column, 1.0), **names) == "v[:, None] + 1"


def test_convolution():
    images, kernel, bias = leaf(2, 3, 8, 8), leaf(5, 3, 3, 3), leaf(5)
    padded = ops.pad(images, (Padding(0, 0), Padding(0, 0), Padding(1, 1), Padding(1, 1)))
    for stride, options in ((1, "padding=1"), (2, "stride=2, padding=1")):
        taps = ops.windows(padded, (Window(2, 3, stride), Window(3, 3, stride)))
        y = ops.contract(taps, (0, 1, 2, 3, 4, 5), kernel, (6, 1, 4, 5), (0, 6, 2, 3))
        spread = ops.expand(ops.reshape(bias, (1, 5, 1, 1)), y.shape)
        written = text(ops.relu(ops.add(y, spread)), x=images, w=kernel, b=bias)
        assert written == f"relu(conv2d(x, w, {options}) + b[:, None, None])"


def test_gather_and_scatter():
    from lazygrad.ir.dtype import int64

    x, i = leaf(5), leaf(3, dtype=int64)
    y = ops.gather(x, i, 0)
    assert text(y, x=x, i=i) == "gather(x, i, axis=0)"
    assert text(derivative(y, x), x=x, i=i) == "scatter_add(expand(0, (5,)), i, expand(1, (3,)), axis=0)"
