"""Walks over the scalar expressions of a kernel: every value once, inputs before users, without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lazygrad.ir.value import Value
from lazygrad.kernel.kernel import Contraction, Stage


def stage_values(stage: Stage) -> Iterator[Value]:
    """The values that a stage's accumulators and stores start from, in order."""
    for accumulator in stage.accumulators:
        if isinstance(accumulator, Contraction):
            yield accumulator.a
            yield accumulator.b
        else:
            yield accumulator.value
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
                    stack.append((candidate, iter(candidate.inputs)))
                    break
            else:
                order.append(current)
                stack.pop()
    return order
