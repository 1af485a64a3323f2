"""The operation record: all that is known about one primitive, in one place.

A primitive is declared once (``lazygrad.ops``) by building an ``Op``. Every field without a default must be
given, so a forgotten rule fails when the declaration is imported. Whoever needs to know something about an
operation reads a field; there are no lists of operations elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lazygrad.ir.dtype import DType
from lazygrad.ir.map import IndexMap
from lazygrad.ir.shape import Shape
from lazygrad.ir.value import Value

if TYPE_CHECKING:
    from lazygrad.ir.node import Node

ShapeRule = Callable[["tuple[Node, ...]", Any], Shape]
DTypeRule = Callable[["tuple[Node, ...]", Any], DType]
NumpyRule = Callable[..., Any]
ScalarRule = Callable[..., Value]
# From (the node, the cotangent of its value) to the cotangent of one input.
VjpRule = Callable[["Node", "Node"], "Node"]
# From (the node's attributes, its inputs...) to a node of simpler operations with the same value.
CompositionRule = Callable[..., "Node"]


class Family(Enum):
    """What kind of operation: decides how a scheduler may treat it."""

    ELEMENTWISE = "elementwise"
    REDUCE = "reduce"
    MOVEMENT = "movement"
    CONTRACT = "contract"
    INDEX = "index"
    RANDOM = "random"
    SOURCE = "source"
    COMPOSITE = "composite"


class Linearity(Enum):
    """How the value depends on the inputs: decides how a jvp is derived from what is already declared."""

    EACH = "linear in each input by itself"  # bilinear: contract, mul
    JOINT = "linear in all inputs together"  # add, sub, sum, movement
    NONE = "not linear"


@dataclass(frozen=True, eq=False, kw_only=True)
class Op:
    """One primitive operation.

    ``vjp`` holds one rule for each input, None where the value is not differentiable by it. Inputs that may be left
    out are the last ones.
    ``numpy`` is the meaning: called with the node and the inputs' arrays (of a composite with its composition's), it
    returns the value's array.
    ``scalar`` (elementwise only) builds the scalar expression that code generators print.
    ``map`` (movement only) gives the index map of the view.
    ``cost`` estimates arithmetic per element in units of one addition, for the fusion cost model.
    ``composition`` (composite only) is the definition by simpler operations, which a device computes unless it says
    that it has something better (``Machine.composites``). With an empty ``vjp`` it is what is differentiated.
    ``is_deferred`` (composite only): no schedule ever sees it, because its composition takes its place before. Where
    the same graph has been met before, nobody asks for the composition; so it depends on the graph behind the inputs
    alone, and on what the attributes have as their ``key``.
    """

    name: str
    family: Family
    shape: ShapeRule
    dtype: DTypeRule
    numpy: NumpyRule
    vjp: tuple[VjpRule | None, ...]
    linearity: Linearity = Linearity.NONE
    scalar: ScalarRule | None = None
    map: Callable[[Node], IndexMap] | None = None
    cost: float = 1.0
    commutative: bool = False
    symbol: str | None = None  # infix or prefix symbol in printed mathematics
    identity: Callable[[DType], float | int | bool] | None = None  # reductions: the value of an empty one
    composition: CompositionRule | None = None
    is_deferred: bool = False
    dtypes: Callable[[DType], bool] = field(default=lambda dtype: True)  # which input dtypes have a meaning

    def __post_init__(self) -> None:
        if self.family is Family.ELEMENTWISE and self.scalar is None:
            raise TypeError(f"elementwise op {self.name!r} is declared without its scalar expression")
        if self.family is Family.MOVEMENT and self.map is None:
            raise TypeError(f"movement op {self.name!r} is declared without its index map")
        if self.family is Family.COMPOSITE and self.composition is None:
            raise TypeError(f"composite op {self.name!r} is declared without its composition")
        if self.family is not Family.COMPOSITE and self.composition is not None:
            raise TypeError(f"op {self.name!r} has a composition, but its family is {self.family.value}")
        if self.name in REGISTRY:
            raise TypeError(f"op {self.name!r} is declared twice")
        REGISTRY[self.name] = self

    @cached_property
    def has_all_rules(self) -> bool:
        """Whether the value is differentiable by every input; of a composite without rules, it is as well."""
        return None not in self.vjp

    def __repr__(self) -> str:
        return self.name


REGISTRY: dict[str, Op] = {}
