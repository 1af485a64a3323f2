"""Halos: the bodies that write the zeros around a stored node's elements.

For each padded axis there is a slab below the elements and one above. Slabs are disjoint: axes before the padded one
run over elements only, those behind it over their halo too. Two slabs of one thickness are one body.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir import value as scalar
from lazygrad.ir.node import Node
from lazygrad.kernel.kernel import Access, Body, Stage, Store
from lazygrad.schedule.bodies import loop_point
from lazygrad.schedule.components import atoms
from lazygrad.schedule.expressions import Expressions, Home


def halo_bodies(of: Node, home: Home, expressions: Expressions) -> list[Body]:
    """What fills the halo of ``of`` at its home."""
    bodies: list[Body] = []
    for axis, (low, high) in enumerate(home.halo):
        starts: dict[int, list[int]] = {}  # of the slabs of each thickness
        for start, thickness in ((-low, low), (of.shape[axis], high)):
            if thickness:
                starts.setdefault(thickness, []).append(start)
        bodies += [_slabs(of, home, axis, thickness, starts[thickness], expressions) for thickness in starts]
    return bodies


def _slabs(of: Node, home: Home, axis: int, thickness: int, starts: Sequence[int], expressions: Expressions) -> Body:
    """Slabs of one thickness that begin at ``starts`` of the axis."""
    extents = [*of.shape[:axis], thickness]
    first = [0] * axis  # the first position along each other axis
    for extent, (low, high) in list(zip(of.shape, home.halo, strict=True))[axis + 1 :]:
        extents.append(low + extent + high)
        first.append(-low)
    loops = loop_point(extents)
    buffer = expressions.buffer(home.slot)
    stores = []
    for start in starts:
        point = [loop + shift for loop, shift in zip(loops, [*first[:axis], start, *first[axis:]], strict=True)]
        stores.append(Store(Access(buffer, home.layout.address(point)), scalar.constant(0, of.dtype)))
    return Body(atoms(loops), (Stage((), (), tuple(stores)),))
