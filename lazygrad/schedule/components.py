"""Components: which nodes are computed together in one kernel.

Nodes are visited in order; each joins the component of one of its inputs when its elements correspond to that
component's loop points and no path through another kernel would have to run in between, else it opens its own.
A component has a space (a shape, its loop axes); some of its axes may be reduced inside it, and every member has
a point: its own indices as expressions over the space's variables. A member whose point uses the unreduced axes
only is computed once a row, any other once an element.

Dependencies between components are kept transitively closed in bit sets, so that a join is one test.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from enum import Enum
from typing import cast

from lazygrad.ir.index import Index, Variable, variables
from lazygrad.ir.map import IndexMap, at, axis_variables, identity, is_bijection, reshape_map
from lazygrad.ir.node import Node, topological
from lazygrad.ir.op import Family
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.contract import CONTRACT
from lazygrad.ops.indexing import SCATTER
from lazygrad.ops.movement import VIEW
from lazygrad.ops.reduce import ARGMAX, ARGMIN
from lazygrad.schedule import streaming

Point = tuple[Index, ...]
# Siblings are looked for among values with at most so many origins: more means there is no common one to share.
MOST_ORIGINS = 16


class Kind(Enum):
    """Which kind of body a component becomes."""

    LOOPS = "loops"  # pointwise, reductions, fused rows
    CONTRACT = "contract"
    SCATTER = "scatter"
    STREAM = "stream"  # a composite that the device computes whole, or several that run through the same


class Component:
    """A future kernel body."""

    def __init__(self, number: int, kind: Kind, space: Shape) -> None:
        self.number = number
        self.kind = kind
        self.space = space
        self.reduced: frozenset[int] = frozenset()  # axes of the space
        self.points: dict[Node, Point] = {}  # members in order
        self.depends: int = 0  # bits of the components that must run before, transitively
        self.bits: int = 1 << number  # its own and those of components merged into it
        self.awaits: int = 0  # bits of components that it reads nothing of, but has to wait for

    @property
    def row_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(len(self.space)) if axis not in self.reduced)

    def __repr__(self) -> str:
        return f"<component {self.number} {self.kind.value} {list(self.space)} reduces {sorted(self.reduced)}>"


def atoms(point: Sequence[Index]) -> tuple[Variable, ...]:
    """The loop variables of an axis list; extents of 1 have none."""
    return tuple(cast(Variable, index.terms[0][0]) for index in point if index.terms)


def source_of(operand: Node) -> tuple[Node, IndexMap]:
    """What an input reads: the node behind its view, and the view's map."""
    if operand.op is VIEW:
        return operand.inputs[0], operand.attributes.map
    return operand, identity(operand.shape)


def waits_of(operand: Node) -> tuple[Node, ...]:
    """What has to be computed before an input is read."""
    return operand.inputs[1:] if operand.op is VIEW else ()


