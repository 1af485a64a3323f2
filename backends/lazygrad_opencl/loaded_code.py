"""Machine code that stays loaded: what PoCL would load anew at each launch of a program with many kernels.

PoCL keeps 128 kernels loaded, and for any further one unloads the one that was launched longest ago. A training step
launches its kernels in turn, so one with a few more finds none of them loaded: each launch then maps a file, links it
and faults its pages in, 0.15 ms during which the device has nothing to do. A library that somebody else holds is only
found by its name, so this process holds what it has launched, once there is more than PoCL keeps.

In: names of kernels that have been launched. Out: their libraries, held until the process ends.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctypes import CDLL

# MAX_CACHE_ITEMS in PoCL's lib/CL/devices/common.c.
KEPT_BY_POCL = 128
# A library takes four of the 65,530 mappings that Linux allows a process.
MOST_HELD = 4096
logger = logging.getLogger("lazygrad")


class LoadedCode:
    """Holds the libraries of kernels. ``folder`` is where PoCL has them: kernel, variant, library."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[str] = set()
        self._waiting: dict[str, None] = {}
        self.held: list[CDLL] = []

    def launched(self, kernel: str) -> None:
        """A kernel has been launched, maybe for the first time."""
        if kernel not in self._known:
            self._known.add(kernel)
            self._waiting[kernel] = None

    def keep(self, kernel: str) -> bool:
        """Holds what was loaded for a kernel from now on; whether that could be done."""
        before = len(self.held)
        self._hold(kernel)
        return len(self.held) > before

    def hold(self) -> None:
        """To be called when what was launched has run, or soon will have."""
        if not self._waiting or len(self._known) <= KEPT_BY_POCL or len(self.held) >= MOST_HELD:
            return
        for kernel in list(self._waiting):
            self._hold(kernel)

    def _hold(self, kernel: str) -> None:
        from ctypes import CDLL  # which few processes need

        for library in _libraries(self._folder / kernel):
            try:
                self.held.append(CDLL(library))
            except OSError as error:  # it works without, slowly
                logger.debug("%s", error)
            self._waiting.pop(kernel, None)


def _libraries(kernel: Path) -> Iterable[str]:
    try:
        return [f"{variant.path}/{kernel.name}.so" for variant in os.scandir(kernel) if _has(variant.path, kernel.name)]
    except OSError:  # it has not run yet
        return ()


def _has(variant: str, kernel: str) -> bool:
    return os.path.exists(f"{variant}/{kernel}.so")  # noqa: PTH110 (hundreds are asked for)
