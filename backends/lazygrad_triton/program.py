"""What a skeleton is: it turns one body of a kernel into the statements of block programs.

In: a ``BodyContext``. Out: ``Phase`` objects, which run one after the other, each with its own grid. The lines of a
phase stand inside a Triton function and may use

    b0, b1, ...   pointers to the buffers, already moved to their offsets
    s0, s1, ...   the scalars
    program       the number of this block program among the body's, 0 <= program < programs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from lazygrad.kernel.block_size import BlockSize
from lazygrad.kernel.kernel import Body, BufferDeclaration
from lazygrad.kernel.machine import Machine
from lazygrad_triton.emitter import TritonEmitter


@dataclass(frozen=True)
class BodyContext:
    """One body, with its by-name functions expanded already, and what it is generated for.

    ``used`` collects the library functions of the whole file, ``names`` numbers its names: all are different, since
    Triton wants a name that several branches assign to have one type. ``size``: a tuner's choice; None: the
    heuristic's.
    """

    body: Body
    buffers: tuple[BufferDeclaration, ...]
    machine: Machine
    used: dict[str, None] = field(default_factory=dict)
    names: Iterator[int] = field(default_factory=lambda: count(1))
    size: BlockSize | None = None

    def emitter(self, flat: bool = False) -> TritonEmitter:
        """A new emitter; ``flat`` for blocks of one dimension."""
        return TritonEmitter(self.buffers, self.used, self.names, flat)


@dataclass(frozen=True)
class Phase:
    """Statements, how many block programs run them, and Triton's ``num_warps`` and ``num_stages``."""

    lines: tuple[str, ...]
    programs: int
    warps: int = 4
    stages: int = 1


def heuristic_alone(context: BodyContext) -> list[BlockSize]:
    """The sizes of a skeleton that has no alternatives."""
    return []


class Skeleton(NamedTuple):
    """How a kind of body is written, and the sizes besides the heuristic's that may be tried for it."""

    generate_body: Callable[[BodyContext], list[Phase]]
    sizes: Callable[[BodyContext], list[BlockSize]] = heuristic_alone
