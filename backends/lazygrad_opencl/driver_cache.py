"""What PoCL compiles at a kernel's first launch: kept by lazygrad, hashed, and given back to PoCL before it looks.

PoCL keeps machine code in a folder and loads whatever lies there under the right name; a damaged file, such as a
process leaves behind that is killed at the wrong moment, ends the process that loads it. So PoCL gets a folder that
belongs to one process alone and is empty when it begins. Into it, ``restore`` puts copies of files that have an entry,
with their hash, in lazygrad's own cache; ``collect`` makes entries of files that are new. What was not collected does
not exist for the next process. Machine code of programs with one entry (``machine_code.py``) is kept with the program;
``place`` puts it there, and ``is_in_place`` tells whether PoCL has found it.

In that folder a program that was loaded as LLVM's bitcode has its kernels under their names alone, which are unique to
their text, and a program that was built from source has them below a folder with the source's hash. Programs are
therefore always launched as bitcode (``build.py``): it is loaded ten times faster, too.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import IO

from lazygrad.runtime import forking
from lazygrad.runtime.cache import Store
from lazygrad.runtime.cache_folder import private_folder, warn_once

PLATFORM_NAME = "Portable Computing Language"
_VARIABLE = "POCL_CACHE_DIR"
# New machine code is looked for when the device is waited for, but not more often than this.
COLLECTION_SECONDS = 2.0
_LOCK = ".lock"
# Below this process's folder, those of its workers.
WORKERS = "workers"
# A folder that is younger than so many seconds may belong to a process that has not locked it yet.
_YOUNG_SECONDS = 60.0
# PoCL and the linker that it calls need room for what they write; with less the process would end.
ROOM_BYTES = 256 << 20
# Files in memory, on Linux: hundreds are made there in 30 ms, on a disk in 200 ms.
_MEMORY = "/dev/shm"
_PREFIX = "lazygrad-pocl-"
logger = logging.getLogger("lazygrad")


@contextmanager
def named_to_driver() -> Iterator[None]:
    """While devices are searched for, PoCL is told the folder of this process.

    PoCL reads the variable once, when it is loaded. It is taken back then, so that it does not leak into processes
    that are started from this one.
    """
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(folder())
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


@lru_cache(maxsize=1)
def folder() -> Path:
    """PoCL's folder in this process: below the one the user told PoCL, in memory, in lazygrad's cache, or among the
    system's temporary files, whichever is the first that can be used. Without any, PoCL offers no device.
    """
    for base in (os.environ.get(_VARIABLE), _MEMORY, private_folder("processes"), tempfile.gettempdir()):
        if base is not None and _has_room(Path(base)):
            try:
                _remove_abandoned(Path(base))
                made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
                lock = open(made / _LOCK, "wb")  # noqa: SIM115 (held until the process ends, however it ends)
            except OSError as error:
                logger.debug("%s", error)
                continue
            _lock(lock)
            atexit.register(_remove, made, lock, os.getpid())
            return made
    return Path(tempfile.mkdtemp(prefix=_PREFIX))


def _has_room(base: Path) -> bool:
    try:
        found = os.statvfs(base)
    except (OSError, AttributeError):  # not there; or on Windows, where PoCL is not installed from pip
        return sys.platform == "win32"
    can_run = not found.f_flag & getattr(os, "ST_NOEXEC", 0)
    return can_run and found.f_bavail * found.f_frsize >= ROOM_BYTES


def _lock(file: IO[bytes]) -> bool:
    """Takes the lock that says that a process lives, unless another one has it."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return False
    except OSError:
        return False
    return True


def _remove_abandoned(base: Path) -> None:
    """Removes the folders of processes that have ended without doing so themselves."""
    for found in base.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            with open(found, "rb") as file:
                if os.fstat(file.fileno()).st_mtime < time.time() - _YOUNG_SECONDS and _lock(file):
                    shutil.rmtree(found.parent, ignore_errors=True)
        except OSError:
            continue


def _remove(made: Path, lock: IO[bytes], process: int) -> None:
    if os.getpid() == process:  # a process forked from this one leaves it alone
        shutil.rmtree(made, ignore_errors=True)
        lock.close()


@lru_cache(maxsize=1)
def is_in_use() -> bool:
    """Whether PoCL keeps its files in this process's folder. To be asked first when it has loaded a program, and before
    anything is restored.

    Not so if somebody else loaded PoCL before lazygrad: then nobody has checked what it finds, and nothing is kept.
    """
    if _has_files():
        return True
    warn_once(
        "PoCL was loaded before lazygrad, by other code, and keeps kernels in a folder of its own: what is compiled in "
        "this process is not kept. Import lazygrad and make a tensor first"
    )
    return False


