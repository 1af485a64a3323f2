"""The driver of passes: walks a graph bottom-up and iteratively, so that a pass only states its exceptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazygrad.ir.node import Node, PlaceScope, topological, with_inputs

# From a node whose inputs are rewritten already, and the node as it was, to its replacement; None leaves it.
Rule = Callable[[Node, Node], "Node | None"]
# From roots to roots.
Pass = Callable[[Sequence[Node]], "list[Node]"]


def rewrite(roots: Sequence[Node], rule: Rule) -> list[Node]:
    """Each root rewritten. A replacement is final for this walk: the rule itself rewrites as far as it wants."""
    done: dict[Node, Node] = {}
    with PlaceScope(None):
        for current in topological(roots):
            if current.result is not None:
                done[current] = current
                continue
            PlaceScope.current = current.place
            changed = current
            for i in current.inputs:
                if done[i] is not i:
                    changed = with_inputs(current, tuple([done[i] for i in current.inputs]))
                    break
            done[current] = rule(changed, current) or changed
    return [done[root] for root in roots]


def everywhere(*rules: Callable[[Node], Node | None]) -> Pass:
    """The pass that applies rules which look at nothing but the node, each to what those before it made of it.

    What a walk has finished already, an input of the node say, is not changed once more.
    """

    def one_pass(roots: Sequence[Node]) -> list[Node]:
        finished: set[Node] = set()

        def apply(changed: Node, original: Node) -> Node:
            for rule in rules:
                if changed in finished:
                    break
                changed = rule(changed) or changed
            finished.add(changed)
            return changed

        return rewrite(roots, apply)

    one_pass.__name__ = "_".join(rule.__name__ for rule in rules)
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
