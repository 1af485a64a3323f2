"""Recognising graphs: which programs compute a graph, and with which of its leaves and numbers.

In: roots. Out: a ``Call``. Most graphs are known by their structure. One with *deferred* composites, as are the
gradients of a backward pass, is known by its structure as it stands: when a step comes again, what it defers is not
even built. Only the first time every deferred composite is replaced by its composition; then it is noted which leaves
of the graph as it stands are the leaves of what it stands for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple
from weakref import ref

from lazygrad import ops
from lazygrad.ir.composition import composition
from lazygrad.ir.node import Node, topological, with_inputs
from lazygrad.ir.op import Family
from lazygrad.ir.value import Number
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.executable import Executable
from lazygrad.runtime.structure import Structure, leaf_key, linearize

# How many graphs with deferred parts each device remembers; the least recently used go first.
REMEMBERED_GRAPHS = 256


class Call(NamedTuple):
    """Programs, and the leaves and numbers to run them with."""

    executable: Executable
    leaves: list[Buffer]
    numbers: list[Number]


class _Known(NamedTuple):
    """A graph with deferred parts: its programs, and which of its leaves and arguments are theirs, in order."""

    executable: ref[Executable]
    leaves: tuple[int, ...]
    arguments: tuple[int, ...]


_KNOWN: dict[str, OrderedDict[object, _Known]] = {}


def recognise(device: str, roots: Sequence[Node], find: Callable[[Structure], Executable]) -> Call:
    """How to compute the roots. ``find`` gives the programs of a structure without deferred parts."""
    structure = linearize(roots)
    if not structure.defers:
        return Call(find(structure), structure.leaves, [handle.value for handle in structure.arguments])
    known = _KNOWN.setdefault(device, OrderedDict())
    # What lies behind a computed node is part of what is deferred, but not of the structure.
    key = None if structure.is_cut else (structure.steps, structure.markers)
    found = known.get(key) if key is not None else None
    executable = found.executable() if found is not None else None
    if found is not None and executable is not None:
        known.move_to_end(key)
        arguments = structure.arguments
        return Call(
            executable,
            [structure.leaves[number] for number in found.leaves],
            [arguments[number].value for number in found.arguments],
        )
    whole = linearize(expanded(roots))
    executable = find(whole)
    if key is not None and not whole.is_cut:
        numbers = _numbers(structure, whole)
        if numbers is not None:
            known[key] = _Known(ref(executable), *numbers)
            if len(known) > REMEMBERED_GRAPHS:
                known.popitem(last=False)
    return Call(executable, whole.leaves, [handle.value for handle in whole.arguments])


def _numbers(structure: Structure, whole: Structure) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Which leaves and arguments of ``structure`` are those of ``whole``; None if one is not there."""
    leaves = {leaf_key(leaf): number for number, leaf in enumerate(structure.leaves)}
    arguments = {id(handle): number for number, handle in enumerate(structure.arguments)}
    try:
        return (
            tuple([leaves[leaf_key(leaf)] for leaf in whole.leaves]),
            tuple([arguments[id(handle)] for handle in whole.arguments]),
        )
    except KeyError:
        return None


def expanded(roots: Sequence[Node]) -> list[Node]:
    """The same values with every deferred composite replaced by its composition."""
    current = list(roots)
    while any(_is_deferred(node) for node in topological(current)):  # a composition may have others in it
        made: dict[Node, Node] = {}
        for node in topological(current):
            whole = composition(node) if _is_deferred(node) else None
            if whole is not None:
                made[node] = whole
            else:
                inputs = tuple([made.get(i, i) for i in node.inputs])
                made[node] = node if inputs == node.inputs else with_inputs(node, inputs)
        current = [made[root] for root in current]
    # What is there already, or is shared with other graphs, cannot be a root itself.
    return [ops.leaf(node) if node.result is not None or node.op.family is Family.SOURCE else node for node in current]


def _is_deferred(node: Node) -> bool:
    return node.op.is_deferred and node.result is None
