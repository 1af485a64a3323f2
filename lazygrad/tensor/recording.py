"""The switch for capturing: what the parts of the tensor layer tell whoever records a function.

In: a recorder, while a function runs under ``lazygrad.compile``. Out: its methods are called where something happens
that a replay has to know: a tensor from outside enters an operation, a number of the host becomes an argument, a
counter of the host moves on, somebody wants to read an element. Nothing here knows how a function is captured; that is
in ``lazygrad.capture``.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from lazygrad.ir.node import Node
from lazygrad.ir.value import Number

if TYPE_CHECKING:
    from lazygrad.tensor.cells import Cell
    from lazygrad.tensor.handle import Handle


class Recorder(ABC):
    """Hears what a function does while it is captured."""

    @abstractmethod
    def enter(self, cell: Cell) -> None:
        """The value of ``cell`` is about to be used; afterwards its node is one that may be part of the capture."""

    @abstractmethod
    def settle(self, cells: Sequence[Cell]) -> None:
        """Somebody wants these computed: those from before the capture are, the others at its end."""

    @abstractmethod
    def refuse(self, what: str) -> None:
        """RuntimeError: ``what`` (a verb with its object) cannot be done inside, and the way out."""

    @abstractmethod
    def number(self, argument: Node, read: Callable[[], Number]) -> None:
        """``argument`` has the number that ``read`` gives; a replay reads it anew."""

    @abstractmethod
    def effect(self, act: Callable[[], object], undo: Callable[[], object]) -> None:
        """Something has changed on the host that each replay changes again, between the numbers it stands between."""

    @abstractmethod
    def guard(self, what: str, read: Callable[[], Hashable], is_same: Callable[[], bool] | None = None) -> None:
        """What was recorded holds only while ``read`` gives what it gives now; ``what`` says in words what it is.

        ``is_same`` is a quicker question: whether ``read`` would give what it gave last. It may say no if it would.
        """

    @abstractmethod
    def watch(self, what: str, of: object) -> None:
        """What was recorded holds only while the plain values and tensors among ``of``'s attributes stay the same."""

    @abstractmethod
    def gradient(self, tensor: Handle, read: bool) -> None:
        """``tensor.grad`` is about to be read or set."""

    @abstractmethod
    def backward(self) -> None:
        """A gradient was asked for inside."""


class _Recording(threading.local):
    """The thread's recorder, or None; and the number of its capture, 0 outside: cells know in which they were made."""

    recorder: Recorder | None = None
    number: int = 0


RECORDING = _Recording()


def refuse(what: str) -> None:
    """RuntimeError inside a captured function, nothing outside."""
    if RECORDING.recorder is not None:
        RECORDING.recorder.refuse(what)


def guard(what: str, read: Callable[[], Hashable], is_same: Callable[[], bool] | None = None) -> None:
    """Tells the recorder, if there is one (see ``Recorder.guard``)."""
    if RECORDING.recorder is not None:
        RECORDING.recorder.guard(what, read, is_same)


def effect(act: Callable[[], Any], undo: Callable[[], Any]) -> None:
    """Does ``act`` now, and again in each replay; ``undo`` takes it back when the capture fails."""
    if RECORDING.recorder is not None:
        RECORDING.recorder.effect(act, undo)
    act()
