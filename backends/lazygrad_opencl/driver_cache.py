"""PoCL's own kernel cache: put below lazygrad's cache folder, and checked before it is trusted.

PoCL compiles a kernel when it is first launched and keeps the machine code in a folder of its own. Its program
binaries are no substitute: asking for one compiles every kernel once more in a general form, 200 ms each. So on
PoCL a program is kept as source, and PoCL's folder makes building it again cheap. But PoCL ends the process when a
file there is damaged; therefore the hashes of its files are noted at exit and compared before a program is built.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from lazygrad.runtime.cache import Store, cache_folder, private_folder

PLATFORM_NAME = "Portable Computing Language"
_VARIABLE = "POCL_CACHE_DIR"
# PoCL forgets an empty temporary file for every program it builds; after this many seconds nobody needs it.
_TEMPORARY_LIFETIME = 3600.0
# Seconds by which a file's time may lie before the clock's.
_CLOCK_GRANULARITY = 2.0
logger = logging.getLogger("lazygrad")


@contextmanager
def named_to_driver() -> Iterator[None]:
    """While devices are searched for, PoCL is told its folder, unless the user has told it one.

    PoCL reads the variable once, when it is loaded. It is taken back then, so that it does not leak into processes
    that are started from this one with another cache.
    """
    if os.environ.get(_VARIABLE):
        yield
        return
    os.environ[_VARIABLE] = str(_root())
    try:
        yield
    finally:
        del os.environ[_VARIABLE]


@lru_cache(maxsize=1)
def _root() -> Path:
    """PoCL's folder. Without one that it can write, it offers no device at all, so there is always one."""
    chosen = os.environ.get(_VARIABLE)
    if chosen:
        return Path(chosen)
    folder = private_folder(cache_folder() / "opencl" / "pocl")
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="lazygrad-pocl-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    else:
        _remove_temporary_files(folder)
    return folder


def _remove_temporary_files(folder: Path) -> None:
    limit = time.time() - _TEMPORARY_LIFETIME
    for path in folder.glob("tempfile_*"):
        try:
            found = path.stat()
            if found.st_size == 0 and found.st_mtime < limit:
                path.unlink()
        except OSError:
            continue


class DriverCache:
    """What PoCL keeps for the programs of one device, as seen by the names of their kernels."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._began = time.time() - _CLOCK_GRANULARITY
        self._used: dict[str, str] = {}  # program: one of its kernels, whose name says which folder it is
        atexit.register(self.record)

    def check(self, program: str) -> bool:
        """Before a known program is built: False, and PoCL's folder of it removed, when a file is damaged."""
        entry = self._store.read(_entry(program))
        if entry is None:
            return True
        noted = json.loads(entry)
        folder = _root() / noted["folder"]
        damaged = [
            folder / name
            for name, expected in noted["files"].items()
            if (found := _hash_of(folder / name)) is not None and found != expected
        ]
        if not damaged:
            return True
        logger.warning("the cached kernel %s is damaged; its program is built again", damaged[0])
        shutil.rmtree(folder, ignore_errors=True)
        self._store.remove(_entry(program))
        return False

    def use(self, program: str, kernels: Iterable[str]) -> None:
        """A program was built in this process: what PoCL keeps for it is noted at exit."""
        self._used[program] = next(iter(kernels))

    def record(self) -> None:
        """Notes the hashes of files that are new, or that a process beside this one has put in place of its own.

        A process that is killed before leaves its files unchecked.
        """
        for program, kernel in self._used.items():
            entry = self._store.read(_entry(program))
            noted: dict[str, str] = json.loads(entry)["files"] if entry is not None else {}
            for folder in sorted(path.parent for path in _root().glob(f"*/*/{kernel}")):
                files = sorted(path for pattern in ("*.bc", "*/*/*.so") for path in folder.glob(pattern))
                names = {str(path.relative_to(folder)): path for path in files}
                new = {
                    name: hashed
                    for name, path in names.items()
                    if (name not in noted or _changed(path) >= self._began) and (hashed := _hash_of(path)) is not None
                }
                if any(noted.get(name) != hashed for name, hashed in new.items()):
                    content = {"folder": str(folder.relative_to(_root())), "files": {**noted, **new}}
                    self._store.write(_entry(program), json.dumps(content, sort_keys=True).encode())


def _entry(program: str) -> str:
    return f"{program}.files"


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _hash_of(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
