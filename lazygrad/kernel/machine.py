"""The processor as tilings and the cost model see it: numbers a backend reads from its device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Flavour = Literal["cpu", "gpu", "block"]
# Who multiplies matrices: nobody but ordinary arithmetic, each warp by itself, or four warps together (Hopper).
MatrixUnits = Literal["none", "warp", "warp group"]
MOST_LANES = 16
# Bytes of a panel of columns, the widest that a processor reads at once, of which a last one may lie beyond an operand.
MOST_PANEL_BYTES = 256
# Of processors' caches, in bytes.
CACHE_LINE = 64


@dataclass(frozen=True)
class Machine:
    """``flavour``: "cpu" loops over vectors and register tiles in one-item work-groups, "gpu" uses work-items and
    local memory, "block" gets block programs (Triton). Sizes are in bytes, ``vector_bytes`` the width of a vector
    register, ``vector_registers`` how many there are; ``block_elements`` is the size of tile that a block program
    likes. Of graphics processors: ``warp_size`` threads run in step, those of one core share ``registers`` of 32 bits;
    ``compute_capability`` is NVIDIA's number for the generation (80 is Ampere, 90 Hopper), 0 for anything else.
    ``composites`` names the composite operations that kernels compute whole, in all sizes that are worth it; the rest
    is replaced by compositions.
    """

    flavour: Flavour
    cores: int
    vector_bytes: int = 32
    vector_registers: int = 16
    level1_cache: int = 32 * 1024
    level2_cache: int = 512 * 1024
    local_memory: int = 32 * 1024
    work_group_limit: int = 256
    block_elements: int = 4096
    warp_size: int = 32
    registers: int = 65536
    matrix_units: MatrixUnits = "none"
    compute_capability: int = 0
    composites: frozenset[str] = frozenset()

    def lanes(self, itemsize: int) -> int:
        """How many elements a vector register holds; vector types end at sixteen."""
        return max(1, min(MOST_LANES, self.vector_bytes // itemsize))