def _has_files() -> bool:
    return any(path.name not in (_LOCK, WORKERS) for path in folder().iterdir())


def bitcodes(kernel: str) -> Iterator[bytes]:
    """The bitcode of the programs in PoCL's folder that mention a kernel.

    Of the one that was just built from source, and perhaps of others, which have it as a function that they call.
    """
    wanted = kernel.encode()
    for path in folder().glob("*/*/program.bc"):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if wanted in data:
            yield data


class DriverCache:
    """The machine code of the kernels of one device. Kernels go by names that are unique to their texts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._process = os.getpid()
        self._new: set[str] = set()  # kernels of this process that have no entry yet
        self._present: set[str] = set()  # kernels whose machine code is where PoCL looks for it
        self._next = 0.0  # when it is worth looking for them again
        forking.at_exit(partial(self.collect, at_once=True))

    def restore(self, kernels: Iterable[str]) -> None:
        """Before the first launch of these kernels: what is known of them is put where PoCL looks for it."""
        for kernel in kernels:
            if kernel in self._present:
                continue
            entry = self._store.read(_entry(kernel))
            try:
                if entry is None:
                    self._new.add(kernel)
                else:
                    place(kernel, unpack(entry))
                    self._present.add(kernel)
            except OSError as error:  # PoCL compiles it again, if it can
                logger.debug("%s", error)

    def collect(self, at_once: bool = False) -> None:
        """After launches: keeps what PoCL has compiled. A process that is killed before leaves no trace of it."""
        if not self._new or os.getpid() != self._process or not (at_once or time.monotonic() >= self._next):
            return
        found: dict[str, list[Path]] = {}
        for path in folder().rglob("*.so"):
            found.setdefault(path.parts[-3], []).append(path)
        for kernel in sorted(self._new & found.keys()):
            try:
                contents = {path.relative_to(folder()).as_posix(): path.read_bytes() for path in sorted(found[kernel])}
            except OSError as error:
                logger.debug("%s", error)
                continue
            self._store.write(_entry(kernel), pack(contents))
            self._new.discard(kernel)
        self._next = time.monotonic() + COLLECTION_SECONDS


def _entry(kernel: str) -> str:
    return f"{kernel}.machine"


def pack(contents: Mapping[str, bytes]) -> bytes:
    """Files with their names as one entry."""
    head = json.dumps([[name, len(data)] for name, data in contents.items()])
    return b"\n".join([head.encode(), b"".join(contents.values())])


def unpack(entry: bytes) -> dict[str, bytes]:
    """The files of an entry."""
    head, _, data = entry.partition(b"\n")
    contents, start = {}, 0
    for name, size in json.loads(head):
        contents[name] = data[start : start + size]
        start += size
    return contents


def place(kernel: str, contents: Mapping[str, bytes]) -> dict[str, int]:
    """Puts files where PoCL looks for the kernel's; those that belong to it, each with the number of its inode."""
    placed = {}
    for name, data in contents.items():
        parts = PurePosixPath(name).parts
        if kernel in parts and ".." not in parts and not PurePosixPath(name).is_absolute():
            placed[name] = _write(parts, data)
    return placed


def is_in_place(kernel: str, placed: Mapping[str, int]) -> bool:
    """Whether PoCL, which has launched the kernel, has found the files and made no others."""
    base = folder()
    found = {path.relative_to(base).as_posix(): path.stat().st_ino for path in base.glob(f"{kernel}/*/*.so")}
    return bool(placed) and found == placed


def _write(parts: tuple[str, ...], data: bytes) -> int:
    """A file in PoCL's folder, unless it is there; the number of its inode. Nothing is asked in vain.

    A file that is there may be in use, and must not be written again: cutting it off, even to write the same, takes
    from the process what the loader has put into its copy of the code.
    """
    path = str(folder())
    for name in parts[:-1]:
        path = f"{path}/{name}"
        with suppress(FileExistsError):
            os.mkdir(path, mode=0o700)  # noqa: PTH102
    path = f"{path}/{parts[-1]}"
    with suppress(FileNotFoundError):
        return os.stat(path).st_ino  # noqa: PTH116
    partial = f"{path}.{threading.get_ident()}"
    with open(partial, "wb", buffering=0) as file:
        file.write(data)
        inode = os.fstat(file.fileno()).st_ino
    os.rename(partial, path)  # noqa: PTH104
    return inode
