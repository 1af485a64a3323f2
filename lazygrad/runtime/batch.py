"""Batches: the launches of a schedule, with the arguments that each of them has now.

In: programs in order, then memories and numbers where they differ from the last time; steps of a loop use the same
memory again and again, so these are few. Out: the launches, submitted one by one, or in a way of the device's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from lazygrad.ir.value import Number
    from lazygrad.runtime.device import Program


class Launch(NamedTuple):
    """A program and its arguments: the numbers are offsets of ``movable`` buffers, in elements, then scalars."""

    program: Program
    memories: list[Any]
    numbers: list[Number]
    movable: int

    @property
    def offsets(self) -> Sequence[int]:
        """Of the movable buffers."""
        return cast("list[int]", self.numbers[: self.movable])

    @property
    def scalars(self) -> Sequence[Number]:
        """The kernel's scalars."""
        return self.numbers[self.movable :]

    def submit(self) -> None:
        """Submits one run."""
        self.program.launch(self.memories, self.offsets, self.scalars)


class Batch:
    """Launches that are submitted one by one. ``submitted`` of them were when ``submit`` returned, or raised.

    ``waits`` tells for each launch how many of the first ones must have ended before it begins: for who wants to submit
    them otherwise, so it is asked only then.
    """

    def __init__(self, programs: Sequence[Program], waits: Callable[[], Sequence[int]]) -> None:
        self.waits = waits
        self.submitted = 0
        self.launches: list[Launch] = []
        for program in programs:
            kernel = program.kernel
            movable = sum(buffer.movable for buffer in kernel.buffers)
            numbers: list[Number] = [0] * (movable + len(kernel.scalars))
            self.launches.append(Launch(program, [None] * len(kernel.buffers), numbers, movable))

    def put(self, launch: int, position: int, memory: Any) -> None:
        """Lets a buffer of a launch be in ``memory``."""
        self.launches[launch].memories[position] = memory

    def set(self, launch: int, position: int, number: Number) -> None:
        """Lets a launch have another number."""
        self.launches[launch].numbers[position] = number

    def submit(self) -> None:
        """Submits all launches in order."""
        self.submitted = 0
        for launch in self.launches:
            self.submitted += 1
            launch.submit()
