"""The kernel IR: what one launch computes, not how it is cut.

A kernel has buffers, scalar arguments and one or more independent bodies. A body is a set of parallel points
(its axes); at each point its stages run one after the other, each looping over its own inner axes and either
reducing into accumulators or storing:

    for each point of body.axes, in parallel:
        for stage in body.stages:
            for each point of stage.axes:
                products of this stage are computed;
                accumulators of this stage take in their values;  or  stores happen

So a pointwise kernel is one stage without axes that stores; a sum is a reducing stage and a storing stage; a
softmax row is max, then sum, then a storing stage that loops over the row again; a matrix product or convolution
is a ``Contraction`` stage followed by its epilogue; attention is a stage over keys with a product, the score, and
an ``Average`` by it. Nothing here knows vectors, threads or tiles: a tiling says how a kernel is cut, and lowering
takes both.

Element addresses are ``Index`` expressions over the variables of the body's and the stage's axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from lazygrad.ir.dtype import DType
from lazygrad.ir.index import Index, Mask, Variable
from lazygrad.ir.value import Value
from lazygrad.kernel.walk import ordered_values, stage_values
from lazygrad.settings import Precision

ReduceName = Literal["sum", "prod", "max", "min", "argmax", "argmin", "logsumexp"]


class BufferDeclaration(NamedTuple):
    """One buffer argument. ``size`` counts elements; ``written`` says that the kernel stores to it.

    ``movable``: the elements start at an offset that is passed at launch (a slice of a larger tensor), else at 0.
    """

    dtype: DType
    size: int
    written: bool = False
    movable: bool = False


class Access(NamedTuple):
    """Where an element is: the buffer's position among the kernel's, an address in elements, and a mask.

    A load outside its mask gives zero and touches no memory; a store outside its mask does not happen.
    ``dynamic`` are variables of the address (or mask) that are data: their values are the inputs, in this order,
    of the LOAD value (or of the Store) that has this access. They may be out of range only where the mask says so.
    """

    buffer: int
    address: Index
    mask: Mask = ()
    dynamic: tuple[Variable, ...] = ()


@dataclass(frozen=True)
class Reduction:
    """One accumulator over the stage's axes. Its result is the value REDUCED with its number in the body.

    ``dtype`` is the accumulator's type, to which ``value`` is converted already. argmax and argmin give the
    position ``position`` (int64) of the first extreme value. NaN wins over every number in max, min, argmax,
    argmin. logsumexp is the logarithm of the sum of exponentials, -inf where all values are.
    """

    axes: ClassVar[tuple[Variable, ...]] = ()  # its result is one for each point of the body
    op: ReduceName
    value: Value
    dtype: DType
    position: Index | None = None

    @property
    def operands(self) -> tuple[Value, ...]:
        """The values that are taken in."""
        return (self.value,)


@dataclass(frozen=True)
class Contraction:
    """The sum over the stage's axes of ``a * b``, where each may be any value; commonly both are plain loads.

    The body's axes fall into four classes by what the operands depend on: batch (both), rows (a alone), columns
    (b alone), and neither (broadcast). A tiling needs nothing more. ``precision`` is how exactly float32 must at
    least be multiplied: a target may always be more exact.

    With ``axes`` there is a sum for each point of these: columns that b alone depends on. Later stages read the
    result where they loop over these axes themselves.

    Products at points where ``lower`` is negative are zero, or nobody asks for their sum: a target may leave them out.
    """

    a: Value
    b: Value
    dtype: DType
    precision: Precision = "highest"
    axes: tuple[Variable, ...] = ()
    lower: Index | None = None

    @property
    def operands(self) -> tuple[Value, ...]:
        """The values that are taken in."""
        return (self.a, self.b)


@dataclass(frozen=True)
class Average:
    """The average of ``value`` over the stage's axes, weighted by the exponential of ``score``.

    ``sum(exp(score) * value) / sum(exp(score))``, whatever the size of the scores; 0 where all scores are -inf.
    ``value`` alone depends on ``axes``; these and ``precision`` are as a contraction's.
    """

    score: Value
    value: Value
    dtype: DType
    precision: Precision = "highest"
    axes: tuple[Variable, ...] = ()

    @property
    def operands(self) -> tuple[Value, ...]:
        """The values that are taken in."""
        return (self.score, self.value)


Accumulator: TypeAlias = Reduction | Contraction | Average


@dataclass(frozen=True)
class Product:
    """The sum of ``a * b`` over ``axes`` of its own, at each point of a stage, before anything else happens there.

    Its result is the value PRODUCT with its number in the body, known in this stage only. ``a`` depends on the body's
    axes, ``b`` on those of the stage too: a tile of the body and a block of the stage multiply as matrices.
    """

    axes: tuple[Variable, ...]
    a: Value
    b: Value
    dtype: DType
    precision: Precision = "highest"

    @property
    def operands(self) -> tuple[Value, ...]:
        """The values that are taken in."""
        return (self.a, self.b)


@dataclass(frozen=True)
class Store:
    """Writes ``value`` (already of the buffer's dtype). "add" adds to what an earlier stage of this body stored."""

    access: Access
    value: Value
    mode: Literal["set", "add"] = "set"
    dynamic_values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One loop nest at each parallel point. ``sequential`` loops must keep their order (scatter).

    Additions of a stage that is not sequential may happen in any order, but none is lost: where its points run side
    by side they are atomic.
    """

    axes: tuple[Variable, ...]
    accumulators: tuple[Accumulator, ...] = ()
    stores: tuple[Store, ...] = ()
    sequential: bool = False
    products: tuple[Product, ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:  # stages are keys of what is known about them
        return hash((self.axes, self.accumulators, self.stores, self.sequential, self.products))

    def __reduce__(self) -> tuple[Any, ...]:  # what is remembered above holds in this process only
        return Stage, (self.axes, self.accumulators, self.stores, self.sequential, self.products)

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """Every value that the stage computes, each once and after its inputs."""
        return tuple(ordered_values(stage_values(self)))

    @property
    def one_by_one(self) -> bool:
        """Whether code without atomic additions must visit the points one after the other."""
        return self.sequential or any(store.mode == "add" for store in self.stores)


@dataclass(frozen=True)
class Body:
    """Independent parallel points and what happens at each.

    Accumulators are numbered through all stages, and so are products.
    """

    axes: tuple[Variable, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Kernel:
    """One launch. Equal kernels are equal objects by value: names of axes and orders are canonical.

    Bodies run in any order. Several may store to one buffer, but never to one element of it.
    """

    name: str
    bodies: tuple[Body, ...]
    buffers: tuple[BufferDeclaration, ...]
    scalars: tuple[DType, ...] = ()
