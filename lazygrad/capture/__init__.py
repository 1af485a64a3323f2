"""Capturing: functions whose Python code runs once, and whose graph is replayed as one program.

    a call -> guards hold? -> replay
                 no -> trace the function over stand-ins -> structure -> executable (shared with plain code) -> replay

Stands above ``tensor`` and knows no backend. ``optim``, ``nn`` and the tensor layer tell a recorder what matters
through ``lazygrad.tensor.recording``, and know nothing of this package.
"""

from lazygrad.capture.explain import Explanation, MemoryReport, VariantReport
from lazygrad.capture.function import CompiledFunction, compile
from lazygrad.capture.trace import CaptureError
from lazygrad.schedule.budget import MemoryBudgetError

__all__ = [
    "CaptureError",
    "CompiledFunction",
    "Explanation",
    "MemoryBudgetError",
    "MemoryReport",
    "VariantReport",
    "compile",
]
