"""Budgets of memory: how many bytes a program may need, and the error where that is too few.

Apart from ``rematerialization``, which keeps to them: a process that finds its schedules on disk needs no more of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """What a program may need: ``size`` bytes for state, arguments, results and all between, if the leaves with the
    numbers ``donated`` may be overwritten.
    """

    size: int
    donated: frozenset[int]


class MemoryBudgetError(MemoryError):
    """A program needs more memory than it may have, however much is computed again. ``minimum``: the least bytes."""

    def __init__(self, budget: int, minimum: int, fixed: int) -> None:
        super().__init__(
            f"the memory budget is {budget} bytes, but the least that the program can do with is {minimum} bytes "
            f"({fixed} of them for state, arguments and results); allow that much, or make the batch smaller"
        )
        self.minimum = minimum
