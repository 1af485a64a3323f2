"""From a component to a kernel body: its stages, accumulators and stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import cast

from lazygrad.ir import value as scalar
from lazygrad.ir.index import Bound, Index, Substitution, Variable, combination, variable, variables
from lazygrad.ir.map import axis_variables
from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.ir.value import Value
from lazygrad.kernel.kernel import Access, Accumulator, Body, Contraction, ReduceName, Reduction, Stage, Store
from lazygrad.ops.contract import CONTRACT, ContractAttributes
from lazygrad.ops.reduce import ARGMAX, ARGMIN
from lazygrad.schedule.attention_bodies import attention_body
from lazygrad.schedule.components import Component, Kind, Point, atoms, source_of
from lazygrad.schedule.contracting import Sides
from lazygrad.schedule.expressions import Expressions, Home, compute_dtype, convert
from lazygrad.schedule.staging import Operand, strides_of


def build_body(
    component: Component,
    stored: Sequence[Node],
    expressions: Expressions,
    homes: Mapping[Node, Home],
    sides: Mapping[Node, Sides],
    operands: Sequence[Operand] | None = None,
) -> Body:
    """The body that computes the component's stored members."""
    expressions.new_body()
    expressions.computed_here(set(stored))
    match component.kind:
        case Kind.LOOPS:
            return _loops(component, stored, expressions)
        case Kind.CONTRACT:
            assert operands is not None
            return _contraction(component, stored, expressions, sides, operands)
        case Kind.SCATTER:
            return _scatter(component, stored[0], expressions, homes)
        case Kind.STREAM:
            return attention_body(component, stored, expressions)


def loop_point(extents: Sequence[int], letter: str = "i") -> Point:
    """Loop variables of these extents, as kernels number them: an axis of extent 1 has none."""
    numbers = count()
    return tuple(variable(f"{letter}{next(numbers)}", extent) if extent > 1 else Index(0) for extent in extents)


# ---- pointwise, reductions, fused rows


def _loops(component: Component, stored: Sequence[Node], expressions: Expressions) -> Body:
    uses = _uses(component)
    levels = _levels(component, stored, uses)
    loops = _Axes(component)
    outer, inner = loops.outer, loops.inner
    depth = 1 + max(levels.values(), default=-1)
    accumulators: list[list[Accumulator]] = [[] for _ in range(depth)]
    number = 0
    for level in range(depth):
        for reduction in (r for r, at_level in levels.items() if at_level == level):
            accumulators[level].append(_reduction(reduction, loops, expressions))
        for reduction in (r for r, at_level in levels.items() if at_level == level):
            dtype = compute_dtype(reduction.dtype)
            expressions.results[reduction] = scalar.leaf(scalar.REDUCED, dtype, number)
            number += 1
    stores: list[list[Store]] = [[] for _ in range(depth)]
    last: list[Store] = []
    rows: list[Store] = []
    for member in stored:
        point = loops.point(member)
        store = expressions.store(member, point)
        needs = 1 + max((levels[r] for r in uses[member]), default=-1)
        if member.op.family is Family.REDUCE or not any(v in inner for c in point for v in variables(c)):
            rows.append(store)
        elif needs < depth:
            stores[needs].append(store)
        else:
            last.append(store)
    stages = [Stage(inner, tuple(accumulators[level]), tuple(stores[level])) for level in range(depth)]
    if last:
        stages.append(Stage(inner, (), tuple(last)))
    if rows:
        stages.append(Stage((), (), tuple(rows)))
    return Body(outer, tuple(stages))


class _Axes:
    """A component's loops under the names that they have in a kernel (see lazygrad/kernel/identity.py)."""

    def __init__(self, component: Component) -> None:
        self._points = component.points
        self._space = axis_variables(component.space)
        outer = loop_point([component.space[axis] for axis in component.row_axes], "i")
        inner = loop_point([component.space[axis] for axis in sorted(component.reduced)], "j")
        self.outer, self.inner = atoms(outer), atoms(inner)
        given = [self._space[axis] for axis in (*component.row_axes, *sorted(component.reduced))]
        named = (index for index in (*outer, *inner) if index.terms)
        self._named = Substitution(dict(zip(atoms(given), named, strict=True)))

    def point(self, of: Node) -> Point:
        """The point of a member; of what is not a member, the loops themselves."""
        return tuple(self._named(coordinate) for coordinate in self._points.get(of, self._space))


def _uses(component: Component) -> dict[Node, frozenset[Node]]:
    """For each member the component's reductions that its value needs."""
    uses: dict[Node, frozenset[Node]] = {}
    for member in component.points:
        found: frozenset[Node] = frozenset()
        for operand in member.inputs:
            source, _ = source_of(operand)
            if source in component.points:
                found |= {source} if source.op.family is Family.REDUCE else uses[source]
        uses[member] = found
    return uses


