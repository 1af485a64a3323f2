"""What views wait for, in terms of what is computed anyway.

A copy of a checkpointed region waits for a cotangent that simplification may have replaced: nobody needs it as it was.
Such a node stands for the nodes behind it that are needed. Afterwards each node that a view waits for is one that the
roots are computed from, and none is given.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir.node import Node, read_inputs, topological
from lazygrad.ir.op import Family
from lazygrad.ops.movement import VIEW, view
from lazygrad.passes.rewrite import rewrite
from lazygrad.passes.views import compose_views


def wait_for_what_runs(roots: Sequence[Node]) -> list[Node]:
    """The roots over views that wait for computed nodes only, or for nothing."""
    order = topological(roots)
    if not any(_waits(current) for current in order):
        return list(roots)
    needed = set(topological(roots, read_inputs))
    stand_for: dict[Node, tuple[Node, ...]] = {}
    for current in order:
        computes = current.op.family not in (Family.SOURCE, Family.MOVEMENT)
        if current in needed and computes:
            stand_for[current] = (current,)
        else:
            behind = (first for i in read_inputs(current) for first in stand_for[i])
            stand_for[current] = tuple(dict.fromkeys(behind))

    done: dict[Node, Node] = {}

    def rule(changed: Node, original: Node) -> Node | None:
        if _waits(original):
            waits = tuple(dict.fromkeys(done[n] for first in original.inputs[1:] for n in stand_for[first]))
            changed = view(changed.inputs[0], changed.attributes.map, waits)
            changed = compose_views(changed) or changed
        done[original] = changed
        return changed

    return rewrite(roots, rule)


def _waits(of: Node) -> bool:
    return of.op is VIEW and len(of.inputs) > 1
