"""Puts the composition of a composite in its place, unless the device computes the composite itself.

Afterwards the only composites are the kept ones. What only a composite looked at, a sum that a kept one reads instead
of computing it again say, is gone with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazygrad.ir.composition import composition
from lazygrad.ir.node import Node, topological
from lazygrad.passes.rewrite import rewrite


def none_kept(composite: Node) -> bool:
    """What devices say that compute no composite whole."""
    return False


def replace_composites(roots: Sequence[Node], kept: Callable[[Node], bool] = none_kept) -> list[Node]:
    """The same values without composites, but for those that are ``kept``."""

    def rule(changed: Node, original: Node) -> Node | None:
        return composition(changed) if _is_replaced(changed, kept) else None

    current = list(roots)
    while any(_is_replaced(n, kept) for n in topological(current)):  # a composition may be made of composites
        current = rewrite(current, rule)
    return current


def _is_replaced(of: Node, kept: Callable[[Node], bool]) -> bool:
    return of.op.composition is not None and of.result is None and not kept(of)
