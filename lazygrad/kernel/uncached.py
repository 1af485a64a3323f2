"""Stores that go to memory around a processor's caches.

A store to a line that is not cached reads the line first. Where all of a line is written, and the buffer is so large
that none of it is cached any more when somebody reads it, this is a third of a copy's traffic for nothing.
In: a kernel. Out: which of its buffers are so, and whether an address may be stored to in whole vectors.
"""

from __future__ import annotations

from lazygrad.ir.index import Index, Variable
from lazygrad.ir.value import LOAD
from lazygrad.kernel.in_place import in_place_pairs
from lazygrad.kernel.kernel import Kernel

# More than most last-level caches hold.
UNCACHED_BYTES = 1 << 25
# The smallest vectors that processors store around their caches.
SMALLEST_VECTOR = 16


def uncached_buffers(kernel: Kernel) -> dict[int, tuple[int, ...]]:
    """Large buffers that are written and not read; for each those in whose memory it may lie.

    Lines of memory that was just read are cached: a store around the caches would only wait for them.
    """
    large = [
        number
        for number, buffer in enumerate(kernel.buffers)
        if buffer.written and not buffer.movable and buffer.size * buffer.dtype.itemsize >= UNCACHED_BYTES
    ]
    if not large:
        return {}
    stages = [stage for body in kernel.bodies for stage in body.stages]
    read = {value.payload.buffer for stage in stages for value in stage.values if value.op == LOAD}
    read |= {store.access.buffer for stage in stages for store in stage.stores if store.mode == "add"}
    return {
        number: tuple(source for source, written in in_place_pairs(kernel) if written == number)
        for number in large
        if number not in read
    }


def is_aligned(address: Index, vector: Variable, lanes: int) -> bool:
    """Whether vectors along an axis, which start at multiples of ``lanes``, lie at multiples of their size."""
    return (
        vector.extent % lanes == 0
        and address.coefficient(vector) == 1
        and address.constant % lanes == 0
        and all(coefficient % lanes == 0 for atom, coefficient in address.terms if atom is not vector)
    )
