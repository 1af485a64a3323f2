"""What fork leaves of devices: in a child, those that the parent has in use refuse at once, and end quietly.

A driver's threads do not exist in a forked child, and the locks that they held stay locked there. So a child can
neither use what its parent has opened nor even give it back: the first wait, or the destructor of a buffer when the
child ends, may hang. In: who uses a driver in which process. Out, in children: a RuntimeError that says what to do, no
destructors and no functions at exit. Memory that only the host knows, as NumPy's, survives a fork.
"""

from __future__ import annotations

import atexit
import ctypes
import os
from collections.abc import Callable
from typing import Any, Protocol

_WHAT_TO_DO = (
    "Start processes with multiprocessing.get_context('spawn'), or fork before the first use of the device, or compute "
    "on device='numpy' in the child (LAZYGRAD_DEVICE=numpy), with tensors that are there already"
)
# Drivers, and the process that uses each.
_USERS: dict[str, int] = {}


class RLockType(Protocol):
    """``threading.RLock``, which has no type that all versions of Python name."""

    def acquire(self) -> bool:
        """Waits until the lock is this thread's."""

    def release(self) -> None:
        """Gives it back."""


def claim(driver: str) -> None:
    """To be called by a backend before it touches its driver, each time that it looks for devices or opens one.

    Raises:
        RuntimeError: this process was forked from one that used the driver.
    """
    process = os.getpid()
    if _USERS.setdefault(driver, process) != process:
        raise RuntimeError(refusal(driver))


def refusal(what: str) -> str:
    """The message for something that a parent had in use."""
    return (
        f"{what} cannot be used in process {os.getpid()}: it was forked from a process that has used {what}, and a "
        f"driver does not survive a fork. {_WHAT_TO_DO}."
    )


def in_child(function: Callable[[], object]) -> None:
    """Has the function called in every child right after the fork, before anything else runs there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def hold(lock: RLockType) -> None:
    """Has the lock held while the process forks, so that a child finds it free, and what it protects whole.

    For locks of a few statements, inside which no other is taken.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def at_exit(function: Callable[[], object]) -> None:
    """Like ``atexit.register``, but children that are forked later do not call the function."""
    atexit.register(_call_in, os.getpid(), function)


def _call_in(process: int, function: Callable[[], object]) -> None:
    if os.getpid() == process:
        function()


def never_destroy(thing: Any) -> None:
    """Nothing that belongs to ``thing`` is ever destroyed, also when the interpreter ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
