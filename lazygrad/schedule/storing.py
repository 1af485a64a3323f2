"""What is stored: for every value that another kernel needs, whether it goes through memory or is computed again.

Roots, contractions, streams, reductions, scatters and everything that the operand stage asked for are stored. Any other
value is computed again inside each kernel that needs it, while that is cheaper than a store and its loads.

Where a kernel needs the result of an expensive operation itself, and others need several values that follow from it, it
is that result which is stored: of a gelu the tanh, when the gradient reads ``1 + tanh`` and ``1 - tanh * tanh``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.ir.shape import size_of
from lazygrad.ops.contract import CONTRACT
from lazygrad.schedule import streaming
from lazygrad.schedule.components import Component, Grouping, Kind, source_of
from lazygrad.schedule.cost import RECOMPUTE_LIMIT, RECOMPUTE_LOADS, STREAMED_COST


class Closure(NamedTuple):
    """What computing an element from stored values takes: additions, stored values read, operations.

    What is the same for many elements, as the factors of a normalization are for a channel, costs each of them a part.
    """

    cost: float
    loads: frozenset[Node]
    size: int
    results: frozenset[Node] = frozenset()  # reductions, contractions, streams inside, which exist in one kernel only


class Uses(NamedTuple):
    """What a kernel computes a value for.

    ``inside``: something that it stores in any case. ``ways_out``: values (of many at least two) through which other
    kernels need it.
    """

    inside: bool
    ways_out: frozenset[Node]


def choose_stored(
    roots: Sequence[Node], required: Iterable[Node], prologues: Container[Node], grouping: Grouping, body_limit: int
) -> dict[Node, None]:
    """The nodes to store, in order. For contractions those in ``prologues`` need not be."""
    readers = _readers(grouping)
    stored: dict[Node, None] = {}
    always = {*roots, *required}
    uses = _uses(grouping, readers, always)
    closures: dict[Node, Closure] = {}
    for current in grouping.order:
        component = grouping.component(current)
        if component is None:
            continue
        closure = _closure(current, closures, stored)
        wanting = readers.get(current, ())
        if current in prologues:
            wanting = [(c, member) for c, member in wanting if member.op is not CONTRACT]
        if (
            current in always
            or _is_expensive_source(current, uses[current])
            or _must_store(current, component, closure, wanting, body_limit)
        ):
            stored[current] = None
            closure = Closure(0, frozenset((current,)), 0)
        elif any(c is not component for c, _ in readers.get(current, ())):
            stored.update(dict.fromkeys(sorted(closure.results, key=grouping.position.__getitem__)))
        closures[current] = closure
    return stored


def _readers(grouping: Grouping) -> dict[Node, list[tuple[Component, Node]]]:
    """For each node the components whose members read it (through views), with the reading member."""
    found: dict[Node, list[tuple[Component, Node]]] = {}
    for current in grouping.order:
        component = grouping.component(current)
        if component is not None:
            for operand in current.inputs:
                found.setdefault(source_of(operand)[0], []).append((component, current))
    return found


def _uses(
    grouping: Grouping, readers: dict[Node, list[tuple[Component, Node]]], always: Container[Node]
) -> dict[Node, Uses]:
    found: dict[Node, Uses] = {}
    for current in reversed(grouping.order):
        component = grouping.component(current)
        inside, ways_out = False, frozenset[Node]()
        for reader, member in readers.get(current, ()):
            if reader is not component:
                ways_out |= {current}
            elif member in always or _is_result(member):
                inside = True
            else:
                inside = inside or found[member].inside
                if len(ways_out) < 2:
                    ways_out |= found[member].ways_out
        found[current] = Uses(inside, ways_out)
    return found


def _is_expensive_source(current: Node, uses: Uses) -> bool:
    return current.op.cost > RECOMPUTE_LIMIT and uses.inside and len(uses.ways_out) > 1


def _is_result(current: Node) -> bool:
    """Whether a value exists in one kernel only."""
    return current.op.family in (Family.REDUCE, Family.CONTRACT, Family.COMPOSITE) or current.op.name == "scatter"


def _closure(current: Node, known: dict[Node, Closure], stored: dict[Node, None]) -> Closure:
    cost = current.op.cost
    loads: frozenset[Node] = frozenset()
    size = 1
    results: frozenset[Node] = frozenset()
    if _is_result(current):
        results |= {current}
    for operand in current.inputs:
        source, _ = source_of(operand)
        if source in stored or source.op.name in ("buffer", "placeholder"):
            loads |= {source}
        else:
            inner = known.get(source)
            if inner is not None:
                cost += inner.cost * min(1.0, size_of(source.shape) / max(size_of(current.shape), 1))
                loads |= inner.loads
                size += inner.size
                results |= inner.results
    return Closure(cost, loads, size, results)


def _must_store(
    current: Node,
    component: Component,
    closure: Closure,
    readers: Sequence[tuple[Component, Node]],
    body_limit: int,
) -> bool:
    outside = [(c, member) for c, member in readers if c is not component]
    if not outside:
        return False
    if current in closure.results or closure.size > body_limit:
        return True
    if any(result.op.family is not Family.REDUCE for result in closure.results):
        return True
    own = size_of(current.shape)
    full = sum(1 for load in closure.loads if 2 * size_of(load.shape) > own)
    repeated = max(_iterations(c, member) for c, member in outside) / max(own, 1)
    only_reader = len({c.number for c, _ in outside}) == 1 and not any(c is component for c, _ in readers)
    if only_reader and repeated <= 1:
        return False  # computed once either way: a store would only add traffic
    if closure.cost <= STREAMED_COST and all(c.kind is Kind.STREAM for c, _ in outside):
        return full > RECOMPUTE_LOADS
    return closure.cost * max(repeated, 1.0) > RECOMPUTE_LIMIT or full > RECOMPUTE_LOADS


def _iterations(component: Component, member: Node) -> int:
    """How often a kernel evaluates one member's inputs."""
    if member.op.family is Family.REDUCE:
        return size_of(member.inputs[0].shape)
    if component.kind is Kind.STREAM:
        return streaming.iterations(member)
    return size_of(member.shape)
