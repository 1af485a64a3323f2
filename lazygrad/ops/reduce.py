"""Reductions: the named axes disappear. Sums of half-width floats are accumulated in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

from lazygrad.ir.dtype import DType, accumulator, int64
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Linearity, Op, VjpRule
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.arithmetic import div
from lazygrad.ops.comparison import eq, where
from lazygrad.ops.identity import cast
from lazygrad.ops.other_factors import product_of_others
from lazygrad.ops.reshaping import expand, reshape


class ReduceAttributes(NamedTuple):
    axes: tuple[int, ...]  # sorted, counted from the front


def reduced_shape(inputs: tuple[Node, ...], a: ReduceAttributes) -> Shape:
    """The shape of the first input without the axes."""
    return tuple(extent for axis, extent in enumerate(inputs[0].shape) if axis not in a.axes)


def _same(inputs: tuple[Node, ...], a: ReduceAttributes) -> DType:
    return inputs[0].dtype


def back(of: Node, reduced: Node) -> Node:
    """A value of the reduction's shape spread over the shape of its input again."""
    return spread(reduced, of.inputs[0].shape, of.attributes.axes)


def spread(reduced: Node, shape: Shape, axes: tuple[int, ...]) -> Node:
    """A value without the ``axes`` at each element of ``shape``, which has them."""
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    return expand(reshape(reduced, kept), shape)


def _accumulated(reduce: Callable[..., Any]) -> Callable[..., Any]:
    def meaning(of: Node, x: Any) -> Any:
        wide = x.astype(accumulator(of.dtype).numpy)
        return numpy.asarray(reduce(wide, axis=of.attributes.axes)).astype(of.dtype.numpy)

    return meaning


def _reduction(name: str, meaning: Callable[..., Any], vjp: VjpRule, **fields: Any) -> Op:
    return Op(
        name=name, family=Family.REDUCE, shape=reduced_shape, dtype=_same, numpy=meaning, vjp=(vjp,), **fields
    )  # fmt: skip


def _prod_vjp(out: Node, g: Node) -> Node:
    (x,) = out.inputs
    if not size_of(x.shape):
        return back(out, g)
    wide = accumulator(x.dtype)
    return cast(product_of_others(cast(x, wide), out.attributes.axes, cast(g, wide)), x.dtype)


def _extremum_vjp(out: Node, g: Node) -> Node:
    """Torch's convention for amax and amin: ties share the cotangent equally.

    Ties are counted in the accumulator's type, so that many of them in a half-width float stay exact.
    """
    (x,) = out.inputs
    hit = eq(x, back(out, out))
    wide = accumulator(x.dtype)
    ties = sum_(cast(hit, wide), out.attributes.axes)
    share = cast(div(cast(g, wide), ties), x.dtype)
    return where(hit, back(out, share), 0.0)


SUM = _reduction(
    "sum", _accumulated(numpy.sum), lambda out, g: back(out, g), linearity=Linearity.JOINT, identity=lambda d: 0
)
PROD = _reduction("prod", _accumulated(numpy.prod), _prod_vjp, identity=lambda d: 1)
MAX = _reduction(
    "max", lambda of, x: numpy.max(x, axis=of.attributes.axes), _extremum_vjp, identity=lambda d: d.minimum
)
MIN = _reduction(
    "min", lambda of, x: numpy.min(x, axis=of.attributes.axes), _extremum_vjp, identity=lambda d: d.maximum
)


def _arg(pick: Callable[..., Any]) -> Callable[..., Any]:
    return lambda of, x: numpy.asarray(pick(x, axis=of.attributes.axes[0]), numpy.int64)


ARGMAX = Op(
    name="argmax", family=Family.REDUCE, shape=reduced_shape, dtype=lambda inputs, a: int64,
    numpy=_arg(numpy.argmax), vjp=(None,), identity=lambda d: d.minimum, cost=2,
)  # fmt: skip
ARGMIN = Op(
    name="argmin", family=Family.REDUCE, shape=reduced_shape, dtype=lambda inputs, a: int64,
    numpy=_arg(numpy.argmin), vjp=(None,), identity=lambda d: d.maximum, cost=2,
)  # fmt: skip


def _reduce(op: Op, x: Node, axes: tuple[int, ...]) -> Node:
    return node(op, (x,), ReduceAttributes(tuple(sorted(axes)))) if axes else x


def sum_(x: Node, axes: tuple[int, ...]) -> Node:
    """The sum over ``axes``; of no axes, ``x`` itself."""
    return _reduce(SUM, x, axes)


def prod(x: Node, axes: tuple[int, ...]) -> Node:
    return _reduce(PROD, x, axes)


def _extremum(op: Op, x: Node, axes: tuple[int, ...]) -> Node:
    if any(x.shape[axis] == 0 for axis in axes):
        raise IndexError(f"{op.name}: cannot reduce over an axis of extent 0 (shape {list(x.shape)}): no identity")
    return _reduce(op, x, axes)


def max_(x: Node, axes: tuple[int, ...]) -> Node:
    """The largest value; for bool, whether any is true. NaN wins."""
    return _extremum(MAX, x, axes)


def min_(x: Node, axes: tuple[int, ...]) -> Node:
    """The smallest value; for bool, whether all are true. NaN wins."""
    return _extremum(MIN, x, axes)


def argmax(x: Node, axis: int) -> Node:
    """The first position (int64) of the largest value along one axis; NaN counts as largest."""
    return _extremum(ARGMAX, x, (axis,))


def argmin(x: Node, axis: int) -> Node:
    """The first position (int64) of the smallest value along one axis; NaN counts as smallest."""
    return _extremum(ARGMIN, x, (axis,))
