"""The cache on disk: entries that are written atomically and trusted only when their hash fits.

In: bytes under a name. Out: the same bytes in any later process, or nothing. A damaged entry is removed with one
warning and counts as missing; a folder that cannot be written, or not be trusted, costs speed, never correctness.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lazygrad.runtime import eviction
from lazygrad.runtime.cache_folder import TAG, cache_folder, private_folder, warn_cannot_write, warn_once
from lazygrad.runtime.eviction import UNFINISHED

# Entries of another format are not read. Raise it when what is stored changes its meaning.
FORMAT = b"lazygrad cache 1\n"
FOR_PEOPLE = (".cl", ".py")  # the suffixes of files that are written plain: generated sources
_DIGEST_BYTES = hashlib.sha256().digest_size
_HEAD_BYTES = len(FORMAT) + _DIGEST_BYTES
# An entry's time says when it was last used, as exactly as this many seconds: hot paths need not write to the disk.
USE_GRANULARITY = 3600.0
logger = logging.getLogger("lazygrad")


def digest(*parts: str | bytes) -> str:
    """A hash of several parts that is the same in every process; where a part ends matters."""
    collected = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        collected.update(len(data).to_bytes(8, "little"))
        collected.update(data)
    return collected.hexdigest()


def sealed(payload: bytes) -> bytes:
    """The payload as an entry's file holds it: format, hash, payload."""
    return FORMAT + hashlib.sha256(payload).digest() + payload


def unsealed(data: bytes) -> bytes | None:
    """The payload of an entry's file; None when it is damaged."""
    payload = data[_HEAD_BYTES:]
    if data[: len(FORMAT)] == FORMAT and data[len(FORMAT) : _HEAD_BYTES] == hashlib.sha256(payload).digest():
        return payload
    return None


def is_entry(name: str) -> bool:
    """Whether a file is an entry with a hash, and not one for people to read."""
    return not name.endswith(FOR_PEOPLE)


class Store:
    """Entries in one folder below the cache folder, one file each. ``is_usable``: False without a folder to trust."""

    def __init__(self, *below: str) -> None:
        eviction.limit()  # a setting that is not understood is said now and not at exit
        self.below = below
        self.folder = cache_folder().joinpath(*below)
        self.is_usable = private_folder(*below) is not None

    def path(self, name: str) -> Path:
        """Where an entry is or would be."""
        return self.folder / name

    def read(self, name: str) -> bytes | None:
        """The entry's bytes, or None when there is none or it is damaged (then it is removed)."""
        data = self.read_plain(name)
        if data is None:
            return None
        payload = unsealed(data)
        if payload is None:
            warn_once(f"the cache entry {self.path(name)} is damaged; it is built again")
            self.remove(name)
        return payload

    def read_plain(self, name: str) -> bytes | None:
        """A file's bytes as they are; None when there is none."""
        if not self.is_usable:
            return None
        path = os.path.join(self.folder, name)  # noqa: PTH118 (a warm start reads hundreds)
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.readall()
                used = os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        eviction.keep(path)
        if abs(time.time() - used) > USE_GRANULARITY:
            try:
                os.utime(path)
            except OSError as error:  # a folder on a read-only disk
                logger.debug("%s", error)
        return data

    def names(self) -> Iterator[str]:
        """The files there are, in no order."""
        if self.is_usable:
            try:
                with os.scandir(self.folder) as found:
                    names = [entry.name for entry in found]
            except OSError as error:
                logger.debug("%s", error)
                return
            yield from [name for name in names if name != TAG and not name.startswith(UNFINISHED)]

    def write(self, name: str, payload: bytes) -> None:
        """Stores the bytes; other processes see the whole entry or none."""
        self.write_plain(name, sealed(payload))

    def write_plain(self, name: str, data: bytes) -> Path | None:
        """A file for people, without the hash in front. Returns where it is, None when it could not be written."""
        if not self.is_usable:
            return None
        path = self.path(name)
        try:
            try:
                self._write(path, data)
            except FileNotFoundError:  # another process has emptied the cache
                if private_folder(*self.below) is None:
                    return None
                self._write(path, data)
        except OSError as error:
            warn_cannot_write(error)
            return None
        eviction.keep(str(path), len(data))
        return path

    def _write(self, path: Path, data: bytes) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=UNFINISHED)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        """Forgets an entry, if there is one."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            logger.debug("%s", error)


__all__ = ["FORMAT", "UNFINISHED", "Store", "cache_folder", "digest", "is_entry", "sealed", "unsealed"]
