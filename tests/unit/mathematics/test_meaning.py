"""What is printed is what is computed: texts of random graphs and of their gradients, run as Python on NumPy arrays."""

import math

import numpy
import pytest

from lazygrad import ops, runtime
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import float64
from lazygrad.mathematics import symbolic
from lazygrad.ops.movement import Padding, Range
from lazygrad.testing.gradcheck import evaluate


def _along_axes(function):
    def reduce(x, axis=None, keepdim=False):
        return function(x, axis=axis, keepdims=keepdim)

    return reduce


def _softmax(x, axis):
    e = numpy.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _logsumexp(x, axis=None, keepdim=False):
    m = x.max(axis=axis, keepdims=True)
    found = m + numpy.log(numpy.exp(x - m).sum(axis=axis, keepdims=True))
    return found if keepdim else found.squeeze(axis)


_PLAIN = (
    "exp", "log", "sin", "cos", "tanh", "sqrt", "where", "abs", "sign", "einsum", "maximum", "minimum", "reshape",
    "flip", "log1p", "arange", "inf",
)  # fmt: skip
VOCABULARY = {
    **{name: getattr(numpy, name) for name in _PLAIN},
    **{name: _along_axes(getattr(numpy, name)) for name in ("sum", "max", "min", "mean", "prod")},
    "sigmoid": lambda x: 1 / (1 + numpy.exp(-x)),
    "relu": lambda x: numpy.maximum(x, 0),
    "erf": numpy.vectorize(math.erf, otypes=[float]),
    "softmax": _softmax,
    "logsumexp": _logsumexp,
    "permute": numpy.transpose,
    "expand": numpy.broadcast_to,
    "pad": lambda x, paddings: numpy.pad(x, paddings),
}  # fmt: skip


def run(text, leaves):
    """The value of a printed expression."""
    names = {**VOCABULARY, **leaves}
    *lines, last = text.splitlines()
    for line in lines:
        name, _, value = line.partition(" = ")
        names[name] = eval(value, {"__builtins__": {}}, names)
    return eval(last, {"__builtins__": {}}, names)


def data(array):
    return ops.leaf(ops.buffer(runtime.from_host(array, float64, "numpy:0")))


UNARY = (
    ops.sin, ops.tanh, ops.sigmoid, ops.exp, ops.relu, ops.erf, ops.abs_, ops.neg, lambda v: ops.mul(v, v),
    lambda v: ops.div(1.0, ops.add(ops.mul(v, v), 2.0)), lambda v: ops.sqrt(ops.add(ops.mul(v, v), 1.0)),
    lambda v: ops.add(v, 0.5), lambda v: ops.mul(v, -3.0), lambda v: ops.log(ops.add(ops.mul(v, v), 0.5)),
    lambda v: ops.pow_(v, 3.0), lambda v: ops.where(ops.lt(0.25, v), v, ops.mul(v, 0.1)),
)  # fmt: skip
BINARY = (ops.add, ops.sub, ops.mul, ops.maximum, lambda a, b: ops.div(a, ops.add(ops.mul(b, b), 1.0)))


def fit(v, shape, generator):
    """``v`` brought to a shape by reductions, broadcasts, transposes."""
    if v.shape == shape:
        return v
    if v.shape == tuple(reversed(shape)) and v.rank == 2:
        return ops.permute(v, (1, 0))
    while v.rank:
        axis = int(generator.integers(v.rank))
        v = ops.max_(v, (axis,)) if generator.integers(3) == 0 else ops.div(ops.sum_(v, (axis,)), float(v.shape[axis]))
        if len(shape) - v.rank == 1 and v.rank == 1 and v.shape[0] in shape:
            at = shape.index(v.shape[0])
            return ops.expand(ops.reshape(v, tuple(e if a == at else 1 for a, e in enumerate(shape))), shape)
    return ops.expand(ops.reshape(v, (1,) * len(shape)), shape)


def change(v, generator):
    """A movement, a softmax or a matrix product."""
    match int(generator.integers(7)):
        case 0 if v.rank == 2:
            return ops.permute(v, (1, 0))
        case 1 if v.rank == 2:
            return ops.contract(v, (0, 1), v, (2, 1), (0, 2))
        case 2 if v.rank:
            last = v.rank - 1
            e = ops.exp(v)
            total = ops.sum_(e, (last,))
            return ops.div(e, ops.expand(ops.reshape(total, (*total.shape, 1)), v.shape))
        case 3 if v.rank and v.shape[0] > 1:
            return ops.slice_(v, (Range(1, v.shape[0]), *(Range(0, e) for e in v.shape[1:])))
        case 4 if v.rank:
            return ops.flip(v, (0,))
        case 5 if v.rank == 1:
            return ops.pad(v, (Padding(1, 0),))
        case 6 if v.rank == 2:
            return ops.reshape(v, (v.shape[0] * v.shape[1],))
    return v


def random_graph(generator, leaves):
    values = list(leaves)
    for _ in range(int(generator.integers(2, 9))):
        a = values[int(generator.integers(len(values)))]
        kind = generator.integers(4)
        if kind < 2:
            b = values[int(generator.integers(len(values)))]
            made = BINARY[int(generator.integers(len(BINARY)))](a, fit(b, a.shape, generator))
        elif kind == 2:
            made = UNARY[int(generator.integers(len(UNARY)))](a)
        else:
            made = change(a, generator)
        values.append(made)
    return values[-1]


@pytest.mark.parametrize("seed", range(200))
def test_texts_of_random_graphs_compute_the_same(seed):
    generator = numpy.random.default_rng(seed)
    arrays = {
        "x": generator.uniform(0.3, 1.2, (3, 4)),
        "y": generator.uniform(-1, 1, 4),
        "z": generator.uniform(-1, 1, (1, 3)),
    }
    nodes = {name: data(array) for name, array in arrays.items()}
    output = random_graph(generator, nodes.values())
    cotangent = data(generator.standard_normal(output.shape))
    made = {"value": output}
    for name, gradient in zip(nodes, vjp([output], [cotangent], list(nodes.values())), strict=True):
        if gradient is not None:
            made[f"gradient by {name}"] = gradient
    names = {**{node: name for name, node in nodes.items()}, cotangent: "g"}
    (held,) = evaluate([cotangent])
    for what, node in made.items():
        (expected,) = evaluate([node])
        text = symbolic(node, names)
        found = numpy.broadcast_to(run(text, {**arrays, "g": held}), node.shape)
        numpy.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7, err_msg=f"{what}:\n{text}")
