"""What the next row needs, asked for while this row is computed.

A kernel of several sweeps over a row reads it from memory in the first sweep and from the caches in the others. So the
memory waits while the processor computes, and the processor while memory is read. A sweep that computes much asks for
the next row instead, element by element.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir.index import Variable
from lazygrad.kernel.axes import stride
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.traffic import elements, operations, touches

# Shorter rows are there before they are needed anyway: processors look ahead by as much.
SHORTEST_ROW = 1024
# Of the second-level cache, the part that this row and the next may take.
CACHE_PART = 0.5


def fetches(
    body: Body,
    buffers: Sequence[BufferDeclaration],
    row: Variable | None,
    vectors: Sequence[Variable | None],
    machine: Machine,
) -> tuple[tuple[Access, ...], ...]:
    """For each stage what it asks for: addresses one step of ``row`` further. ``vectors``: the axes with the lanes.

    Only what the first stage reads in vectors, moves with the row and belongs to no other row is asked for, and only
    by the stage that computes most, if it walks the same elements.
    """
    nothing: tuple[tuple[Access, ...], ...] = ((),) * len(body.stages)
    first = body.stages[0]
    if row is None or vectors[0] is None or len(first.axes) != 1:
        return nothing
    sweeps = [n for n, stage in enumerate(body.stages) if stage.axes == first.axes and vectors[n] is vectors[0]]
    if len(sweeps) < 2:
        return nothing
    found: list[Access] = []
    for touch in touches(first):
        if touch.stores or touch.data or touch.access.mask or touch.step(vectors[0]) != 1:
            continue
        step = stride(touch.access.address, row)
        size = elements(first) * buffers[touch.access.buffer].dtype.itemsize
        if step is None or abs(step) < elements(first) or size < SHORTEST_ROW:
            continue
        found.append(touch.access._replace(address=touch.access.address + step))
    total = sum(elements(first) * buffers[access.buffer].dtype.itemsize for access in found)
    if 2 * total > CACHE_PART * machine.level2_cache:
        return nothing
    busiest = max(sweeps, key=lambda n: operations(body.stages[n]))
    return tuple(tuple(found) if n == busiest else () for n in range(len(body.stages)))
