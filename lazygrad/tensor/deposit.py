"""Deposits: values that are put away until somebody asks for them, so that it is known whether anybody has.

A compiled function may overwrite the old value of a parameter only if nobody else holds it. To ask that of each
parameter takes longer than all else that a replay does, since little of what is asked is in the processor's caches. So
a replay puts away what it leaves: the attribute is emptied, which costs those nothing who read attributes that are not.
Who reads an empty one comes to ``__getattr__``, which puts the value back and lets the function know that something was
touched.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

from lazygrad.runtime import forking

# Held while a value changes its place. A finalizer may run meanwhile, and want another one.
_MOVING = RLock()
forking.hold(_MOVING)


class Deposit:
    """What is put away together. ``left``: what the depositor knows of it; None once somebody has asked for a part.

    It is the depositor's; the values stay when it goes.
    """

    __slots__ = ("__weakref__", "left")

    def __init__(self, left: Any = None) -> None:
        self.left = left


class Depositor:
    """Has one attribute that can be put away, named by ``_deposited``."""

    __slots__ = ("_deposit", "_kept")

    _deposited: ClassVar[str]
    _deposit: ref[Deposit]
    _kept: Any

    def _put_away(self, deposit: Deposit) -> None:
        """Empties the attribute until it is read."""
        with _MOVING:
            self._kept = getattr(self, self._deposited)
            self._deposit = ref(deposit)
            delattr(self, self._deposited)

    if not TYPE_CHECKING:  # to a type checker nothing is ever put away

        def __getattr__(self, name: str) -> Any:
            if name != self._deposited:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            with _MOVING:
                deposit = self._deposit()
                if deposit is not None:
                    deposit.left = None
                try:
                    value = self._kept
                except AttributeError:  # another thread was quicker
                    return object.__getattribute__(self, name)
                setattr(self, name, value)
                del self._kept
                return value
