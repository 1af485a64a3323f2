"""Differentiation of graphs: what is reached, what is not, forward against reverse, again and again."""

import numpy
import pytest

from lazygrad import ops, runtime
from lazygrad.autodiff import jvp, vjp
from lazygrad.ir.dtype import float32, float64, int64
from lazygrad.ir.node import live_nodes, topological
from lazygrad.testing import GradientError, gradcheck
from lazygrad.testing.gradcheck import evaluate


def placeholder(*shape, dtype=float64):
    return ops.placeholder(shape, dtype, "numpy:0")


def data(values):
    array = numpy.asarray(values, numpy.float64)
    return ops.leaf(ops.buffer(runtime.from_host(array, float64, "numpy:0")))


def ones(like):
    return ops.constant(1, like.shape, like.dtype, like.device)


def test_inputs_that_do_not_matter_have_no_gradient():
    x, y = placeholder(2), placeholder(2)
    z = ops.sin(x)
    assert vjp([z], [ones(z)], [y]) == [None]
    assert vjp([z], [ones(z)], [x, y])[1] is None


def test_an_output_that_is_an_input():
    x = placeholder(2)
    g = placeholder(2)
    assert vjp([x], [g], [x]) == [g]


def test_detached_values_pass_nothing():
    x = placeholder(2)
    assert vjp([ops.detach(ops.sin(x))], [ones(x)], [x]) == [None]
    z = ops.mul(x, ops.detach(x))
    (g,) = vjp([z], [ones(z)], [x])
    assert ops.sin(g) is not None
    assert gradcheck(lambda a: ops.mul(a, 2.0), [data([1.0, 2.0])])


def test_integers_are_not_differentiated():
    x, i = placeholder(3), placeholder(2, dtype=int64)
    y = ops.gather(x, i, 0)
    found = vjp([y], [ones(y)], [x, i])
    assert found[0].shape == (3,)
    assert found[1] is None


def test_the_walk_stops_where_it_is_told():
    x = placeholder(2)
    y = ops.sin(x)
    z = ops.cos(y)
    assert vjp([z], [ones(z)], [x], stop=lambda n: n is y) == [None]
    (g,) = vjp([z], [ones(z)], [y])
    assert g.shape == (2,)


def test_a_gradient_has_its_tensors_shape_and_dtype():
    x = placeholder(2, 3)
    y = ops.sum_(x, (1,))
    with pytest.raises(RuntimeError, match=r"must have its shape and dtype, got float64 \[3\]"):
        vjp([y], [placeholder(3)], [x])
    with pytest.raises(RuntimeError, match=r"gradient of a float64 tensor .* got float32"):
        vjp([y], [placeholder(2, dtype=float32)], [x])


def test_several_outputs_add_up():
    x = data([0.5, 2.0])
    a, b = ops.sin(x), ops.mul(x, x)
    (g,) = vjp([a, b], [ones(a), ones(b)], [x])
    numpy.testing.assert_allclose(evaluate([g])[0], numpy.cos([0.5, 2.0]) + 2 * numpy.array([0.5, 2.0]))


def test_third_derivatives():
    x = data([0.3, -1.2])
    y = ops.sin(x)
    for _ in range(3):
        (y,) = vjp([y], [ones(y)], [x])
    numpy.testing.assert_allclose(evaluate([y])[0], -numpy.cos([0.3, -1.2]), rtol=1e-14)


def test_forward_and_reverse_agree_over_random_compositions():
    generator = numpy.random.default_rng(0)
    unary = [
        ops.sin,
        ops.tanh,
        ops.sigmoid,
        lambda v: ops.mul(v, v),
        lambda v: ops.div(1.0, ops.add(ops.mul(v, v), 1.0)),
    ]
    binary = [ops.add, ops.mul, ops.sub, ops.maximum]
    for _ in range(20):
        steps = [(int(generator.integers(2)), *generator.integers(0, 100, 3)) for _ in range(8)]

        def function(x, y, steps=steps):
            values = [x, y]
            for is_binary, op, i, j in steps:
                a, b = values[i % len(values)], values[j % len(values)]
                values.append(binary[op % 4](a, b) if is_binary else unary[op % 5](a))
            return values[-1]

        gradcheck(function, [data(generator.standard_normal(3)), data(generator.standard_normal(3))])


def test_jvp_of_what_does_not_move_is_zero():
    x, y = data([1.0]), data([2.0])
    (tangent,) = jvp([ops.sin(y)], [x], [ones(x)])
    assert evaluate([tangent])[0].tolist() == [0.0]


def test_sharing_is_linear():
    x = placeholder(2)
    y = x
    for _ in range(60):
        y = ops.add(ops.sin(y), ops.cos(y))
    (g,) = vjp([y], [ones(y)], [x])
    assert len(topological([g])) < 1000


def test_unreached_parts_cost_nothing():
    x, w = placeholder(2), placeholder(2)
    y = w
    for _ in range(1000):
        y = ops.sin(y)
    z = ops.mul(ops.sin(x), y)
    before = live_nodes()
    (g,) = vjp([z], [ones(z)], [x])
    assert live_nodes() - before < 10
    assert g.shape == (2,)


def test_derivatives_point_to_the_line_of_the_forward_operation():
    x = placeholder(2)
    y = ops.exp(ops.sin(x))  # the forward line
    (g,) = vjp([y], [placeholder(2)], [x])
    assert "the forward line" in str(g.place)


@pytest.mark.parametrize("name", ["reverse", "forward"])
def test_gradcheck_finds_a_wrong_rule(monkeypatch, name):
    from lazygrad.ops.transcendental import SIN

    wrong = (lambda out, g: ops.mul(g, ops.sin(out.inputs[0])),)
    object.__setattr__(SIN, "vjp", wrong) if name == "reverse" else monkeypatch.setattr(
        "lazygrad.autodiff._transposed", lambda current, position, tangent: ops.mul(tangent, 2.0)
    )
    right = (lambda out, g: ops.mul(g, ops.cos(out.inputs[0])),)
    try:
        with pytest.raises(GradientError, match=f"in {name} mode is .* finite differences give"):
            gradcheck(ops.sin, [data([0.3, 0.4])])
    finally:
        object.__setattr__(SIN, "vjp", right)


def test_gradcheck_names_the_worst_element():
    def function(a):
        kink = ops.where(ops.lt(0.5, a), ops.mul(a, 3.0), a)
        return ops.add(ops.detach(ops.mul(kink, kink)), kink)

    with pytest.raises(GradientError, match=r"worst element: input 0 at \[1\]"):
        gradcheck(function, [data([0.1, 0.9])])
