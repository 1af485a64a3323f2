"""Loops over the points of a sum, for pointers that move by fixed strides.

In: the extents of nested axes and, for each pointer, how far a step of each axis moves it. Out: loops as text, in
which axes that all pointers walk as one are one, and a few steps of the innermost are written out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lazygrad.kernel.emit import INDENT

# Steps of the innermost loop that are written out, which share the loop's own additions and jumps: the first of these
# that divides the loop, else the first, and what is left over in a loop of single steps. Four are no faster than two,
# and take LLVM longer.
UNROLLED = (2, 3, 5)
# A loop of so few steps is written out whole.
STRAIGHT = 5


@dataclass
class Text:
    """Lines with their indentation."""

    lines: list[str] = field(default_factory=list)
    indent: int = 0

    def line(self, text: str) -> None:
        self.lines.append(INDENT * self.indent + text)

    def open(self, text: str) -> None:
        self.line(text)
        self.indent += 1

    def close(self) -> None:
        self.indent -= 1
        self.line("}")


class Walk(NamedTuple):
    """One loop: how many steps (a number, or an expression), and each pointer's stride."""

    extent: int | str
    strides: tuple[int, ...]


class Step(NamedTuple):
    """One step inside the loops: each pointer's offset is a variable and a constant."""

    constants: tuple[int, ...]

    def offset(self, pointer: int, more: int = 0) -> str:
        """The offset of a pointer, ``more`` elements further."""
        return f"k{pointer} + {self.constants[pointer] + more}"


def merged(extents: Sequence[int | str], pointers: Sequence[Sequence[int]]) -> list[Walk]:
    """The axes, outermost first, as loops; two are one where every pointer's steps follow each other."""
    walks: list[Walk] = []
    for extent, *strides in zip(extents, *pointers, strict=True):
        if extent == 1:
            continue
        walk = Walk(extent, tuple(strides))
        if walks and all(
            isinstance(extent, int) and outer == inner * extent
            for outer, inner in zip(walks[-1].strides, walk.strides, strict=True)
        ):
            before = walks.pop().extent
            whole = before * extent if isinstance(before, int) and isinstance(extent, int) else f"{before} * {extent}"
            walk = Walk(whole, walk.strides)
        walks.append(walk)
    return walks or [Walk(1, (0,) * len(pointers))]


def write_loops(text: Text, walks: Sequence[Walk], body: Callable[[Step], None]) -> None:
    """The loops, with ``body`` called for each step that is written out; offsets are the variables k0, k1, ..."""
    *outer, last = walks
    for number, walk in enumerate(outer):
        name = f"w{number}"
        text.open(f"for (long {name} = 0; {name} < {walk.extent}; {name}++) {{")

    def declare(name: str) -> None:
        for pointer in range(len(last.strides)):
            parts = [f"w{n} * {walk.strides[pointer]}" for n, walk in enumerate(outer) if walk.strides[pointer]]
            if name and last.strides[pointer]:
                parts.append(f"{name} * {last.strides[pointer]}")
            text.line(f"const long k{pointer} = {' + '.join(parts) or '0'};")

    def steps(count: int) -> None:
        for number in range(count):
            body(Step(tuple(number * stride for stride in last.strides)))

    if isinstance(last.extent, int) and last.extent <= STRAIGHT:
        text.open("{")
        declare("")
        steps(last.extent)
        text.close()
    else:
        divisors = [n for n in UNROLLED if isinstance(last.extent, int) and last.extent % n == 0]
        unrolled = divisors[0] if divisors else UNROLLED[0]
        text.line("long k = 0;")
        text.open(f"for (; k < {last.extent if divisors else f'{last.extent} - {unrolled - 1}'}; k += {unrolled}) {{")
        declare("k")
        steps(unrolled)
        text.close()
        if not divisors:
            text.open(f"for (; k < {last.extent}; k++) {{")
            declare("k")
            steps(1)
            text.close()
    for _ in outer:
        text.close()
