"""One object for each thread, made when the thread first asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerThread(Generic[T]):
    """Holds what ``make`` returns, in each thread another.

    A finalizer that the garbage collector runs while that is being made asks for it, too, and gets the one object that
    all get afterwards.

    >>> numbers = PerThread(list)
    >>> numbers.own.append(1)
    >>> numbers.own
    [1]
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._local = threading.local()

    @property
    def own(self) -> T:
        """The calling thread's."""
        try:
            found: T = self._local.own
        except AttributeError:
            found = self._local.__dict__.setdefault("own", self._make())
        return found
