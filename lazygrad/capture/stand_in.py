"""Stand-ins: buffers without memory, which take the place of a tensor's value while a function is captured.

A graph over stand-ins has the structure that the same graph has over the real buffers, so schedules and programs are
shared with uncaptured code. It can never be computed itself.
"""

from __future__ import annotations

from typing import Any

from lazygrad.runtime import Buffer
from lazygrad.runtime.buffer import Allocation

_LOST = (
    "this tensor was made inside a function that lazygrad.compile captured, and kept without being returned: it has no "
    "value. Return it from the function, or make it outside"
)


class _NoMemory(Allocation):
    """What several windows of one stand-in have in common."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None, 0)


class StandIn(Buffer):
    """For a buffer like ``actual``: same shape, dtype, device and layout."""

    __slots__ = ("is_lost",)

    def __init__(self, actual: Buffer) -> None:
        super().__init__(_NoMemory(), actual.shape, actual.dtype, actual.device, actual.layout)
        self.is_window = actual.is_window
        self.is_lost = False

    @property
    def allocation(self) -> Any:
        """What identifies it while the function is captured. RuntimeError afterwards."""
        if self.is_lost:
            raise RuntimeError(_LOST)
        return self._allocation
