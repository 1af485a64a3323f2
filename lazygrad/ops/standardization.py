"""Standardising: sums of squared distances from the mean, and distances from it that are multiplied with a scale.

    squared_distances(x, mean) = sum((x - mean)**2)      over ``axes``; mean and result have the other axes
    standardise(x, mean, scale) = (x - mean) * scale

``mean`` is the mean of x. Both are composites for the sake of their gradients. By the mean, the first one's is zero:
nothing has a smaller sum of squared distances. The second one's sums the cotangent before it is multiplied with the
scale, which is the sum that a bias gets as well. As compositions they would be differentiated to a sum over x more,
which depends on the others' results: a batch norm's gradient would walk over its input three times instead of twice.
"""

from __future__ import annotations

from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Op
from lazygrad.ops.arithmetic import mul, neg, sub
from lazygrad.ops.elementwise import is_float
from lazygrad.ops.reduce import ReduceAttributes, reduced_shape, spread, sum_


def _distances(x: Node, mean: Node, axes: tuple[int, ...]) -> Node:
    return sub(x, spread(mean, x.shape, axes))


def _compose_squares(attributes: ReduceAttributes, x: Node, mean: Node) -> Node:
    distances = _distances(x, mean, attributes.axes)
    return sum_(mul(distances, distances), attributes.axes)


def _squares_by_x(out: Node, g: Node) -> Node:
    x, mean = out.inputs
    axes = out.attributes.axes
    return mul(_distances(x, mean, axes), spread(mul(g, 2), x.shape, axes))


def _compose_standardised(attributes: ReduceAttributes, x: Node, mean: Node, scale: Node) -> Node:
    return mul(_distances(x, mean, attributes.axes), spread(scale, x.shape, attributes.axes))


def _standardised_by_x(out: Node, g: Node) -> Node:
    x, _, scale = out.inputs
    return mul(g, spread(scale, x.shape, out.attributes.axes))


def _standardised_by_mean(out: Node, g: Node) -> Node:
    return neg(mul(sum_(g, out.attributes.axes), out.inputs[2]))


def _standardised_by_scale(out: Node, g: Node) -> Node:
    x, mean, _ = out.inputs
    axes = out.attributes.axes
    return sum_(mul(g, _distances(x, mean, axes)), axes)


SQUARED_DISTANCES = Op(
    name="squared_distances",
    family=Family.COMPOSITE,
    shape=reduced_shape,
    dtype=lambda inputs, a: inputs[0].dtype,
    numpy=lambda of, whole: whole,
    vjp=(_squares_by_x, None),
    composition=_compose_squares,
    dtypes=is_float,
)
STANDARDISE = Op(
    name="standardise",
    family=Family.COMPOSITE,
    shape=lambda inputs, a: inputs[0].shape,
    dtype=lambda inputs, a: inputs[0].dtype,
    numpy=lambda of, whole: whole,
    vjp=(_standardised_by_x, _standardised_by_mean, _standardised_by_scale),
    composition=_compose_standardised,
    dtypes=is_float,
)


def squared_distances(x: Node, mean: Node, axes: tuple[int, ...]) -> Node:
    """The sum over ``axes`` of (x - mean)**2, where ``mean`` is that of x, without these axes."""
    return node(SQUARED_DISTANCES, (x, mean), ReduceAttributes(axes))


def standardise(x: Node, mean: Node, scale: Node, axes: tuple[int, ...]) -> Node:
    """(x - mean) * scale; ``mean`` and ``scale`` have the shape of x without ``axes``."""
    return node(STANDARDISE, (x, mean, scale), ReduceAttributes(axes))
