"""The cache on disk: where it is, and entries that are written atomically and trusted only when their hash fits.

In: bytes under a name. Out: the same bytes in any later process, or nothing. A damaged entry is removed with one
warning and counts as missing; a folder that cannot be written costs speed, never correctness.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

from lazygrad import environment

# Entries of another format are not read. Raise it when what is stored changes its meaning.
FORMAT = b"lazygrad cache 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
logger = logging.getLogger("lazygrad")


def cache_folder() -> Path:
    """The folder of everything lazygrad keeps: ``LAZYGRAD_CACHE``, else ``lazygrad`` in the user's cache folder."""
    chosen = environment.value("LAZYGRAD_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "lazygrad"


def digest(*parts: str | bytes) -> str:
    """A hash of several parts that is the same in every process; where a part ends matters."""
    collected = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        collected.update(len(data).to_bytes(8, "little"))
        collected.update(data)
    return collected.hexdigest()


def private_folder(path: Path) -> Path | None:
    """Makes the folder, readable by its owner only; None (with one warning a folder) when it cannot be written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        _warn_once(f"the cache folder {path} cannot be written ({error}); what is compiled is not kept")
        return None


class Store:
    """Entries in one folder below the cache folder, one file each."""

    def __init__(self, *below: str) -> None:
        self.folder = cache_folder().joinpath(*below)
        self._writable = private_folder(self.folder) is not None

    def path(self, name: str) -> Path:
        """Where an entry is or would be."""
        return self.folder / name

    def read(self, name: str) -> bytes | None:
        """The entry's bytes, or None when there is none or it is damaged (then it is removed)."""
        path = self.path(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        start = len(FORMAT) + _DIGEST_BYTES
        payload = data[start:]
        if data[: len(FORMAT)] == FORMAT and data[len(FORMAT) : start] == hashlib.sha256(payload).digest():
            return payload
        _warn_once(f"the cache entry {path} is damaged; it is built again")
        self.remove(name)
        return None

    def write(self, name: str, payload: bytes) -> None:
        """Stores the bytes; other processes see the whole entry or none."""
        self.write_plain(name, FORMAT + hashlib.sha256(payload).digest() + payload)

    def write_plain(self, name: str, data: bytes) -> Path | None:
        """A file for people, without the hash in front. Returns where it is, None when it could not be written."""
        if not self._writable:
            return None
        path = self.path(name)
        temporary = ""
        try:
            descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=".unfinished-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(temporary).replace(path)
        except OSError as error:
            _warn_once(f"the cache folder {self.folder} cannot be written ({error}); what is compiled is not kept")
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            return None
        return path

    def remove(self, name: str) -> None:
        """Forgets an entry, if there is one."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            logger.debug("%s", error)


@cache
def _warn_once(message: str) -> None:
    logger.warning("%s", message)
