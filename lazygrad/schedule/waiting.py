"""Which kernels wait for others of which they read nothing: those that compute a checkpointed region again.

In: components, and for each kernel the one that it is made for. Out: for each such kernel the positions of those before
it. What a component waits for may be a value that nobody stores, because it is computed in each kernel that reads it;
then what that is computed of counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.schedule.components import Component


def waiting_kernels(made_for: Sequence[Component], components: Sequence[Component]) -> dict[int, set[int]]:
    """By the positions of waiting kernels those of the kernels they wait for."""
    positions: dict[int, set[int]] = {}  # by the number of a component its kernels
    for position, component in enumerate(made_for):
        positions.setdefault(component.number, set()).add(position)
    waits: dict[int, set[int]] = {}
    for position, component in enumerate(made_for):
        if component.awaits:
            needed = 0
            for other in components:
                if other.bits & component.awaits:
                    needed |= other.bits if other.number in positions else other.depends
            waits[position] = {
                each
                for other in components
                if other.bits & needed and other is not component
                for each in positions.get(other.number, ())
            }
    return waits
