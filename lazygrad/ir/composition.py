"""Composites: nodes that are defined by a graph of simpler nodes, and by nothing else.

A composite exists where a device may compute the whole better than the sum of its parts. Everybody else takes the
composition: the reference evaluates it, differentiation goes through it, simplification puts it in the node's place.
"""

from __future__ import annotations

from lazygrad.ir.node import ORIGIN, Node


def composition(of: Node) -> Node | None:
    """The graph that defines a composite node, on the node's own inputs; None for any other node."""
    if of.op.composition is None:
        return None
    outer, ORIGIN.place = ORIGIN.place, of.place
    try:
        return of.op.composition(of.attributes, *of.inputs)
    finally:
        ORIGIN.place = outer


def meaning(of: Node) -> tuple[Node, ...]:
    """What a node's value is computed from: its inputs, or of a composite its composition alone.

    As the edges of a walk, it looks into composites: those that share parts share them there.
    """
    whole = composition(of)
    return of.inputs if whole is None else (whole,)
