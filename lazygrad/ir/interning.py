"""Interning: of equal objects the one that exists. Nothing is kept alive by it.

What ``weakref.WeakValueDictionary`` does too, at a third of the time, which counts: every node, scalar expression and
index variable is looked up when it is built. Threads share the tables without a lock, which also means that the garbage
collector may run anywhere: each change of a table is one operation that no other thread can divide. An entry is put in
only where none is, and taken out only if it is dead at that moment; so of an object that lives there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar
from weakref import _remove_dead_weakref, ref  # type: ignore[attr-defined]  # what WeakValueDictionary is built on

T = TypeVar("T")


class _Entry(ref[T]):
    """A weak reference that knows its key."""

    __slots__ = ("key",)

    key: Hashable


class InternTable(Generic[T]):
    """From keys to the live objects that were made for them.

    >>> table = InternTable()
    >>> class Thing: pass
    >>> thing = table.add("key", Thing())
    >>> table.get("key") is thing, table.get("other"), len(table)
    (True, None, 1)
    >>> del thing
    >>> table.get("key"), len(table)
    (None, 0)
    """

    __slots__ = ("_entries", "_forget", "entry")

    # The entry of a key, which returns the object when it is called, or None if that has died; None without one.
    entry: Callable[[Hashable], _Entry[T] | None]

    def __init__(self) -> None:
        entries: dict[Hashable, _Entry[T]] = {}

        def forget(entry: _Entry[T]) -> None:
            _remove_dead_weakref(entries, entry.key)

        self._entries = entries
        self._forget = forget
        self.entry = entries.get
        _TABLES.append(self)

    def get(self, key: Hashable) -> T | None:
        """The live object of that key, else None."""
        entry = self._entries.get(key)
        return entry() if entry is not None else None

    def add(self, key: Hashable, made: T) -> T:
        """Remembers an object while it lives, and returns it; or the one with which another thread was quicker."""
        entry = _Entry(made, self._forget)
        entry.key = key
        while True:
            known = self._entries.setdefault(key, entry)
            if known is entry:
                return made
            quicker = known()
            if quicker is not None:
                return quicker
            # It has just died, and whoever let go of it has not come to forget it.
            _remove_dead_weakref(self._entries, key)

    def sweep(self) -> None:
        """Forgets what was not: Python ends a callback that Ctrl-C meets, and the entry goes on to hold its key."""
        # A copy is one operation; listing the items makes tuples, at which the garbage collector may forget entries.
        for key, entry in self._entries.copy().items():
            if entry() is None:
                _remove_dead_weakref(self._entries, key)

    def __len__(self) -> int:
        return len(self._entries)


_TABLES: list[InternTable[Any]] = []


def sweep() -> None:
    """Forgets in all tables what was not forgotten. Slow: for when memory is wanted."""
    for table in _TABLES:
        table.sweep()
