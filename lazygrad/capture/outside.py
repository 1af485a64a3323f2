"""Cells from outside: where a program finds the buffers that it reads, and who else holds them.

In: the cells that a captured function used, and the tensors that a call is given. Out: their buffers as they are now,
and how many references there are to values and gradients: what nobody else holds may be overwritten. A replay asks this
of every parameter, so each question is put to all of them at once, by functions that run in C.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import repeat
from operator import attrgetter, is_
from sys import getrefcount
from typing import Any

from lazygrad import ops
from lazygrad.capture.trace import Before, actual
from lazygrad.ir.dtype import float32
from lazygrad.ir.layout import Layout, row_major
from lazygrad.ops.source import BUFFER
from lazygrad.runtime import Buffer
from lazygrad.runtime.buffer import Allocation
from lazygrad.tensor import Tensor
from lazygrad.tensor.cells import Cell
from lazygrad.tensor.handle import tensor_of

_CELL = attrgetter("_cell")
_NODE = attrgetter("node")
_RESULT = attrgetter("result")
_OP = attrgetter("op")
_NODES_RESULT = attrgetter("node.result")
_ALLOCATION = attrgetter("_allocation")
_LAYOUT = attrgetter("layout")
_IS_WINDOW = attrgetter("is_window")


class Outside:
    """The cells that a function used, those of its arguments among them. Each has a position.

    ``cells`` are those that are no argument's, by position; else None.
    """

    def __init__(self, known: Sequence[Before], argument_of: dict[int, int]) -> None:
        self.positions = {id(before.cell): position for position, before in enumerate(known)}
        self._number_of = {p: argument_of[cell] for cell, p in self.positions.items() if cell in argument_of}
        self.cells: list[Cell | None] = [None if id(before.cell) in argument_of else before.cell for before in known]
        self._layouts = [before.stand_in.layout for before in known]
        self._windows = [before.stand_in.is_window for before in known]

    def places(self, positions: Sequence[int]) -> Places:
        """Those at some positions."""
        return Places(
            [self.cells[position] for position in positions],
            [(number, self._number_of[p]) for number, p in enumerate(positions) if p in self._number_of],
            [self._layouts[position] for position in positions],
            [self._windows[position] for position in positions],
        )


class Places:
    """Some cells from outside, and how they lay in memory when the function was captured.

    ``arguments`` are which of them are arguments, and which argument.
    """

    def __init__(
        self,
        cells: list[Cell | None],
        arguments: list[tuple[int, int]],
        layouts: list[Layout],
        windows: list[bool],
    ) -> None:
        self._cells: list[Any] = cells
        self._arguments = arguments
        self._layouts = layouts
        self._windows = windows

    def buffers(self, arguments: Sequence[Tensor]) -> list[Buffer]:
        """The buffers as they are now; what is not computed yet is."""
        cells = self._cells.copy()
        for number, argument in self._arguments:
            cells[number] = arguments[argument]._cell
        found: list[Any] = list(map(_NODES_RESULT, cells))
        if None in found:
            return [actual(cell) if buffer is None else buffer for cell, buffer in zip(cells, found, strict=True)]
        return found

    def difference(self, arguments: Sequence[Tensor]) -> str | None:
        """None when all lie in memory as they did; else words."""
        buffers = self.buffers(arguments)
        layouts = list(map(_LAYOUT, buffers))
        if layouts == self._layouts and list(map(_IS_WINDOW, buffers)) == self._windows:
            return None
        number_of = dict(self._arguments)
        for number, buffer in enumerate(buffers):
            if buffer.layout != self._layouts[number] or buffer.is_window is not self._windows[number]:
                what = f"argument {number_of[number]}" if number in number_of else "a tensor from outside"
                return f"{what} lies in memory in another way, or is a part of a larger tensor"
        return None


def references(cells: Sequence[Cell]) -> list[tuple[object, ...]]:
    """How many references there are to the node of each cell's value and to its buffer; and whether that is all it is.

    A node of another operation knows how its value was computed.
    """
    nodes = list(map(_NODE, cells))
    buffers = list(map(_RESULT, nodes))
    is_bare = map(is_, map(_OP, nodes), repeat(BUFFER))
    return list(zip(map(getrefcount, nodes), map(getrefcount, buffers), is_bare, strict=True))


@cache
def own_references() -> tuple[object, ...]:
    """The same for a value that nobody but its cell holds; which numbers these are depends on Python's version."""
    return references([Cell(ops.buffer(_lone_buffer()))])[0]


def gradient_references(gradients: Sequence[Tensor]) -> list[tuple[int, ...]]:
    """How many references there are to each gradient, and to all that it is made of. All are computed."""
    cells = list(map(_CELL, gradients))
    nodes = list(map(_NODE, cells))
    buffers = list(map(_RESULT, nodes))
    allocations = list(map(_ALLOCATION, buffers))
    return list(zip(*(map(getrefcount, of) for of in (gradients, cells, nodes, buffers, allocations)), strict=True))


@cache
def own_gradient_references() -> tuple[int, ...]:
    """The same for a gradient that nobody but its tensor, and the list in which it is given, hold."""
    of = tensor_of(Cell(ops.constant(0, (), float32, "none")))
    of._grad = tensor_of(Cell(ops.buffer(_lone_buffer())))
    return gradient_references([of._grad])[0]


def _lone_buffer() -> Buffer:
    return Buffer(Allocation(None, 0), (1,), float32, "none", row_major((1,)))
