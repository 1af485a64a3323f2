"""From nodes to scalar expressions: what one element of a node is, at a point of a kernel's loops.

A node that lies in memory is a load at its layout's address; a view evaluates its source at mapped coordinates and
zero outside its mask; anything else is its operation on its inputs' elements. The walk is iterative and remembers,
so that shared subexpressions are one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lazygrad.ir import value as scalar
from lazygrad.ir.dtype import DType, accumulator, bfloat16, bool_, float16, int32, int64
from lazygrad.ir.index import Bound, Index, Mask, Variable, simplify_mask, variable, variables
from lazygrad.ir.layout import Layout
from lazygrad.ir.map import at, row_major
from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.ir.value import Value
from lazygrad.kernel.expansions.philox import philox4x32
from lazygrad.kernel.kernel import Access
from lazygrad.ops.movement import VIEW
from lazygrad.schedule.components import Point
from lazygrad.schedule.contracting import Halo


class Home(NamedTuple):
    """Where a node's elements are: a slot of the schedule, a layout, and how far zeros surround them."""

    slot: int
    layout: Layout
    halo: Halo
    movable: bool = False


class Where(NamedTuple):
    """One request: a node's element at a point, wanted only where the mask holds."""

    node: Node
    point: Point
    mask: Mask


def compute_dtype(dtype: DType) -> DType:
    """Half-width floats are storage: loaded into, and computed in, float32."""
    return accumulator(dtype)


