"""The garbage collector, held back while much is made at once that stays.

It looks for cycles among new objects whenever there are some hundred more, and among all objects of the process now and
then. Planning a training step makes hundreds of thousands, and so does reading a plan from disk, of which hardly any is
in a cycle: a tenth of a warm first step was the collector's.
"""

from __future__ import annotations

import gc
from threading import Lock

from lazygrad.runtime import forking


class _HeldBack:
    """``with held_back:`` nothing is collected. May be nested, and entered by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._depth = 0
        self._was_enabled = False
        forking.in_child(self._begin_anew)

    def __enter__(self) -> None:
        with self._lock:
            if not self._depth:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth and self._was_enabled:
                gc.enable()

    def _begin_anew(self) -> None:
        """In a child, whose parent's other threads are not there to leave."""
        self._lock = Lock()
        if self._depth and self._was_enabled:
            gc.enable()
        self._depth = 0


held_back = _HeldBack()
