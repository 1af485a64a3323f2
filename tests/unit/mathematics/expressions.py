"""Graphs for the tests of printed mathematics, built of nodes: placeholders cost nothing and stay symbols."""

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import float32
from lazygrad.mathematics import symbolic


def leaf(*shape, dtype=float32):
    return ops.placeholder(shape, dtype, "numpy:0")


def ones(like):
    return ops.constant(1, like.shape, like.dtype, like.device)


def derivative(output, by, cotangent=None):
    (found,) = vjp([output], [ones(output) if cotangent is None else cotangent], [by])
    return found


def kept(reduced, shape, axes):
    """A reduction spread over its input's shape again."""
    return ops.expand(ops.reshape(reduced, tuple(1 if a in axes else e for a, e in enumerate(shape))), shape)


def total(x, *axes):
    return ops.sum_(x, axes or tuple(range(x.rank)))


def mean(x, *axes):
    axes = axes or tuple(range(x.rank))
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    return ops.div(ops.sum_(x, axes), float(count))


def softmax(x, axis=1):
    e = ops.exp(ops.sub(x, kept(ops.max_(x, (axis,)), x.shape, (axis,))))
    return ops.div(e, kept(ops.sum_(e, (axis,)), x.shape, (axis,)))


def linear(x, w, b):
    product = ops.contract(x, (0, 1), w, (2, 1), (0, 2))
    return ops.add(product, ops.expand(ops.reshape(b, (1, b.shape[0])), product.shape))


def text(node, **names):
    """The printed mathematics, with leaves called by keyword."""
    return symbolic(node, {leaf: name for name, leaf in names.items()})
