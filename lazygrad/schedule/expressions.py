"""From nodes to scalar expressions: what one element of a node is, at a point of a kernel's loops.

A node that lies in memory is a load at its layout's address; a view evaluates its source at mapped coordinates and
zero outside its mask; anything else is its operation on its inputs' elements. The walk is iterative and remembers,
so that shared subexpressions are one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from lazygrad.kernel.kernel import Access, Store
from lazygrad.ops.indexing import GATHER
from lazygrad.ops.movement import VIEW
from lazygrad.schedule.components import Point
from lazygrad.schedule.contracting import Halo


class Home(NamedTuple):
    """Where a node's elements are: a slot of the schedule, a layout, and how far zeros surround them."""

    slot: int
    layout: Layout
    halo: Halo
    movable: bool = False


class Spot:
    """A point of the loops, and the mask where elements are wanted there. ``Expressions`` has each once."""

    __slots__ = ("mask", "point")

    def __init__(self, point: Point, mask: Mask) -> None:
        self.point = point
        self.mask = mask


class Where(NamedTuple):
    """One request: a node's element at a spot."""

    node: Node
    spot: Spot


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
        self._spots: dict[tuple[Point, Mask], Spot] = {}
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
        root = Where(of, self._spot(point, ()))
        known = self._known
        stack = [(root, self._needs(root))]
        while stack:
            where, needs = stack[-1]
            missing = [w for w in needs if w not in known] if where not in known else []
            if missing:
                stack.extend((w, self._needs(w)) for w in reversed(missing))
            elif where.node.op is GATHER and len(needs) == 1:  # where it reads depends on the index's value
                needs.append(self._gathered(where))
            else:
                if where not in known:
                    known[where] = self._build(where, needs)
                stack.pop()
        return known[root]

    def _spot(self, point: Point, mask: Mask) -> Spot:
        return self._spots.setdefault((point, mask), Spot(point, mask))

    def _in_memory(self, of: Node) -> bool:
        return of in self.homes and of not in self._computed_here

    def store(self, of: Node, point: Point) -> Store:
        """Writes the element of ``of`` at ``point`` where it belongs."""
        value = self.element(of, point)
        home = self.homes[of]
        return Store(Access(self.buffer(home.slot), home.layout.address(point)), value.cast(of.dtype))

    def computed_here(self, nodes: set[Node]) -> None:
        """Members of this body that are stored by it: used from registers, never loaded back."""
        self._computed_here = nodes

    def _needs(self, where: Where) -> list[Where]:
        """What must be known before an element is built; of a gather, the index only."""
        of, spot = where
        if of in self.results or self._in_memory(of) or of.op.family is Family.SOURCE:
            return []
        if of.op is VIEW:
            return [self._behind_view(where)]
        if of.op is GATHER:
            return [Where(of.inputs[1], spot)]
        if of.op.family is Family.RANDOM:
            return [Where(i, self._spot((), ())) for i in of.inputs]
        return [Where(i, spot) for i in of.inputs]

    def _behind_view(self, where: Where) -> Where:
        view, spot = where
        coordinates, own_mask = at(view.attributes.map, spot.point)
        mask = simplify_mask((*spot.mask, *own_mask)) if spot.mask and own_mask else spot.mask or own_mask
        return Where(view.inputs[0], self._spot(coordinates, mask))

    def _gathered(self, where: Where) -> Where:
        gather, spot = where
        axis = gather.attributes.axis
        source, indices = gather.inputs
        position = self._known[Where(indices, spot)]
        name = next((v.name for v, known in self._dynamic.items() if known is position), f"g{len(self._dynamic)}")
        # Its extent is what a check at run time leaves of it; an axis of extent 1 needs the variable for its check.
        index = variable(name, max(source.shape[axis], 2))
        (atom,) = variables(index)
        self._dynamic.setdefault(atom, position)
        point = tuple(index if a == axis else c for a, c in enumerate(spot.point))
        inside = Bound(index, 0, source.shape[axis])
        return Where(source, self._spot(point, spot.mask if inside in spot.mask else (*spot.mask, inside)))

    def _build(self, where: Where, needs: Sequence[Where]) -> Value:
        of, spot = where
        if of in self.results:
            return self.results[of]
        if self._in_memory(of):
            return self._load(of, spot.point, spot.mask)
        family, name = of.op.family, of.op.name
        if family is Family.SOURCE:
            return self._source(of, spot.point)
        if of.op is VIEW:
            (behind,) = needs
            inner = self._known[behind]
            own = tuple(bound for bound in behind.spot.mask if bound not in spot.mask)
            if not own or inner.op == scalar.LOAD or (inner.op == "cast" and inner.inputs[0].op == scalar.LOAD):
                return inner  # a load has the mask in itself
            return scalar.where(self._holds(own), inner, 0)
        inputs = [self._known[each] for each in needs]
        if of.op is GATHER:
            return inputs[1]
        if family is Family.RANDOM:
            key, call = inputs
            return self._random(of, spot.point, key, call)
        if name == "cast":
            return convert(inputs[0], of.dtype)
        assert of.op.scalar is not None, f"{name} cannot be inlined"
        return of.op.scalar(*inputs)

    def _load(self, of: Node, point: Point, mask: Mask) -> Value:
        home = self.homes[of]
        kept = _outside_halo(point, mask, of.shape, home.halo)
        address = home.layout.address(point)
        dynamic: tuple[Variable, ...] = ()
        if self._dynamic:
            used = variables(address).union(*(variables(b.index) for b in kept))
            dynamic = tuple(sorted((v for v in used if v in self._dynamic), key=lambda v: v.name))
        checks = tuple(Bound(Index(0, ((v, 1),)), 0, v.extent) for v in dynamic)
        access = Access(self.buffer(home.slot), address, (*kept, *checks), dynamic)
        loaded = scalar.leaf(scalar.LOAD, of.dtype, access, tuple(self._dynamic[v] for v in dynamic))
        return loaded.cast(compute_dtype(of.dtype))

    def _source(self, of: Node, point: Point) -> Value:
        if of.op.name == "constant":
            return scalar.constant(of.attributes.value.number, compute_dtype(of.dtype))
        if of.op.name == "arange":
            return self._integer(point[0])
        number = self.arguments[of]
        position = self.scalars.setdefault(number, len(self.scalars))
        return scalar.leaf(scalar.ARGUMENT, compute_dtype(of.dtype), position)

    def _integer(self, index: Index) -> Value:
        """The index as a value: where it depends on data, by arithmetic on that."""
        if not any(v in self._dynamic for v in variables(index)):
            return scalar.leaf(scalar.INDEX, int64, index)
        total: Value = scalar.constant(index.constant, int64)
        for atom, coefficient in index.terms:
            if isinstance(atom, Variable):
                part = (
                    self._dynamic[atom].cast(int64) if atom in self._dynamic else self._integer(Index(0, ((atom, 1),)))
                )
            else:
                divisor = scalar.constant(atom.divisor, int64)
                part = scalar.apply(
                    "remainder" if atom.remainder else "floor_divide", self._integer(atom.index), divisor
                )
            total = total + part * coefficient
        return total

    def _holds(self, mask: Mask) -> Value:
        """Whether the mask holds: where it depends on data, by comparing that."""
        plain = tuple(b for b in mask if not any(v in self._dynamic for v in variables(b.index)))
        held = [scalar.leaf(scalar.VALID, bool_, plain)] if plain else []
        for bound in mask:
            if bound not in plain:
                index = self._integer(bound.index)
                held += [scalar.apply("le", scalar.constant(bound.low, int64), index), index < bound.high]
        result = held[0]
        for other in held[1:]:
            result = result & other
        return result

    def _random(self, of: Node, point: Point, key: Value, call: Value) -> Value:
        element = self._integer(row_major(point, of.shape))
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
    needless: set[Bound] = set()
    for coordinate, extent, (low, high) in zip(point, shape, halo, strict=True):
        if coordinate.low >= -low and coordinate.high < extent + high:
            needless.update(simplify_mask((Bound(coordinate, 0, extent),)))
    return tuple(bound for bound in mask if bound not in needless)
