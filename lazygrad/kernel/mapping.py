"""Stages rebuilt from what functions make of their parts: how every pass over kernels writes its result.

In: a stage and functions of values, accesses, indices or axes. Out: the stage with each part replaced, and nothing
lost of what the functions know nothing about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from lazygrad.ir.index import Index, Variable
from lazygrad.ir.value import Value
from lazygrad.kernel.kernel import Access, Accumulator, Average, Contraction, Product, Reduction, Stage, Store

T = TypeVar("T")
Axes: TypeAlias = tuple[Variable, ...]


def _same(x: T) -> T:
    return x


def map_stage(
    stage: Stage,
    value: Callable[[Value], Value] = _same,
    access: Callable[[Access], Access] = _same,
    index: Callable[[Index], Index] = _same,
    axes: Callable[[Axes], Axes] = _same,
) -> Stage:
    """The stage with functions applied to its values, its stores' accesses, its positions and its lists of axes."""
    products = tuple(Product(axes(p.axes), value(p.a), value(p.b), p.dtype, p.precision) for p in stage.products)
    accumulators = tuple(_map_accumulator(accumulator, value, index, axes) for accumulator in stage.accumulators)
    stores = tuple(
        Store(access(store.access), value(store.value), store.mode, tuple(map(value, store.dynamic_values)))
        for store in stage.stores
    )
    return Stage(axes(stage.axes), accumulators, stores, stage.sequential, products)


def _map_accumulator(
    of: Accumulator, value: Callable[[Value], Value], index: Callable[[Index], Index], axes: Callable[[Axes], Axes]
) -> Accumulator:
    match of:
        case Reduction():
            position = None if of.position is None else index(of.position)
            return Reduction(of.op, value(of.value), of.dtype, position)
        case Contraction():
            lower = None if of.lower is None else index(of.lower)
            return Contraction(value(of.a), value(of.b), of.dtype, of.precision, axes(of.axes), lower)
        case Average():
            return Average(value(of.score), value(of.value), of.dtype, of.precision, axes(of.axes))
