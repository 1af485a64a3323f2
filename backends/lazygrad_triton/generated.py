"""What the code generator hands to the runtime: a file of Triton functions and how they are launched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """One function of the file and its launch: ``programs`` instances in a one-dimensional grid.

    ``warps`` and ``stages`` are Triton's ``num_warps`` and ``num_stages``.
    """

    function: str
    programs: int
    warps: int = 4
    stages: int = 2


@dataclass(frozen=True)
class GeneratedSource:
    """One kernel's file. Its launches run in order, all with the same parameters:

    a pointer ``bN`` for each buffer, an int64 ``oN`` (in elements) for each movable buffer, the scalars ``sN``.
    """

    text: str
    launches: tuple[Launch, ...]
