"""Tracing: a function is run once with nothing computed, to learn its graph and what that depends on.

In: a function and its arguments. Out: a ``Trace``: what the function returned, as lazy tensors over stand-ins; which
tensors from outside it used, changed, or gave gradients; numbers, effects and guards in the order in which they came.
What holds afterwards, also after an exception: every tensor from before is bound to what it was bound to before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import count
from threading import RLock
from typing import Any, NamedTuple, NoReturn, TypeVar

from lazygrad.capture.guards import Guard, ObjectGuard
from lazygrad.capture.stand_in import StandIn
from lazygrad.ir.node import Node, Place, user_place
from lazygrad.ir.value import Number
from lazygrad.ops import buffer as buffer_node
from lazygrad.ops.padding import SLICE
from lazygrad.ops.source import BUFFER
from lazygrad.runtime import Buffer, CompilingDevice, device, forking
from lazygrad.runtime.structure import window
from lazygrad.tensor import Tensor
from lazygrad.tensor.cells import Cell, forget_superseded
from lazygrad.tensor.handle import Handle, compute, forget_pending, pending_cells
from lazygrad.tensor.recording import RECORDING, Recorder

T = TypeVar("T")

# Tensors from outside are bound to stand-ins while one thread traces, so there is one at a time.
TRACING = RLock()
forking.hold(TRACING)
_NUMBERS = count(1)


class CaptureError(RuntimeError):
    """Something that a captured function cannot do; the message names the user's line and the way out."""


class Read(NamedTuple):
    """A number of the host that a replay reads anew."""

    argument: Node
    read: Callable[[], Number]


class Before(NamedTuple):
    """What a cell held when it was first used, and what stood for it."""

    cell: Cell
    node: Node
    history: bool
    depth: int
    name: str | None
    stand_in: StandIn


def actual(cell: Cell) -> Buffer:
    """The buffer of a cell's value; computes it if need be. A slice of something computed is a part of its buffer."""
    node = cell.node
    if node.result is None:
        part = window(node) if node.op is SLICE and isinstance(device(node.device), CompilingDevice) else None
        if part is not None:
            return part
        compute([cell])
        node = cell.node
    buffer: Buffer = node.result
    return buffer


def _is_lazy(cell: Cell) -> bool:
    return cell.node.result is None or cell.node.op is not BUFFER


def _unrecorded(function: Callable[[], T]) -> T:
    """What ``function`` returns, which is no part of the capture."""
    outer, RECORDING.recorder = RECORDING.recorder, None
    try:
        return function()
    finally:
        RECORDING.recorder = outer


class Trace(Recorder):
    """What a function did. ``name`` is the function's, for messages; ``arguments`` are what it was called with."""

    def __init__(self, name: str, arguments: Sequence[Tensor] = ()) -> None:
        self.name = name
        self._arguments = {tensor._cell for tensor in arguments}
        self.number_of_capture = next(_NUMBERS)
        self.known: dict[Cell, Before] = {}
        self.actions: list[Read | Callable[[], object]] = []
        self.guards: list[Guard | ObjectGuard] = []
        self.gradients: dict[int, tuple[Tensor, Tensor | None]] = {}  # by id of a tensor: it and its .grad before
        self.has_backward = False
        self._undos: list[Callable[[], object]] = []
        self._watched: set[int] = set()

    # ---- running

    def run(self, function: Callable[[], Any]) -> Any:
        """What ``function`` returns; call ``restore`` when everything is read off."""
        waiting = pending_cells()
        if waiting:
            compute(waiting)  # what came before is no part of the capture
        outer = RECORDING.recorder, RECORDING.number
        RECORDING.recorder, RECORDING.number = self, self.number_of_capture
        try:
            return function()
        except BaseException:
            self.undo()
            raise
        finally:
            RECORDING.recorder, RECORDING.number = outer

    def undo(self) -> None:
        """Takes back everything, counters of the host included."""
        self.restore()
        for undo in reversed(self._undos):
            undo()
        self._undos.clear()

    def restore(self) -> None:
        """Binds every tensor from outside to what it was bound to."""
        for before in self.known.values():
            cell = before.cell
            cell.node, cell.history, cell.depth, cell.name = before.node, before.history, before.depth, before.name
        for tensor, gradient in self.gradients.values():
            tensor._grad = gradient
        made = pending_cells()
        for cell in made:
            if cell in self.known or cell.capture == self.number_of_capture:
                forget_pending(cell)
        # Stand-ins have no memory to give; who reads them, in the frames of an exception say, is not to be computed.
        forget_superseded(before.stand_in for before in self.known.values())

    def retire(self) -> None:
        """Lets tensors that the function kept elsewhere say what is wrong with them."""
        for before in self.known.values():
            before.stand_in.is_lost = True

    # ---- what the tensor layer tells

    def enter(self, cell: Cell) -> None:
        if cell.capture == self.number_of_capture or cell in self.known:
            return
        if cell.history:
            self.refuse("use a tensor from outside that has autograd history")
        if cell not in self._arguments and _is_lazy(cell):
            _unrecorded(lambda: compute([cell]))
        stand_in = StandIn(_unrecorded(lambda: actual(cell)))
        self.known[cell] = Before(cell, cell.node, cell.history, cell.depth, cell.name, stand_in)
        cell.node = buffer_node(stand_in)

    def settle(self, cells: Sequence[Cell]) -> None:
        outside = [
            cell
            for cell in cells
            if cell.capture != self.number_of_capture and cell not in self.known and not cell.history and _is_lazy(cell)
        ]
        if outside:
            _unrecorded(lambda: compute(outside))

    def refuse(self, what: str) -> NoReturn:
        place: Place | None = user_place()
        raise CaptureError(
            f"{self.name} is captured by lazygrad.compile and cannot {what}: a replay computes everything at once, "
            f"and its Python code does not run again.\n  at {place or 'an unknown line'}\n"
            "Return the tensor and read it outside, pass what comes from outside as an argument, or decide on the "
            "device with where()."
        )

    def number(self, argument: Node, read: Callable[[], Number]) -> None:
        argument.attributes.handle.value = read()
        self.actions.append(Read(argument, read))

    def effect(self, act: Callable[[], object], undo: Callable[[], object]) -> None:
        self.actions.append(act)
        self._undos.append(undo)

    def guard(self, what: str, read: Callable[[], Hashable], is_same: Callable[[], bool] | None = None) -> None:
        self.guards.append(Guard(what, read, is_same))

    def gradient(self, tensor: Handle, read: bool) -> None:
        if id(tensor) in self.gradients or tensor._cell.capture == self.number_of_capture:
            return
        assert isinstance(tensor, Tensor)
        known = tensor._grad
        self.gradients[id(tensor)] = tensor, known
        if read:
            self.guard("a .grad", lambda: None if tensor._grad is None else id(tensor._grad._cell))

    def backward(self) -> None:
        self.has_backward = True

    def watch(self, what: str, of: object) -> None:
        """Guards the plain values and tensors among an object's attributes."""
        if id(of) not in self._watched and hasattr(of, "__dict__") and not getattr(type(of), "_guards_itself", False):
            self._watched.add(id(of))
            self.guards.append(ObjectGuard(what, of))

    # ---- afterwards

    def changed(self) -> list[Before]:
        """The cells from outside that were changed in place."""
        return [before for cell, before in self.known.items() if cell.node.result is not before.stand_in]

    def is_inside(self, cell: Cell) -> bool:
        """Whether the cell was made by the function."""
        return cell.capture == self.number_of_capture
