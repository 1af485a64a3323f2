"""What the code generator hands to the runtime: the text of a kernel's function, and how it is launched."""

from __future__ import annotations

from dataclasses import dataclass

# The functions of a kernel's bodies are called like the kernel's, then this, then a number.
BODY = "_body"


@dataclass(frozen=True)
class GeneratedSource:
    """One kernel's text, and its launch: ``work_groups`` groups of ``work_group_size`` items."""

    text: str
    function: str
    work_groups: int
    work_group_size: int
    scratch_bytes: int