class Grouping:
    """Assigns every computing node to a component."""

    def __init__(self, roots: Sequence[Node], stored_views: Iterable[Node], unfused: frozenset[Node], body_limit: int):
        self.body_limit = body_limit
        self.stored_views = frozenset(stored_views)
        self.unfused = unfused  # contractions' users that must not become their epilogue
        self.of: dict[Node, Component] = {}
        self.components: list[Component] = []
        self.order = topological(roots)
        self.position = {node: position for position, node in enumerate(self.order)}
        self._known_origins: dict[Node, frozenset[Node]] = {}
        self._awaited = 0  # bits of the components that some other depends on
        self._streams: dict[Hashable, Component] = {}  # by the products that they run through
        for current in self.order:
            self._place(current)
            self._origins(current)
        self._join_siblings()

    def component(self, of: Node) -> Component | None:
        return self.of.get(of)

    def live(self) -> list[Component]:
        return [c for c in self.components if c.points]

    # ---- placing one node

    def _place(self, current: Node) -> None:
        family = current.op.family
        if current.result is not None or family is Family.SOURCE:
            return
        if family is Family.MOVEMENT and current not in self.stored_views:
            return
        inputs = [source_of(i) for i in current.inputs]
        awaited = [self.of[first] for i in current.inputs for first in waits_of(i)]
        needed = 0
        awaits = 0
        for component in awaited:
            needed |= component.bits | component.depends
            awaits |= component.bits
        for source, _ in inputs:
            of_source = self.of.get(source)
            if of_source is not None:
                needed |= of_source.bits | of_source.depends
                awaits |= of_source.awaits  # its members may be computed again here
        joined: Component | None = None
        if family is Family.ELEMENTWISE or current.op.name == "gather":
            joined = self._join_elementwise(current, inputs, awaited)
        elif family is Family.REDUCE:
            joined = self._join_reduction(current, inputs[0], awaited)
        elif family is Family.COMPOSITE:
            joined = self._join_stream(current, needed)
        if joined is None:
            joined = self._open(current, inputs)
        joined.awaits |= awaits & ~joined.bits
        self._depend(joined, needed & ~joined.bits)

    def _open(self, current: Node, inputs: list[tuple[Node, IndexMap]]) -> Component:
        kind, space = Kind.LOOPS, current.shape
        if current.op is CONTRACT:
            kind = Kind.CONTRACT
        elif current.op is SCATTER:
            kind = Kind.SCATTER
        elif current.op.family is Family.REDUCE:
            space = current.inputs[0].shape
        elif current.op.family is Family.COMPOSITE:
            kind, space = Kind.STREAM, streaming.rows(current)
        made = Component(len(self.components), kind, space)
        self.components.append(made)
        own = axis_variables(space)
        if current.op.family is Family.REDUCE:
            made.reduced = frozenset(current.attributes.axes)
            made.points[current] = tuple(own[axis] for axis in made.row_axes)
        elif kind is Kind.STREAM:
            made.points[current] = streaming.point(current)
            self._streams[streaming.products(current)] = made
        else:
            made.points[current] = own
        self.of[current] = made
        return made

    def _join_elementwise(
        self, current: Node, inputs: list[tuple[Node, IndexMap]], awaited: list[Component]
    ) -> Component | None:
        candidates: list[tuple[Component, Point]] = []
        # A gather reads its source at any place: it goes where its positions are, never to the kernel of the source.
        gathers = current.op.name == "gather"
        apart = self.of.get(inputs[0][0]) if gathers else None
        for source, index_map in inputs[1:] if gathers else inputs:
            component = self.of.get(source)
            if component is None or component is apart or any(component is c for c, _ in candidates):
                continue
            if component.kind in (Kind.SCATTER, Kind.STREAM) or len(component.points) >= self.body_limit:
                continue
            if component.kind is Kind.CONTRACT and current in self.unfused:
                continue
            point = _matching_point(current, component, component.points[source], index_map)
            if point is not None:
                candidates.append((component, point))
        for component, point in sorted(candidates, key=lambda c: -c[0].number):
            others = awaited + [self.of[source] for source, _ in inputs if source in self.of]
            if not self._may_join(component, others):
                continue
            if not self._consistent(component, point, inputs):
                continue
            component.points[current] = point
            self.of[current] = component
            for other, other_point in candidates:
                if other is not component and other_point == axis_variables(current.shape) == point:
                    self._merge(component, other)
            return self.of[current]
        return None

    def _consistent(self, component: Component, point: Point, inputs: list[tuple[Node, IndexMap]]) -> bool:
        """Inputs computed in this very component can only be read where this loop point computed them."""
        for source, index_map in inputs:
            if self.of.get(source) is component:
                coordinates, mask = at(index_map, point)
                if mask or coordinates != component.points[source]:
                    return False
        return True

    def _join_reduction(
        self, current: Node, operand: tuple[Node, IndexMap], awaited: list[Component]
    ) -> Component | None:
        source, index_map = operand
        component = self.of.get(source)
        if component is None or component.kind is not Kind.LOOPS or len(component.points) >= self.body_limit:
            return None
        if not self._may_join(component, awaited):
            return None
        if index_map != identity(source.shape) or source in self.stored_views:
            return None
        point = component.points[source]
        if _used(point) != _used(axis_variables(component.space)):
            return None
        reduced: set[int] = set()
        for axis in current.attributes.axes:
            coordinate = point[axis]
            if coordinate.terms:
                plain = len(coordinate.terms) == 1 and coordinate.constant == 0 and coordinate.terms[0][1] == 1
                if not plain or not isinstance(coordinate.terms[0][0], Variable):
                    return None
                reduced.add(int(coordinate.terms[0][0].name[1:]))
        trivial = {axis for axis, extent in enumerate(component.space) if extent == 1}
        if component.reduced and component.reduced - trivial != reduced:
            return None
        if current.op in (ARGMAX, ARGMIN) and len(reduced) != 1:
            return None
        kept = tuple(c for axis, c in enumerate(point) if axis not in current.attributes.axes)
        names = {f"i{axis}" for axis in reduced}
        if any(v.name in names for v in _used(kept)):
            return None
        if not component.reduced:
            component.reduced = frozenset(reduced)
        component.points[current] = kept
        self.of[current] = component
        return component

    def _join_stream(self, current: Node, needed: int) -> Component | None:
        """The stream through the same products, unless the node has to wait for it."""
        component = self._streams.get(streaming.products(current))
        if component is None or needed & component.bits:
            return None
        component.points[current] = streaming.point(current)
        self.of[current] = component
        return component

    def _join_siblings(self) -> None:
        """Loops over one space that read the same large tensors run as one sweep, when neither needs the other."""
        families: dict[tuple[Shape, frozenset[int]], list[tuple[Component, set[Node]]]] = {}
        for component in self.components:
            if component.kind is not Kind.LOOPS or not component.points:
                continue
            reads = self._large_reads(component)
            family = families.setdefault((component.space, component.reduced), [])
            for elder, elder_reads in family:
                if elder.points and reads & elder_reads:
                    self._merge(elder, component)
                    if not component.points:
                        elder_reads |= reads
                        break
            else:
                family.append((component, reads))

    def _large_reads(self, component: Component) -> set[Node]:
        """What the members read that is as large as the space and cannot be computed element by element."""
        size = size_of(component.space)
        found: set[Node] = set()
        for member in component.points:
            if size_of(member.shape) == size or member.op.family is Family.REDUCE:
                for operand in member.inputs:
                    found |= self._origins(source_of(operand)[0])
        return {
            origin
            for origin in found
            if size_of(origin.shape) >= size and self.of.get(origin) is not component and not _is_free(origin)
        }

    def _origins(self, of: Node) -> frozenset[Node]:
        """The nodes that elementwise operations lead back to."""
        known = self._known_origins.get(of)
        if known is not None:
            return known
        found: frozenset[Node] = frozenset((of,))
        if of.op.family is Family.ELEMENTWISE:
            inner = [self._known_origins.get(source_of(i)[0], frozenset((i,))) for i in of.inputs]
            found = frozenset().union(*inner)
            if len(found) > MOST_ORIGINS:
                found = frozenset((of,))
        self._known_origins[of] = found
        return found

    # ---- dependencies

    def _may_join(self, component: Component, inputs: list[Component]) -> bool:
        return all(other is component or not other.depends & component.bits for other in inputs)

    def _depend(self, component: Component, bits: int) -> None:
        new = bits & ~component.depends
        if not new:
            return
        component.depends |= new
        self._awaited |= new
        if component.bits & self._awaited:
            for other in self.components:
                if other.depends & component.bits and other is not component:
                    other.depends |= new

    def _merge(self, into: Component, other: Component) -> None:
        """Two components over one space become one, when neither has to wait for the other."""
        if into.depends & other.bits or other.depends & into.bits or not other.points:
            return
        if into.space != other.space or Kind.SCATTER in (into.kind, other.kind):
            return
        if into.kind is Kind.CONTRACT or other.kind is Kind.CONTRACT:
            if into.kind is other.kind or into.reduced or other.reduced:
                return
            if any(member in self.unfused for member in (*into.points, *other.points)):
                return
            into.kind = Kind.CONTRACT
        if into.reduced and other.reduced and into.reduced != other.reduced:
            return
        if len(into.points) + len(other.points) > self.body_limit:
            return
        into.reduced = into.reduced or other.reduced
        points = {**other.points, **into.points}
        into.points = {member: points[member] for member in sorted(points, key=self.position.__getitem__)}
        for member in other.points:
            self.of[member] = into
        other.points = {}
        into.bits |= other.bits
        into.awaits |= other.awaits
        self._depend(into, other.depends)
        for third in self.components:
            if third.depends & into.bits and third is not into:
                third.depends |= into.depends | into.bits


