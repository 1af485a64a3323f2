"""Scatters of nothing: their value is the tensor that they would have changed."""

from __future__ import annotations

from lazygrad.ir.node import Node
from lazygrad.ir.shape import size_of
from lazygrad.ops.indexing import SCATTER


def drop_empty_scatters(current: Node) -> Node | None:
    if current.op is SCATTER and size_of(current.inputs[1].shape) == 0:
        return current.inputs[0]
    return None
