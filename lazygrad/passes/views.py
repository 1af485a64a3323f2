"""Turns every chain of movement operations into one view with a canonical index map.

Afterwards a view's input is never a view, no view is an identity, and a view of a constant that has no mask is
that constant. Only a view that waits for other nodes may be an identity (see ``ops.recomputation``).
"""

from __future__ import annotations

from lazygrad.ir.map import compose, is_identity
from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.ops.movement import VIEW, view
from lazygrad.ops.source import constant, constant_value


def compose_views(current: Node) -> Node | None:
    if current.op.family is not Family.MOVEMENT:
        return None
    assert current.op.map is not None
    index_map = current.op.map(current)
    source, *waits = current.inputs
    if source.op is VIEW:
        index_map = compose(index_map, source.attributes.map)
        waits += source.inputs[1:]
        source = source.inputs[0]
    waits = [first for first in dict.fromkeys(waits) if first.op.family is not Family.SOURCE]
    if is_identity(index_map, source.shape) and not waits:
        return source
    number = constant_value(source)
    if number is not None and (not index_map.mask or number == 0):
        return constant(number, index_map.shape, source.dtype, source.device)
    if any(bound.never for bound in index_map.mask):
        return constant(0, index_map.shape, source.dtype, source.device)
    if current.op is VIEW and (source, *waits) == current.inputs:
        return None
    return view(source, index_map, waits)