def _is_free(of: Node) -> bool:
    """Constants and the like, which nobody reads from memory: to have one in common is no reason to run together."""
    return of.op.family is Family.SOURCE and of.op.cost == 0


def _used(point: Iterable[Index]) -> set[Variable]:
    found: set[Variable] = set()
    for coordinate in point:
        found |= variables(coordinate)
    return found


def _matching_point(current: Node, component: Component, source_point: Point, index_map: IndexMap) -> Point | None:
    """The point of ``current`` at which it reads its input exactly where the component computes it."""
    for point in _candidate_points(current.shape, component, source_point, index_map):
        coordinates, mask = at(index_map, point)
        if not mask and coordinates == source_point:
            return point
    return None


def _candidate_points(shape: Shape, component: Component, source_point: Point, index_map: IndexMap) -> Iterable[Point]:
    if shape == component.space:
        yield axis_variables(component.space)
    rows = [axis_variables(component.space)[axis] for axis in component.row_axes if component.space[axis] > 1]
    if component.reduced and [e for e in shape if e > 1] == [c.high + 1 for c in rows]:
        remaining = iter(rows)
        yield tuple(next(remaining) if extent > 1 else Index(0) for extent in shape)
    source_shape = tuple(1 if not c.terms else c.high + 1 for c in source_point)
    if len(source_shape) == len(index_map.coordinates) and is_bijection(index_map, source_shape):
        permuted = _inverse_permutation(index_map, source_point)
        if permuted is not None:
            yield permuted
        coordinates, _ = at(reshape_map(source_shape, shape), source_point)
        yield coordinates


def _inverse_permutation(index_map: IndexMap, source_point: Point) -> Point | None:
    found: dict[str, Index] = {}
    for coordinate, value in zip(index_map.coordinates, source_point, strict=True):
        if not coordinate.terms:
            continue
        atom, factor = coordinate.terms[0]
        if len(coordinate.terms) != 1 or factor != 1 or coordinate.constant or not isinstance(atom, Variable):
            return None
        found[atom.name] = value
    return tuple(found.get(f"i{axis}", Index(0)) for axis in range(len(index_map.shape)))
