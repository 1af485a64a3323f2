"""The report of a check: one JSON file, written anew whenever something comes to it, so that what is there stays."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

UNKNOWN = "unknown"


class Report:
    """``content`` is what the file holds; threads change it through ``note``.

    The file is named after the device once that is known.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._begin = time.monotonic()
        self._lock = RLock()
        self.content: dict[str, Any] = {
            "options": dict(options), "machine": {}, "conformance": None, "ceilings": {}, "workloads": {}, "table": [],
            "problems": [], "left_out": [], "seconds": 0.0, "complete": False,
        }  # fmt: skip

    @property
    def label(self) -> str:
        """The device's name as a part of file names."""
        name = self.content["machine"].get("name", UNKNOWN)
        return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")

    def note(self, change: Callable[[dict[str, Any]], object]) -> Path:
        """Changes the content, replaces the file as a whole, and returns where it is."""
        with self._lock:
            change(self.content)
            return self._write()

    def _write(self) -> Path:
        path = self._folder / f"gpu_{self.label}_{time.strftime('%Y-%m-%d')}.json"
        if self._path is not None and self._path != path:
            self._path.unlink(missing_ok=True)
        self._path = path
        self.content["seconds"] = round(time.monotonic() - self._begin, 1)
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self.content, indent=1) + "\n")
        unfinished.replace(path)
        return path

    def problem(self, what: str, error: object) -> None:
        """Something that could not be done."""
        print(f"{what}: {error}", flush=True)
        self.note(lambda content: content["problems"].append({"what": what, "error": str(error)}))
