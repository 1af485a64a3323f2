"""Levels of generated code: where each statement goes, and how long what it computes is remembered.

In: loops that a skeleton opens and closes, statements, and expressions to be named. Out: lines of source.
Level 0 is outside all loops. A statement may be appended to any open level: it then stands before the loops
inside it, which is how an expression gets out of the loops it does not depend on. The memory of a level ends with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from lazygrad.ir.dtype import DType, int32
from lazygrad.ir.index import Variable

INDENT = "    "


class Operand(NamedTuple):
    """An expression of the target that may be used anywhere: a name, a literal, or in parentheses.

    ``wide``: the dimensions it spans, as bits; 0 is one value for all. Vectors of lanes have one dimension, block
    programs two (1: rows, 2: columns). ``depth``: the level where it is known. ``bits``: of a wide bool, the width
    of the comparison's elements (targets whose masks are integers need it).
    """

    text: str
    dtype: DType
    wide: int = 0
    depth: int = 0
    bits: int = 0


class Binding(NamedTuple):
    """What a variable is in the generated code.

    ``linear``: lane k holds the text plus k where it is wide; else the text itself is wide (or uniform).
    ``exact``: it stays inside the variable's extent, which data may not.
    """

    text: str
    dtype: DType
    wide: int
    depth: int
    linear: bool
    exact: bool


class _Level:
    __slots__ = ("header", "hidden", "lines")

    def __init__(self, header: str | None) -> None:
        self.header = header
        self.lines: list[str | _Level] = []  # statements, and the levels closed between them
        self.hidden: list[tuple[Any, Any]] = []  # keys remembered here, and what they meant outside

    def write(self, to: list[str], indent: str) -> None:
        """Appends the lines of this level and of those inside it."""
        for line in self.lines:
            if isinstance(line, str):
                to.append(indent + line)
            else:
                line.write(to, indent + INDENT)


class Levels(ABC):
    """Open levels with their lines, names, bound variables and memories."""

    comment = "//"

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.reduced: dict[int, Operand] = {}
        self.products: dict[int, Operand] = {}
        self.bindings: dict[Variable, Binding] = {}
        self._levels = [_Level("")]
        self._memory: dict[Any, Any] = {}
        self._count = 0

    @abstractmethod
    def declaration(self, operand: Operand, name: str) -> str:
        """A statement that names an expression."""

    @property
    def depth(self) -> int:
        """The innermost level's number."""
        return len(self._levels) - 1

    def line(self, text: str, depth: int | None = None) -> None:
        """One statement at the end of a level, the innermost unless told."""
        self._levels[-1 if depth is None else depth].lines.append(text)

    def note(self, text: str) -> None:
        """A comment at the innermost level."""
        self.line(f"{self.comment} {text}")

    def open(self, header: str | None = "{") -> None:
        """Starts a loop or a plain block; with None a level that has bindings and memory, but no text of its own."""
        self._levels.append(_Level(header))

    def close(self, footer: str = "}") -> None:
        """Ends the innermost level: its lines go to the end of the one around it."""
        level = self._levels.pop()
        for key, outside in reversed(level.hidden):
            if outside is None:
                del self._memory[key]
            else:
                self._memory[key] = outside
        depth = len(self._levels)
        for variable in [v for v, binding in self.bindings.items() if binding.depth >= depth]:
            del self.bindings[variable]
        for known in (self.reduced, self.products):
            for number in [n for n, operand in known.items() if operand.depth >= depth]:
                del known[number]
        outer = self._levels[-1].lines
        if level.header is None:
            outer += level.lines
            return
        outer += [level.header, level]
        if footer:
            outer.append(footer)

    def finish(self) -> tuple[str, ...]:
        """All lines, once every level is closed."""
        if len(self._levels) != 1:
            raise RuntimeError(f"{len(self._levels) - 1} levels of generated code were left open")
        lines: list[str] = []
        self._levels[0].write(lines, "")
        return tuple(lines)

    def fresh(self, prefix: str = "t") -> str:
        """A name that was not used before."""
        self._count += 1
        return f"{prefix}{self._count}"

    def bind(self, variable: Variable, text: str, wide: bool = False) -> None:
        """Gives a loop variable its (int) text at the innermost level; ``wide`` adds the lane's number."""
        if variable in self.bindings:
            raise RuntimeError(f"the axis {variable} is bound already: what is remembered of it would be wrong")
        self.bindings[variable] = Binding(text, int32, int(wide and self.lanes > 1), self.depth, True, True)

    def declare(self, operand: Operand, prefix: str = "t") -> Operand:
        """Gives the expression a name at its level."""
        name = self.fresh(prefix)
        self.line(self.declaration(operand, name), operand.depth)
        return Operand(name, operand.dtype, operand.wide, operand.depth, operand.bits)

    def recall(self, key: Any) -> Any:
        """What is remembered under the key at any open level."""
        return self._memory.get(key)

    def remember(self, key: Any, found: Any, depth: int) -> None:
        """Remembers until the level ends."""
        self._levels[depth].hidden.append((key, self._memory.get(key)))
        self._memory[key] = found
