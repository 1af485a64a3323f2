"""The bound on the cache's size: what was not used for longest goes first.

In: the cache folder and ``LAZYGRAD_CACHE_LIMIT``. Out: files of at most that many bytes, when a process that has
written something ends, and now and then before. A file's time is when it was last used (``Store.read_plain`` sees to
that). What this process has written or read stays; another process that finds a file gone builds it again.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lazygrad import environment
from lazygrad.runtime import forking
from lazygrad.runtime.cache_folder import TAG, cache_folder
from lazygrad.runtime.memory_size import parse_size

# A training script's kernels take some megabytes: room for hundreds of scripts, and little of any disk.
DEFAULT_LIMIT = 2 << 30
# Beyond the limit so much of it is left, so that the next process need not start over.
KEPT_PART = 0.9
# A long process looks again whenever it has written this part of the limit.
CHECKED_PART = 0.125
UNFINISHED = ".unfinished-"  # how the names of files begin that are being written
# Such files are their process's own for so many seconds; then it is gone.
UNFINISHED_LIFETIME = 3600.0
# The folders of processes that may be running; they look after them themselves.
PROCESSES = "processes"
# What tuning found took minutes of trials and some bytes: it goes after everything else.
PRECIOUS = ("tuning",)
logger = logging.getLogger("lazygrad")


class Kept(NamedTuple):
    """A file of the cache: its path, first folder below the cache folder, bytes, and when it was last used."""

    path: str
    group: str
    size: int
    used: float

    @property
    def is_unfinished(self) -> bool:
        """Whether some process is writing it, or was when it was killed."""
        return Path(self.path).name.startswith(UNFINISHED)


def limit() -> int:
    """The most bytes that the cache may take. ValueError when ``LAZYGRAD_CACHE_LIMIT`` is no size."""
    text = environment.value("LAZYGRAD_CACHE_LIMIT")
    if not text:
        return DEFAULT_LIMIT
    try:
        return parse_size(text)
    except ValueError as error:
        raise ValueError(f"LAZYGRAD_CACHE_LIMIT: {error}") from None


def groups() -> list[Path]:
    """The folders below the cache folder that lazygrad has made, by name; downloads are not among them."""
    try:
        return sorted(path for path in cache_folder().iterdir() if (path / TAG).is_file() and path.name != PROCESSES)
    except OSError:
        return []


def files() -> Iterator[Kept]:
    """Every file that counts, in no order. Nothing is looked at that lazygrad has not made."""
    for group in groups():
        for place, _, names in os.walk(group):
            for name in names:
                if name == TAG:
                    continue
                path = os.path.join(place, name)  # noqa: PTH118 (thousands)
                try:
                    found = os.stat(path, follow_symlinks=False)  # noqa: PTH116
                except OSError:  # another process has taken it
                    continue
                yield Kept(path, group.name, found.st_size, found.st_mtime)


def evict(most: int | None = None) -> int:
    """Removes what was not used for longest until at most ``most`` bytes (the limit) are left; returns their number."""
    most = limit() if most is None else most
    found = list(files())
    total = sum(each.size for each in found)
    removed = 0
    stale = time.time() - UNFINISHED_LIFETIME
    for each in found:
        if each.is_unfinished and each.used < stale:
            removed += _remove(each)
    if total - removed <= most:
        return removed
    aim = int(most * KEPT_PART)
    for each in sorted(found, key=lambda each: (each.group in PRECIOUS, each.used, each.path)):
        if total - removed <= aim:
            break
        if each.path not in _ledger.kept:
            removed += _remove(each)
    logger.info("the cache has grown beyond its limit: %d bytes of what was not used for longest are removed", removed)
    return removed


def _remove(each: Kept) -> int:
    try:
        Path(each.path).unlink()
        return each.size
    except OSError:
        return 0


class _Ledger:
    """What this process has touched, and how many bytes it has written since it looked at the whole."""

    def __init__(self) -> None:
        self.kept: set[str] = set()
        self.written = 0
        self.is_registered = False


_ledger = _Ledger()


def kept() -> frozenset[str]:
    """The files that this process has used or written."""
    return frozenset(_ledger.kept)


def keep(path: str, written: int = 0) -> None:
    """This process uses the file, or has written so many bytes to it: it does not remove it."""
    _ledger.kept.add(path)
    if not written:
        return
    if not _ledger.is_registered:
        _ledger.is_registered = True
        forking.at_exit(_check)
    _ledger.written += written
    if _ledger.written > limit() * CHECKED_PART:
        _check()


def _check() -> None:
    if not _ledger.written:
        return
    _ledger.written = 0
    try:
        evict()
    except (OSError, ValueError) as error:  # at exit nobody could do anything about it
        logger.debug("%s", error)
