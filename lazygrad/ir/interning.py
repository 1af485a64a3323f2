"""Interning: of equal objects the one that exists. Nothing is kept alive by it.

What ``weakref.WeakValueDictionary`` does too, at a third of the time, which counts: every node, scalar expression and
index variable is looked up when it is built.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar
from weakref import ref

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

    __slots__ = ("_entries", "_forget")

    def __init__(self) -> None:
        entries: dict[Hashable, _Entry[T]] = {}

        def forget(entry: _Entry[T]) -> None:
            if entries.get(entry.key) is entry:
                del entries[entry.key]

        self._entries = entries
        self._forget = forget

    def get(self, key: Hashable) -> T | None:
        """The live object of that key, else None."""
        entry = self._entries.get(key)
        return entry() if entry is not None else None

    def add(self, key: Hashable, made: T) -> T:
        """Remembers an object while it lives, and returns it; or the one with which another thread was quicker."""
        entry = _Entry(made, self._forget)
        entry.key = key
        known = self._entries.setdefault(key, entry)
        if known is not entry:
            quicker = known()
            if quicker is not None:
                return quicker
            self._entries[key] = entry
        return made

    def __len__(self) -> int:
        return len(self._entries)