class Expressions:
    """Builds the values of one kernel and collects the buffers and scalar arguments they use."""

    def __init__(self, homes: Mapping[Node, Home], arguments: Mapping[Node, int]) -> None:
        self.homes = homes
        self.arguments = arguments
        self.slots: dict[int, int] = {}  # schedule slot -> position among the kernel's buffers
        self.scalars: dict[int, int] = {}  # schedule argument -> position among the kernel's scalars
        self.results: dict[Node, Value] = {}  # reductions and contractions of this body
        self._known: dict[Where, Value] = {}
        self._dynamic: dict[Variable, Value] = {}
        self._computed_here: set[Node] = set()

    def buffer(self, slot: int) -> int:
        return self.slots.setdefault(slot, len(self.slots))

    def new_body(self) -> None:
        """Forgets what belongs to one body: loop variables of the next have the same names."""
        self.results.clear()
        self._known.clear()

    def element(self, of: Node, point: Point) -> Value:
        """The element of ``of`` at ``point`` in its compute dtype."""
        root = Where(of, point, ())
        stack = [root]
        while stack:
            where = stack[-1]
            if where in self._known:
                stack.pop()
                continue
            missing = [w for w in self._needs(where) if w not in self._known]
            if missing:
                stack.extend(reversed(missing))
                continue
            self._known[where] = self._build(where)
            stack.pop()
        return self._known[root]

    def _in_memory(self, of: Node) -> bool:
        return of in self.homes and of not in self._computed_here

    def computed_here(self, nodes: set[Node]) -> None:
        """Members of this body that are stored by it: used from registers, never loaded back."""
        self._computed_here = nodes

    def _needs(self, where: Where) -> list[Where]:
        of, point, mask = where
        if of in self.results or self._in_memory(of) or of.op.family is Family.SOURCE:
            return []
        if of.op is VIEW:
            return [self._behind_view(where)]
        if of.op.name == "gather":
            index = Where(of.inputs[1], point, mask)
            if index not in self._known:
                return [index]
            return [self._gathered(where)]
        if of.op.family is Family.RANDOM:
            return [Where(i, (), ()) for i in of.inputs]
        return [Where(i, point, mask) for i in of.inputs]

    def _behind_view(self, where: Where) -> Where:
        coordinates, own_mask = at(where.node.attributes.map, where.point)
        return Where(where.node.inputs[0], coordinates, simplify_mask((*where.mask, *own_mask)))

    def _gathered(self, where: Where) -> Where:
        axis = where.node.attributes.axis
        source = where.node.inputs[0]
        position = self._known[Where(where.node.inputs[1], where.point, where.mask)]
        name = next((v.name for v, known in self._dynamic.items() if known is position), f"g{len(self._dynamic)}")
        # Its extent is what a check at run time leaves of it; an axis of extent 1 needs the variable for its check.
        index = variable(name, max(source.shape[axis], 2))
        (atom,) = variables(index)
        self._dynamic.setdefault(atom, position)
        point = tuple(index if a == axis else c for a, c in enumerate(where.point))
        inside = Bound(index, 0, source.shape[axis])
        return Where(source, point, where.mask if inside in where.mask else (*where.mask, inside))

    def _build(self, where: Where) -> Value:
        of, point, mask = where
        if of in self.results:
            return self.results[of]
        if self._in_memory(of):
            return self._load(of, point, mask)
        family, name = of.op.family, of.op.name
        if family is Family.SOURCE:
            return self._source(of, point)
        if of.op is VIEW:
            behind = self._behind_view(where)
            inner = self._known[behind]
            own = tuple(bound for bound in behind.mask if bound not in mask)
            if not own or (inner.op in ("load",) or (inner.op == "cast" and inner.inputs[0].op == "load")):
                return inner
            return scalar.where(scalar.leaf(scalar.VALID, bool_, own), inner, 0)
        if name == "gather":
            return self._known[self._gathered(where)]
        if family is Family.RANDOM:
            return self._random(of, point)
        inputs = [self._known[Where(i, point, mask)] for i in of.inputs]
        if name == "cast":
            return convert(inputs[0], of.dtype)
        assert of.op.scalar is not None, f"{name} cannot be inlined"
        return of.op.scalar(*inputs)

    def _load(self, of: Node, point: Point, mask: Mask) -> Value:
        home = self.homes[of]
        kept = _outside_halo(point, mask, of.shape, home.halo)
        address = home.layout.address(point)
        used = variables(address).union(*(variables(b.index) for b in kept)) if kept else variables(address)
        dynamic = tuple(sorted((v for v in used if v in self._dynamic), key=lambda v: v.name))
        checks = tuple(Bound(Index(0, ((v, 1),)), 0, v.extent) for v in dynamic)
        access = Access(self.buffer(home.slot), address, (*kept, *checks), dynamic)
        loaded = scalar.leaf(scalar.LOAD, of.dtype, access, tuple(self._dynamic[v] for v in dynamic))
        return loaded.cast(compute_dtype(of.dtype))

    def _source(self, of: Node, point: Point) -> Value:
        if of.op.name == "constant":
            return scalar.constant(of.attributes.value.number, compute_dtype(of.dtype))
        if of.op.name == "arange":
            return scalar.leaf(scalar.INDEX, int64, point[0])
        number = self.arguments[of]
        position = self.scalars.setdefault(number, len(self.scalars))
        return scalar.leaf(scalar.ARGUMENT, compute_dtype(of.dtype), position)

    def _random(self, of: Node, point: Point) -> Value:
        key, call = (self._known[Where(i, (), ())] for i in of.inputs)
        element = scalar.leaf(scalar.INDEX, int64, row_major(point, of.shape))
        words = philox4x32((_low(element), _high(element), _low(call), _high(call)), (_low(key), _high(key)))
        return words[of.attributes.word]


def _low(wide: Value) -> Value:
    return wide.cast(int32)


def _high(wide: Value) -> Value:
    return (wide >> 32).cast(int32)


def convert(x: Value, dtype: DType) -> Value:
    """The cast operation: to bool by comparison with zero, to half-width floats by rounding through storage."""
    if dtype is bool_:
        return x if x.dtype is bool_ else x.differs(0)
    if dtype in (float16, bfloat16):
        return x.cast(compute_dtype(dtype)).cast(dtype).cast(compute_dtype(dtype))
    return x.cast(dtype)


def _outside_halo(point: Point, mask: Mask, shape: tuple[int, ...], halo: Halo) -> Mask:
    """The mask without the bounds that the zeros around the stored elements make true by themselves."""
    if not mask or not any(h != (0, 0) for h in halo):
        return mask
    kept = []
    for bound in mask:
        for axis, coordinate in enumerate(point):
            inside = coordinate.low >= -halo[axis][0] and coordinate.high < shape[axis] + halo[axis][1]
            own = simplify_mask((Bound(coordinate, 0, shape[axis]),))
            if inside and own == (bound,):
                break
        else:
            kept.append(bound)
    return tuple(kept)
