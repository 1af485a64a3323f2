"""Ctrl-C while work is submitted: a step is submitted whole or not at all.

Kernels overwrite parameters in place, so an interrupt between two launches would leave some updated and some not; and
between two statements memory would be taken and belong to nobody. Submitting takes milliseconds; an interrupt that
arrives meanwhile is delivered right after.
"""

from __future__ import annotations

import threading

# Not ``signal``, which turns every number and handler into an enumeration's member and back: that takes longer than the
# launch of a kernel.
from _signal import SIGINT, getsignal, signal  # type: ignore[import-not-found]
from types import FrameType
from typing import Any

from lazygrad.runtime import forking
from lazygrad.runtime.per_thread import PerThread


class _State:
    """A thread's. The order of statements matters.

    An interrupt may strike between any two as long as the handler is the user's, and a finalizer, which may want
    ``undivided`` too, anywhere.
    """

    __slots__ = ("concerned", "depth", "handler", "waiting")

    def __init__(self) -> None:
        self.depth = 0
        # Python runs handlers in the main thread only.
        self.concerned = threading.current_thread() is threading.main_thread()
        self.handler: Any = None  # the user's, while another stands in for it
        self.waiting: tuple[int, FrameType | None] | None = None

    def begin(self) -> None:
        """Has interrupts wait."""
        handler = getsignal(SIGINT) if self.concerned else None
        try:
            self.depth = 1
            if callable(handler):
                self.handler = handler
                signal(SIGINT, self.note)
        except BaseException:
            self.depth, self.handler = 0, None
            raise

    def end(self) -> None:
        """Delivers what waits."""
        handler, self.handler = self.handler, None
        try:
            if handler is not None:
                signal(SIGINT, handler)
        finally:
            waiting, self.waiting = self.waiting, None
            self.depth = 0
        if waiting is not None:
            handler(*waiting)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Stands in for the user's handler."""
        self.waiting = (number, frame)


class _Undivided:
    """``with undivided:`` no KeyboardInterrupt is raised inside the block, but at its end. May be nested."""

    def __init__(self) -> None:
        self._states = PerThread(_State)

    @property
    def depth(self) -> int:
        """How many blocks the thread is in."""
        return self._states.own.depth

    def __enter__(self) -> None:
        state = self._states.own
        if state.depth:
            state.depth += 1
        else:
            state.begin()

    def __exit__(self, *_: object) -> None:
        state = self._states.own
        if state.depth > 1:
            state.depth -= 1
        else:
            state.end()

    def after_fork(self) -> None:
        """In a child, the thread that forked is the main thread."""
        self._states.own.concerned = True


undivided = _Undivided()
forking.in_child(undivided.after_fork)
