"""The driver of passes: walks a graph bottom-up and iteratively, so that a pass only states its exceptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazygrad.ir.node import Node, PlaceScope, node, topological

# From a node whose inputs are rewritten already, and the node as it was, to its replacement; None leaves it.
Rule = Callable[[Node, Node], "Node | None"]
# From roots to roots.
Pass = Callable[[Sequence[Node]], "list[Node]"]


def rewrite(roots: Sequence[Node], rule: Rule) -> list[Node]:
    """Each root rewritten. A replacement is final for this walk: the rule itself rewrites as far as it wants."""
    done: dict[Node, Node] = {}
    for current in topological(roots):
        if current.result is not None:
            done[current] = current
            continue
        with PlaceScope(current.place):
            changed = current
            if current.inputs:
                inputs = tuple(done[i] for i in current.inputs)
                if inputs != current.inputs:
                    changed = node(current.op, inputs, current.attributes)
            done[current] = rule(changed, current) or changed
    return [done[root] for root in roots]


def everywhere(rule: Callable[[Node], Node | None]) -> Pass:
    """The pass that applies a rule which looks at nothing but the node."""

    def one_pass(roots: Sequence[Node]) -> list[Node]:
        return rewrite(roots, lambda changed, original: rule(changed))

    one_pass.__name__ = rule.__name__
    return one_pass


def use_counts(roots: Sequence[Node]) -> dict[Node, int]:
    """How many edges (and roots) point to each node."""
    uses: dict[Node, int] = {}
    for current in topological(roots):
        for i in current.inputs if current.result is None else ():
            uses[i] = uses.get(i, 0) + 1
    for root in roots:
        uses[root] = uses.get(root, 0) + 1
    return uses
