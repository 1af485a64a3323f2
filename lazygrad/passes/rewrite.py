"""The driver of passes: walks a graph bottom-up and iteratively, so that a pass only states its exceptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from lazygrad.ir.node import ORIGIN, Node, read_inputs, topological, with_inputs

# From a node whose inputs are rewritten already, and the node as it was, to its replacement; None leaves it.
Rule = Callable[[Node, Node], "Node | None"]
# From roots to roots.
Pass = Callable[[Sequence[Node]], "list[Node]"]


def rewrite(roots: Sequence[Node], rule: Rule) -> list[Node]:
    """Each root rewritten. A replacement is final for this walk: the rule itself rewrites as far as it wants."""
    done: dict[Node, Node] = {}
    outer = ORIGIN.place
    try:
        for current in topological(roots):
            if current.result is not None:
                done[current] = current
                continue
            ORIGIN.place = current.place
            changed = _over(current, done)
            done[current] = rule(changed, current) or changed
    finally:
        ORIGIN.place = outer
    return [done[root] for root in roots]


def everywhere(*rules: Callable[[Node], Node | None]) -> Pass:
    """The pass that applies rules which look at nothing but the node, until none has anything to change.

    What a rule writes is looked at in the same way.
    """

    def one_pass(roots: Sequence[Node]) -> list[Node]:
        done: dict[Node, Node] = {}

        def visit(root: Node) -> Node:
            for current in topological([root], lambda of: of.inputs if of.result is None and of not in done else ()):
                if current not in done:
                    ORIGIN.place = current.place
                    changed = current if current.result is not None else _over(current, done)
                    if changed not in done:
                        done[changed] = apply(changed)
                    done[current] = done[changed]
            return done[root]

        def apply(changed: Node) -> Node:
            for rule in rules if changed.result is None else ():
                replaced = rule(changed)
                if replaced is not None and replaced is not changed:
                    return visit(replaced)
            return changed

        outer = ORIGIN.place
        try:
            return [visit(root) for root in roots]
        finally:
            ORIGIN.place = outer

    one_pass.__name__ = "_".join(rule.__name__ for rule in rules)
    return one_pass


def _over(of: Node, done: Mapping[Node, Node]) -> Node:
    """The node over what became of its inputs."""
    for i in of.inputs:
        if done[i] is not i:
            return with_inputs(of, tuple([done[i] for i in of.inputs]))
    return of


def use_counts(roots: Sequence[Node]) -> Counter[Node]:
    """How many edges (and roots) point to each node. Who only waits for a node does not use it."""
    uses = Counter(i for current in topological(roots, read_inputs) for i in read_inputs(current))
    uses.update(roots)
    return uses
