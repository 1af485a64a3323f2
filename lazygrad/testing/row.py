"""Rows of the conformance table, as data: what is computed, on which inputs, how exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy

from lazygrad.ir.dtype import DTYPES, DType, bfloat16, bool_, float16, float32, float64, int64
from lazygrad.ir.shape import Shape
from lazygrad.testing.values import Array, Domain, normal

FLOATS: tuple[DType, ...] = (float16, bfloat16, float32, float64)
INTEGERS: tuple[DType, ...] = tuple(d for d in DTYPES if d.is_integer)
NUMBERS: tuple[DType, ...] = INTEGERS + FLOATS
ALL: tuple[DType, ...] = DTYPES
# For compositions: what they are made of is tested in each dtype by itself.
SINGLE: tuple[DType, ...] = (float32,)
DOUBLE: tuple[DType, ...] = (float32, float64)

# A view of an input on its way into the function: (namespace, tensor) -> tensor.
Look = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Input:
    """One tensor: its shape and where its values come from.

    ``dtype`` None means the dtype that the row is run in. ``values`` are taken instead of random ones. ``look`` makes
    a view of the tensor before the function gets it. ``differentiable`` False keeps a float input out of gradients.
    """

    shape: Shape = ()
    domain: Domain = normal
    dtype: DType | None = None
    values: Array | None = None
    look: Look | None = None
    differentiable: bool = True

    def array(self, generator: numpy.random.Generator, dtype: DType) -> Array:
        """The values in the dtype in which they enter."""
        own = self.dtype or dtype
        if self.values is not None:
            return numpy.asarray(self.values).astype(own.numpy)
        return numpy.asarray(self.domain(generator, self.shape, own))


def tensor(*shape: int, domain: Domain = normal, look: Look | None = None) -> Input:
    """An input of the row's dtype."""
    return Input(shape, domain, look=look)


def fixed(*shape: int, domain: Domain = normal) -> Input:
    """An input of the row's dtype that is not differentiated by."""
    return Input(shape, domain, differentiable=False)


def index(*shape: int, domain: Domain) -> Input:
    """An input of positions."""
    return Input(shape, domain, int64)


def mask(*shape: int) -> Input:
    """An input of coin flips."""
    return Input(shape, normal, bool_)


def data(values: Any, dtype: DType | None = None) -> Input:
    """An input of given values."""
    array = numpy.asarray(values)
    return Input(array.shape, values=array, dtype=dtype)


@dataclass(frozen=True)
class Case:
    """One call: the inputs, and keyword arguments for the function."""

    inputs: tuple[Input, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shapes = ", ".join(f"{list(i.shape)}{' viewed' if i.look else ''}" for i in self.inputs)
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return shapes + options


def case(*inputs: Input, **options: Any) -> Case:
    """A case."""
    return Case(inputs, options)


@dataclass(frozen=True)
class Tolerance:
    """How far a value may be from the reference, in units of the dtype's precision.

    ``relative`` is measured by the value itself, ``absolute`` by the largest finite value of the result: sums may
    cancel. ``tiny`` admits results below the smallest normal number to be flushed to zero.
    """

    relative: float = 0
    absolute: float = 0
    tiny: bool = False


EXACT = Tolerance()
# Rounded once more or less, as where half-width floats are computed in float32.
ROUNDED = Tolerance(relative=1.01)
# A few units in the last place: what is promised for transcendental functions.
TRANSCENDENTAL = Tolerance(relative=4, tiny=True)
SUMMED = Tolerance(relative=16, absolute=16)
COMPOSED = Tolerance(relative=64, absolute=64, tiny=True)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One operation or composition.

    ``function`` is called with a namespace (lazygrad, or torch: the names are the same), the tensors of a case,
    and its options; it returns a tensor or several. ``torch`` False means that torch has no such function.
    ``dtypes`` are those in which it has a meaning, ``cases`` may depend on the dtype. ``edge_cases`` are run for values
    but not differentiated. ``gradients`` False means that there is no derivative, or that it is zero everywhere.
    ``torch_dtypes`` are those in which torch has it on the CPU. ``torch_edges`` False: torch has other edge values.
    """

    name: str
    function: Callable[..., Any]
    cases: tuple[Case, ...]
    edge_cases: Callable[[DType], tuple[Case, ...]] = lambda dtype: ()
    dtypes: tuple[DType, ...] = FLOATS
    tolerance: Tolerance = ROUNDED
    torch: bool = True
    torch_dtypes: tuple[DType, ...] | None = None
    torch_edges: bool = True
    gradients: bool = True
    second_order: bool = True
    torch_gradients: bool = True
    signed_zeros: bool = True
    gradient_tolerance: Tolerance = COMPOSED

    def cases_for(self, dtype: DType) -> tuple[Case, ...]:
        """Every case that is run for values in a dtype."""
        return self.cases + tuple(self.edge_cases(dtype))

    def with_(self, **changes: Any) -> Row:
        """This row with other fields."""
        return replace(self, **changes)


def generator_for(row: Row, number: int) -> numpy.random.Generator:
    """The random numbers of one case: the same in every run, other ones in every case."""
    return numpy.random.default_rng([number, *row.name.encode()])
