"""Which code is running: a digest of the source files of packages, by which what they once made is known to be current.

In: names of imported packages. Out: a digest that is equal for equal files wherever they are installed, or None where
that cannot be told. Files are read when their times or sizes are new only. A file that was changed after this process
began may differ from what the process has imported: then there is no identity.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from lazygrad.environment import IMPORTED_AT
from lazygrad.runtime.cache import Store, digest

# How far a file's time may lie before the clock's, in seconds.
CLOCK_GRANULARITY = 2.0
NANOSECONDS = 10**9


class _File(NamedTuple):
    """What tells a file that has changed, without reading it."""

    path: str
    size: int
    modified: int
    changed: int  # also when contents with an old time are put in its place
    number: int


@cache
def source_identity(package: str) -> str | None:
    """The digest of an imported package's Python files; None when they are not files, or newer than this process."""
    folders = list(getattr(sys.modules.get(package), "__path__", ()))
    if len(folders) != 1:
        return None
    try:
        files = sorted(_files(folders[0]))
        newest = max((max(file.modified, file.changed) for file in files), default=sys.maxsize)
        if newest > (min(IMPORTED_AT, time.time()) - CLOCK_GRANULARITY) * NANOSECONDS:
            return None
        store = Store("sources")
        name = digest(folders[0], *map(repr, files))
        known = store.read(name)
        if known is not None:
            return known.decode()
        contents = [part for file in files for part in (os.path.relpath(file.path, folders[0]), _read(file.path))]
        identity = digest(*contents)
        if sorted(_files(folders[0])) != files:  # somebody is editing
            return None
        store.write(name, identity.encode())
    except OSError:
        return None
    return identity


def _files(folder: str) -> Iterator[_File]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir():
                yield from _files(entry.path)
            elif entry.name.endswith(".py"):
                status = entry.stat()
                yield _File(entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
