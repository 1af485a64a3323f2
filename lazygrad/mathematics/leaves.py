"""Leaves: where reading a graph stops, and what is written there.

A leaf that takes part in differentiation, a placeholder, and data are symbols. Their names are, in this
order: those given; the name of the variable that holds the tensor where ``symbolic`` is called; else a, b, c,
... in the order of first appearance. Constants, and small buffers in which every element is the same number,
are that number: the ones that start a gradient would only stand in the way. What is computed from random bits
alone is one leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from string import ascii_lowercase
from typing import Any

from lazygrad.ir.composition import meaning
from lazygrad.ir.node import Node, topological
from lazygrad.ir.op import Family
from lazygrad.ops.identity import LEAF
from lazygrad.ops.source import BUFFER, PLACEHOLDER
from lazygrad.runtime import to_host

# Larger buffers are data, whatever is in them; reading a few elements costs nothing.
SMALL_BUFFER = 64


def node_of(value: Any) -> Node:
    """The node behind a tensor, or the node itself."""
    found = value if isinstance(value, Node) else getattr(value, "_node", None)
    if not isinstance(found, Node):
        raise TypeError(f"symbolic: expected a tensor or a node, got {type(value).__name__}")
    return found


class Leaves:
    """The leaves below a root:

    ``names`` has each symbol, ``numbers`` each buffer that is read as a number.
    """

    def __init__(self, root: Node, given: Mapping[Node, str], variables: Iterable[tuple[str, Node]]) -> None:
        self.given = dict(given)
        self.variables = {node: name for name, node in reversed(list(variables))}
        self.numbers: dict[Node, bool | int | float] = {}
        self.names: dict[Node, str] = {}
        order = topological([root], lambda of: () if self._stops(of) else meaning(of))
        random = _random_only(order)
        users = {i for of in order if of not in random and not self._stops(of) for i in meaning(of)} | {root}
        waiting: list[Node] = []
        for of in order:
            if of in random:
                if of in self.variables or of in users:
                    waiting.append(of)
            elif of.op is BUFFER and of not in self.given and (number := _repeated_number(of)) is not None:
                self.numbers[of] = number
            elif self._stops(of):
                waiting.append(of)
        self._name(waiting)

    def _stops(self, of: Node) -> bool:
        return of in self.given or of.op in (LEAF, BUFFER, PLACEHOLDER)

    def _name(self, leaves: list[Node]) -> None:
        used = set(self.given.values())
        for of in leaves:
            wanted = self.given.get(of) or self._variable(of)
            if wanted is not None and (of in self.given or wanted not in used):
                self.names[of] = wanted
                used.add(wanted)
        letters = (name for name in _letters() if name not in used)
        for of in leaves:
            if of not in self.names:
                self.names[of] = next(letters)
        self.names = {of: self.names[of] for of in leaves}

    def _variable(self, of: Node) -> str | None:
        found = self.variables.get(of)
        # A leaf made of data, or data behind a leaf, is held by the same variable.
        if found is None and of.op is LEAF:
            found = self.variables.get(of.inputs[0])
        return found


def _letters() -> Iterator[str]:
    """a, b, ..., z, a1, b1, ..."""
    round = 0
    while True:
        for letter in ascii_lowercase:
            yield f"{letter}{round}" if round else letter
        round += 1


def _random_only(order: list[Node]) -> set[Node]:
    """The nodes whose elements depend on random bits and on nothing else that is data."""
    random: set[Node] = set()
    fixed: set[Node] = set()
    for of in order:
        if of.op.family is Family.RANDOM:
            random.add(of)
        elif of.op in (LEAF, BUFFER, PLACEHOLDER):
            continue
        elif all(i in random or i in fixed for i in meaning(of)):
            (random if any(i in random for i in meaning(of)) else fixed).add(of)
    return random


def _repeated_number(of: Node) -> bool | int | float | None:
    """The one number in all elements of a small buffer, else None."""
    size = 1
    for extent in of.shape:
        size *= extent
    if not 0 < size <= SMALL_BUFFER or of.result is None:
        return None
    elements = to_host(of.result).reshape(-1)
    if not bool((elements == elements[0]).all()):
        return None
    number: bool | int | float = elements[0].item()
    return number


def tensors_in(variables: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    """The nodes that variables hold, and those of the parameters of modules that they hold."""
    for name, value in list(variables.items()):
        # Others are temporary: _ of an interactive session, @py_assert of a test.
        if name.startswith("_") or not name.isidentifier():
            continue
        if isinstance(value, Node):
            yield name, value
        elif isinstance(value, type):
            continue
        elif hasattr(type(value), "_node"):
            yield from ((name, node) for node in _nodes_of(value))
        elif callable(getattr(type(value), "named_parameters", None)):
            for inner, parameter in value.named_parameters():
                yield from ((f"{name}.{inner}", node) for node in _nodes_of(parameter))


def _nodes_of(tensor: Any) -> Iterator[Node]:
    """The nodes under which a tensor may be in a graph: its leaf, and what the leaf holds."""
    cell = getattr(tensor, "_cell", None)
    leaf = getattr(tensor, "_leaf", None)
    if leaf is not None:
        yield leaf
    if cell is None:
        yield tensor._node
    else:
        yield cell.node