def _levels(component: Component, stored: Sequence[Node], uses: Mapping[Node, frozenset[Node]]) -> dict[Node, int]:
    """The needed reductions and the sweep in which each is computed."""
    needed: set[Node] = set()
    for member in stored:
        pending = [member] if member.op.family is Family.REDUCE else list(uses[member])
        while pending:
            reduction = pending.pop()
            if reduction not in needed:
                needed.add(reduction)
                pending.extend(uses[reduction])
    levels: dict[Node, int] = {}
    for member in component.points:
        if member in needed:
            levels[member] = 1 + max((levels[r] for r in uses[member]), default=-1)
    return levels


def _reduction(of: Node, loops: _Axes, expressions: Expressions) -> Reduction:
    (operand,) = of.inputs
    point = loops.point(operand)
    position: Index | None = None
    if of.op in (ARGMAX, ARGMIN):
        position = point[of.attributes.axes[0]]
    value = expressions.element(operand, point)
    return Reduction(cast(ReduceName, of.op.name), value, value.dtype, position)


# ---- contraction


def _contraction(
    component: Component,
    stored: Sequence[Node],
    expressions: Expressions,
    sides: Mapping[Node, Sides],
    operands: Sequence[Operand],
) -> Body:
    (product,) = (member for member in component.points if member.op is CONTRACT)
    at: ContractAttributes = product.attributes
    of_label: dict[int, Index] = dict(zip(at.out, component.points[product], strict=True))
    extents = dict(zip((*at.a, *at.b), (*product.inputs[0].shape, *product.inputs[1].shape), strict=True))
    inner = [label for label in at.a if label not in at.out]
    of_label.update({label: variable(f"k{position}", extents[label]) for position, label in enumerate(inner)})
    values = [_operand(o, tuple(of_label[label] for label in o.labels), expressions) for o in operands]
    chosen = sides[product]
    rows, columns = values[chosen.rows], values[chosen.columns]
    row_labels, column_labels = (at.a, at.b) if chosen.rows == 0 else (at.b, at.a)
    by_rows, by_columns = strides_of(rows), strides_of(columns)

    def ordered(labels: list[int], strides: Mapping[Variable, int]) -> list[int]:
        def key(label: int) -> int:
            terms = of_label[label].terms
            return -abs(strides.get(cast(Variable, terms[0][0]), 0)) if terms else 0

        return sorted((label for label in labels if of_label[label].terms), key=key)

    batch = [label for label in at.out if label in row_labels and label in column_labels]
    only_rows = [label for label in at.out if label in row_labels and label not in column_labels]
    only_columns = [label for label in at.out if label not in row_labels]
    axes = [*ordered(batch, by_rows), *ordered(only_rows, by_rows), *ordered(only_columns, by_columns)]
    dtype = compute_dtype(product.dtype)
    expressions.results[product] = scalar.leaf(scalar.REDUCED, dtype, 0)
    stores = tuple(expressions.store(member, component.points[member]) for member in stored)
    contraction = Contraction(rows, columns, dtype, at.precision, (), _triangle(at, of_label))
    summing = Stage(atoms([of_label[label] for label in ordered(inner, by_rows)]), (contraction,))
    return Body(atoms([of_label[label] for label in axes]), (summing, Stage((), (), stores)))


def _triangle(at: ContractAttributes, of_label: Mapping[int, Index]) -> Index | None:
    """What is negative above the diagonal."""
    if at.lower is None:
        return None
    row, column = at.lower
    return combination(0, ((of_label[row], 1), (of_label[column], -1)))


def _operand(of: Operand, point: Point, expressions: Expressions) -> Value:
    """An element of an operand. One that is computed here is rounded to its type as if it had been stored."""
    value = expressions.element(of.node, point)
    is_exact = value.op == "cast" and value.inputs[0].dtype is of.node.dtype
    return value if is_exact else convert(value, of.node.dtype)


# ---- scatter


def _scatter(component: Component, of: Node, expressions: Expressions, homes: Mapping[Node, Home]) -> Body:
    base, index, source = of.inputs
    axis, mode, ordered = of.attributes
    point = list(component.points[of])
    home = homes[of]
    target = variable("j0", of.shape[axis])
    base_point = (*point[:axis], target, *point[axis + 1 :])
    buffer = expressions.buffer(home.slot)
    copied = Store(
        Access(buffer, home.layout.address(base_point)), expressions.element(base, base_point).cast(of.dtype)
    )
    step = variable("k0", index.shape[axis])
    from_point = (*point[:axis], step, *point[axis + 1 :])
    position = expressions.element(index, from_point)
    place = Variable("g", max(of.shape[axis], 2))
    to_point = (*point[:axis], Index(0, ((place, 1),)), *point[axis + 1 :])
    inside = (Bound(Index(0, ((place, 1),)), 0, of.shape[axis]),)
    added = Store(
        Access(buffer, home.layout.address(to_point), inside, (place,)),
        expressions.element(source, from_point).cast(of.dtype),
        mode,
        (position,),
    )
    others = atoms([c for a, c in enumerate(point) if a != axis])
    return Body(
        others,
        (Stage(atoms([target]), (), (copied,)), Stage(atoms([step]), (), (added,), sequential=ordered)),
    )
