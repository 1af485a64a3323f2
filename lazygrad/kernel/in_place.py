"""Which buffers that a kernel writes may lie in the memory of which it reads.

In: a kernel. Out: pairs of positions. What holds for each pair: at every point of one pointwise body, of the epilogue
of a contraction, or of what follows sums, the element that is stored is at the address of the one element that is
loaded, and depends on it, so that no order of the points can store it before it is loaded. A code generator must visit
each point of a body once if it ``replaces``, and each of an epilogue in any case. It must not tell its compiler that
these buffers lie apart, which may then store elements before it loads those of another pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from lazygrad.ir.value import LOAD
from lazygrad.kernel.forms import has_contraction, is_pointwise, is_streaming
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Kernel, Store
from lazygrad.kernel.walk import ordered_values

# Schedules ask again for the same kernels.
REMEMBERED_KERNELS = 4096


@lru_cache(maxsize=REMEMBERED_KERNELS)
def in_place_pairs(kernel: Kernel) -> tuple[tuple[int, int], ...]:
    """(read, written) positions among the kernel's buffers, each of which may share memory.

    A buffer may be in several pairs, of which one can be used.
    """
    loads: dict[int, set[tuple[int, int, Access]]] = {}
    stores: dict[int, list[tuple[int, int, Store]]] = {}
    for number, body in enumerate(kernel.bodies):
        for position, stage in enumerate(body.stages):
            for value in stage.values:
                if value.op == LOAD:
                    loads.setdefault(value.payload.buffer, set()).add((number, position, value.payload))
            for store in stage.stores:
                stores.setdefault(store.access.buffer, []).append((number, position, store))
    pairs = []
    for written, places in stores.items():
        if len(places) != 1:
            continue
        ((number, position, store),) = places
        body = kernel.bodies[number]
        if not (is_pointwise(body) or _is_last(body, position)) or store.access.mask or store.access.dynamic:
            continue
        for value in ordered_values([store.value]):
            access = value.payload
            if value.op == LOAD and _fits(kernel.buffers, access, store) and len(loads[access.buffer]) == 1:
                ((at, stage_at, _),) = loads[access.buffer]
                if (at, stage_at) == (number, position):
                    pairs.append((access.buffer, written))
    return tuple(pairs)


def _is_last(body: Body, position: int) -> bool:
    """Whether a stage finishes the elements of a contraction, or of sums, each once."""
    stage = body.stages[position]
    if position != len(body.stages) - 1 or stage.axes or stage.accumulators:
        return False
    if has_contraction(body):
        return position == 1
    return position > 0 and not is_streaming(body) and not any(each.one_by_one for each in body.stages)


def replaces(body: Body, buffers: Sequence[BufferDeclaration]) -> bool:
    """Whether the last stage of a body may store where it loads: then no point may be visited twice."""
    return any(
        value.op == LOAD and _fits(buffers, value.payload, store)
        for store in body.stages[-1].stores
        for value in ordered_values([store.value])
    )


def _fits(buffers: Sequence[BufferDeclaration], access: Access, store: Store) -> bool:
    read, written = buffers[access.buffer], buffers[store.access.buffer]
    return (
        not read.written
        and not read.movable
        and not written.movable
        and read.dtype is written.dtype
        and read.size == written.size
        and access.address == store.access.address
        and not access.mask
        and not access.dynamic
    )
