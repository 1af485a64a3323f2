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


class _Undivided(threading.local):
    """``with undivided:`` no KeyboardInterrupt is raised inside the block, but at its end. May be nested.

    The order of statements matters: an interrupt may strike between any two as long as the handler is the user's.
    """

    depth = 0
    concerned = False  # also for what a finalizer does inside of __init__
    handler: Any = None  # the user's, while another stands in for it
    waiting: tuple[int, FrameType | None] | None = None

    def __init__(self) -> None:
        # Python runs handlers in the main thread only.
        self.concerned = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> None:
        if not self.depth:
            handler = getsignal(SIGINT) if self.concerned else None
            self.handler, self.waiting = handler if callable(handler) else None, None
            if self.handler is not None:
                signal(SIGINT, self._note)
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.depth or self.handler is None:
            return
        handler, self.handler = self.handler, None
        signal(SIGINT, handler)
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            handler(*waiting)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.waiting = (number, frame)


undivided = _Undivided()


def _after_fork() -> None:
    """In a child, the thread that forked is the main thread."""
    undivided.concerned = True


forking.in_child(_after_fork)
