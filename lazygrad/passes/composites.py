"""Puts the composition of a composite in its place, unless the device computes the composite itself.

Afterwards the only composites are the kept ones. What only a composite looked at, a sum that a kept one reads instead
of computing it again say, is gone with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lazygrad.ir.composition import composition
from lazygrad.ir.node import Node, topological
from lazygrad.passes.rewrite import rewrite


def replace_composites(roots: Sequence[Node], kept: Collection[str] = ()) -> list[Node]:
    """The same values without composites but those whose operation's name is in ``kept``."""

    def rule(changed: Node, original: Node) -> Node | None:
        return composition(changed) if _is_replaced(changed, kept) else None

    current = list(roots)
    while any(_is_replaced(n, kept) for n in topological(current)):  # a composition may be made of composites
        current = rewrite(current, rule)
    return current


def _is_replaced(of: Node, kept: Collection[str]) -> bool:
    return of.op.composition is not None and of.result is None and of.op.name not in kept
