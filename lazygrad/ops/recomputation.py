"""Values that are computed twice: where a checkpointed region ends, and what keeps its copies apart from it.

Both are identities. ``checkpoint`` marks the results of a region for differentiation, which copies the region for what
the backward pass needs of it (``lazygrad.autodiff``). The copies read the region's inputs through ``after``, which says
that the input is read again once the cotangent is known: the copies are other nodes than what they copy, and no kernel
of theirs runs before. JAX separates rematerialised code by an optimization barrier in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lazygrad.ir.map import identity
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Linearity, Op
from lazygrad.ops.identity import marker
from lazygrad.ops.source import constant_value


class Region:
    """What is computed again: nodes, inputs before their users. Whatever else they read, the region is given."""

    __slots__ = ("__weakref__", "nodes")

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)

    def __repr__(self) -> str:
        return f"<region of {len(self.nodes)} nodes>"


class CheckpointAttributes(NamedTuple):
    region: Region


CHECKPOINT = marker("checkpoint")
AFTER = Op(
    name="after",
    family=Family.MOVEMENT,
    shape=lambda inputs, a: inputs[0].shape,
    dtype=lambda inputs, a: inputs[0].dtype,
    numpy=lambda of, x, first: x,
    map=lambda of: identity(of.shape),
    vjp=(lambda out, g: g, None),
    linearity=Linearity.JOINT,
    cost=0,
)


def checkpoint(x: Node, region: Region) -> Node:
    """The same value, which a region gives: the backward pass computes what it needs of the region again."""
    return node(CHECKPOINT, (x,), CheckpointAttributes(region))


def after(x: Node, first: Node) -> Node:
    """The same value, read when ``first`` has been computed."""
    return x if constant_value(x) is not None else node(AFTER, (x, first))
