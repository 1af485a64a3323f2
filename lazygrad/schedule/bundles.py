"""Bundles: independent small kernels that nothing waits for share a launch (an optimizer over many parameters)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from lazygrad.ir import value as scalar
from lazygrad.ir.value import Value
from lazygrad.kernel.kernel import Access, Body, Kernel
from lazygrad.kernel.mapping import map_stage
from lazygrad.schedule.cost import BUNDLE_BODIES, BUNDLE_HELD_BYTES

if TYPE_CHECKING:
    from lazygrad.schedule.schedule import ScheduledKernel


def bundle(kernels: Sequence[ScheduledKernel], argument_limit: int, sizes: Mapping[int, int]) -> list[ScheduledKernel]:
    """Kernels whose results no other kernel reads move to the end and are joined as far as the limits allow.

    ``sizes``: bytes of the slots whose memory is free after their last use. What would hold much of that stays where
    it is.
    """
    readers: Counter[int] = Counter()
    for kernel in kernels:
        readers.update({s for s, b in zip(kernel.slots, kernel.kernel.buffers, strict=True) if not b.written})
    sinks: list[ScheduledKernel] = []
    rest: list[ScheduledKernel] = []
    for kernel in kernels:
        held = sum(sizes.get(slot, 0) for slot in set(kernel.slots) if readers[slot] == 1)
        (sinks if _is_sink(kernel, readers.keys()) and held <= BUNDLE_HELD_BYTES else rest).append(kernel)
    joined: list[ScheduledKernel] = []
    for kernel in sinks:
        if joined:
            candidate = _join(joined[-1], kernel, argument_limit)
            if candidate is not None:
                joined[-1] = candidate
                continue
        joined.append(kernel)
    return [*rest, *joined]


def _is_sink(kernel: ScheduledKernel, read: Set[int]) -> bool:
    written = [s for s, b in zip(kernel.slots, kernel.kernel.buffers, strict=True) if b.written]
    pointwise = all(not stage.accumulators and not stage.axes for b in kernel.kernel.bodies for stage in b.stages)
    return pointwise and not any(slot in read for slot in written)


def _join(first: ScheduledKernel, second: ScheduledKernel, argument_limit: int) -> ScheduledKernel | None:
    slots = dict.fromkeys((*first.slots, *second.slots))
    scalars = dict.fromkeys((*first.scalars, *second.scalars))
    bodies = len(first.kernel.bodies) + len(second.kernel.bodies)
    if len(slots) + len(scalars) > argument_limit or bodies > BUNDLE_BODIES:
        return None
    if any(d.written for s, d in zip(second.slots, second.kernel.buffers, strict=True) if s in first.slots):
        return None
    buffer_at = {slot: position for position, slot in enumerate(slots)}
    scalar_at = {number: position for position, number in enumerate(scalars)}
    moved = _Renumbering([buffer_at[s] for s in second.slots], [scalar_at[s] for s in second.scalars])
    declarations = dict(zip(first.slots, first.kernel.buffers, strict=True))
    declarations.update(zip(second.slots, second.kernel.buffers, strict=True))
    dtypes = dict(zip(first.scalars, first.kernel.scalars, strict=True))
    dtypes.update(zip(second.scalars, second.kernel.scalars, strict=True))
    kernel = Kernel(
        first.kernel.name,
        (*first.kernel.bodies, *(moved.body(b) for b in second.kernel.bodies)),
        tuple(declarations[slot] for slot in slots),
        tuple(dtypes[number] for number in scalars),
    )
    return replace(first, kernel=kernel, slots=tuple(slots), scalars=tuple(scalars))


class _Renumbering:
    """Bodies with their buffers and scalars at other positions."""

    def __init__(self, buffers: Sequence[int], scalars: Sequence[int]) -> None:
        self.buffers = buffers
        self.scalars = scalars
        self.known: dict[Value, Value] = {}

    def body(self, body: Body) -> Body:
        return Body(body.axes, tuple(map_stage(stage, self.value, self.access) for stage in body.stages))

    def access(self, access: Access) -> Access:
        return access._replace(buffer=self.buffers[access.buffer])

    def value(self, root: Value) -> Value:
        stack = [root]
        while stack:
            current = stack[-1]
            if current in self.known:
                stack.pop()
                continue
            missing = [i for i in current.inputs if i not in self.known]
            if missing:
                stack.extend(missing)
                continue
            payload = current.payload
            if current.op == scalar.LOAD:
                payload = self.access(payload)
            elif current.op == scalar.ARGUMENT:
                payload = self.scalars[payload]
            inputs = tuple(self.known[i] for i in current.inputs)
            self.known[current] = scalar.leaf(current.op, current.dtype, payload, inputs)
            stack.pop()
        return self.known[root]
