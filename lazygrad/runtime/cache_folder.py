"""Where lazygrad keeps what later processes can use, and whether that place is safe to read from.

In: the environment. Out: folders that belong to the user and that nobody else can write to, or None. What lies there is
run (machine code, pickles), so a folder into which somebody else could put something is not used at all.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from functools import cache
from pathlib import Path

from lazygrad import environment

# A file that tells programs for backups, and us, that a folder is a cache (bford.info/cachedir).
TAG = "CACHEDIR.TAG"
_TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by lazygrad; may be deleted at any time.\n"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
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


def private_folder(*below: str) -> Path | None:
    """The cache folder, or a folder below it, made for its owner alone where it is missing.

    None, with one warning a folder, when it cannot be made, or when it or a folder above it up to the cache folder
    belongs to somebody else or can be written by others.
    """
    path = cache_folder()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in ("", *below):
            path = path / name
            try:
                path.mkdir(mode=0o700)
                if name and name == below[0]:  # what was there before, perhaps with the user's own files, gets no tag
                    (path / TAG).write_text(_TAG_TEXT)
            except FileExistsError:
                objection = _objection(path)
                if objection:
                    warn_once(f"the cache folder {path} {objection}; nothing is read from it and nothing kept in it")
                    return None
    except OSError as error:
        warn_cannot_write(error)
        return None
    return path


def _objection(path: Path) -> str:
    """Why a folder that exists is not to be trusted; "" when it is."""
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{path} is not a folder")
    if sys.platform == "win32":  # a user's folders are protected by inherited rights, which stat does not show
        return ""
    if found.st_uid != os.geteuid():
        return f"belongs to another user (number {found.st_uid}); set LAZYGRAD_CACHE to a folder of your own"
    if found.st_mode & _WRITABLE_BY_OTHERS:
        return f"can be written by other users; take that right away (chmod go-w {path}) if you trust what it holds"
    return ""


def warn_cannot_write(error: OSError) -> None:
    """One warning for each reason."""
    reason = error.strerror or error
    warn_once(f"the cache folder {cache_folder()} cannot be written ({reason}); what is compiled is not kept")


@cache
def warn_once(message: str) -> None:
    """Logs a warning the first time it is given."""
    logger.warning("%s", message)
