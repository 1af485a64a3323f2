"""Compiled functions: machine code, its text and what a launch needs to know, in memory and as bytes on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class Target(NamedTuple):
    """What code is made for: NVIDIA's compute capability as a number (90), or AMD's name (gfx942).

    >>> Target("cuda", 90).name, Target("hip", "gfx942", 64).name
    ('sm_90', 'gfx942')
    """

    backend: Literal["cuda", "hip"]
    architecture: int | str
    warp_size: int = 32

    @property
    def name(self) -> str:
        """What the makers call it."""
        return f"sm_{self.architecture}" if self.backend == "cuda" else str(self.architecture)


@dataclass(frozen=True)
class Binary:
    """One function for one target.

    ``function`` is its name in ``code``; ``assembly`` is PTX for CUDA and AMDGCN for HIP. A block has ``threads``
    threads and ``shared`` bytes of dynamic shared memory. ``scratch`` has for each pointer that follows the arguments
    how many bytes of memory each block wants behind it (0: the pointer is null).
    """

    target: Target
    function: str
    code: bytes
    assembly: str
    threads: int
    shared: int
    scratch: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """One line of JSON with the numbers, then the assembly, then the code."""
        assembly = self.assembly.encode()
        head: dict[str, Any] = {
            "target": list(self.target),
            "function": self.function,
            "threads": self.threads,
            "shared": self.shared,
            "scratch": list(self.scratch),
            "assembly_bytes": len(assembly),
        }
        return json.dumps(head).encode() + b"\n" + assembly + self.code

    @staticmethod
    def from_bytes(data: bytes) -> Binary:
        """The inverse of ``to_bytes``."""
        line, _, rest = data.partition(b"\n")
        head = json.loads(line)
        size = head["assembly_bytes"]
        return Binary(
            Target(*head["target"]), head["function"], rest[size:], rest[:size].decode(), head["threads"],
            head["shared"], tuple(head["scratch"]),
        )  # fmt: skip
