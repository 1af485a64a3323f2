"""Walks over the scalar expressions of a kernel: every value once, inputs before users, without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lazygrad.ir.value import Value

if TYPE_CHECKING:
    from lazygrad.kernel.kernel import Stage


def stage_values(stage: Stage) -> Iterator[Value]:
    """The values that a stage's products, accumulators and stores start from, in order."""
    for product in stage.products:
        yield from product.operands
    for accumulator in stage.accumulators:
        yield from accumulator.operands
    for store in stage.stores:
        yield from store.dynamic_values
        yield store.value


def ordered_values(roots: Iterable[Value]) -> list[Value]:
    """Every value that ``roots`` are made of, each after its inputs, in an order fixed by the roots alone."""
    order: list[Value] = []
    seen: set[Value] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack: list[tuple[Value, Iterator[Value]]] = [(root, iter(root.inputs))]
        while stack:
            current, remaining = stack[-1]
            for candidate in remaining:
                if candidate not in seen:
                    seen.add(candidate)
                    if candidate.inputs:
                        stack.append((candidate, iter(candidate.inputs)))
                        break
                    order.append(candidate)
            else:
                order.append(current)
                stack.pop()
    return order
