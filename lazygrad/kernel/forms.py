"""What kind of body this is, and the forms in which skeletons for any target want it."""

from __future__ import annotations

from lazygrad.ir.index import Variable, variables
from lazygrad.ir.value import INDEX, LOAD, VALID, Value
from lazygrad.kernel.axes import canonical_axes
from lazygrad.kernel.kernel import Accumulator, Body, Contraction, Reduction, Stage
from lazygrad.kernel.walk import ordered_values


def has_contraction(body: Body) -> bool:
    """Whether a stage of the body is a contraction."""
    return any(isinstance(a, Contraction) for stage in body.stages for a in stage.accumulators)


def is_streaming(body: Body) -> bool:
    """Whether the body's first stage has products, and so runs through blocks of matrices."""
    return bool(body.stages[0].products)


def is_pointwise(body: Body) -> bool:
    """Whether the body only stores, in one stage and any order."""
    if len(body.stages) != 1:
        return False
    (stage,) = body.stages
    return not stage.accumulators and not stage.sequential and all(store.mode == "set" for store in stage.stores)


def pointwise(body: Body) -> Body:
    """The stage's axes made the body's: all points are independent."""
    (stage,) = body.stages
    return canonical_axes(Body((*body.axes, *stage.axes), (Stage((), (), stage.stores),)))


def as_reduction(accumulator: Accumulator) -> Reduction:
    """A contraction as the sum of products that it is."""
    if isinstance(accumulator, Reduction):
        return accumulator
    if not isinstance(accumulator, Contraction):
        raise TypeError(f"{type(accumulator).__name__} is not a reduction of one value")
    product = accumulator.a.cast(accumulator.dtype) * accumulator.b.cast(accumulator.dtype)
    return Reduction("sum", product, accumulator.dtype)


def identity_of(reduction: Reduction) -> bool | int | float:
    """The value that changes nothing when it is taken in."""
    dtype = reduction.dtype
    if reduction.op == "sum":
        return 0
    if reduction.op == "prod":
        return 1
    return dtype.minimum if reduction.op in ("max", "argmax") else dtype.maximum


def axes_read(value: Value) -> set[Variable]:
    """Every axis (and dynamic variable) that a value depends on."""
    found: set[Variable] = set()
    for each in ordered_values([value]):
        if each.op == LOAD:
            indices = [each.payload.address, *(bound.index for bound in each.payload.mask)]
        elif each.op == INDEX:
            indices = [each.payload]
        elif each.op == VALID:
            indices = [bound.index for bound in each.payload]
        else:
            continue
        for index in indices:
            found |= variables(index)
    return found
