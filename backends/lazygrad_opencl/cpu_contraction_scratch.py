"""What a work-group of a contraction keeps in scratch memory, and where.

In: the form and its tiling. Out: the bytes of each work-group, and the pieces with their names: where rows begin,
sums of blocks that are not complete yet, packed blocks of either operand.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.kernel.axes import point_count
from lazygrad.kernel.contraction import Form
from lazygrad.kernel.contraction_tiling import Tiling

# Pieces begin at cache lines of their own, and two work-groups share none.
ALIGNMENT = 128
OFFSET_BYTES = 8


class Scratch(NamedTuple):
    """Bytes of each piece, 0 for one that is not needed."""

    offsets: int
    partial: int
    rows: int
    columns: int
    lanes: int

    @staticmethod
    def of(form: Form, tiling: Tiling, blocked: bool) -> Scratch:
        """For a tiling; ``blocked`` says that the sum is cut."""
        itemsize = form.dtype.itemsize
        steps = tiling.block_extent * point_count(form.summed[tiling.block_axis + 1 :])
        partial = tiling.task_rows * tiling.task_panels * tiling.width * itemsize if blocked else 0
        tiles = tiling.group_rows // tiling.tile_rows if tiling.packs_rows else 0
        rows = tiles * packed_tile_size(tiling, steps) * itemsize
        columns = tiling.task_panels * tiling.width * steps * itemsize if tiling.packs_columns else 0
        offsets = tiling.task_rows * OFFSET_BYTES
        return Scratch(_aligned(offsets), _aligned(partial), _aligned(rows), _aligned(columns), tiling.lanes)

    @property
    def bytes(self) -> int:
        """Of one work-group."""
        return self.offsets + self.partial + self.rows + self.columns

    def pieces(self, element: str) -> list[tuple[str, str, str]]:
        """Name, type of the elements and where it begins, of each piece that is needed."""
        found: list[tuple[str, str, str]] = []
        start = 0
        for name, type_, size in (
            ("row_offsets", "long", self.offsets),
            ("partial_sums", f"{element}{self.lanes}", self.partial),
            ("packed_rows", element, self.rows),
            ("packed_columns", element, self.columns),
        ):
            if size:
                found.append((name, type_, f" + {start}" if start else ""))
            start += size
        return found


def packed_tile_size(tiling: Tiling, steps: int) -> int:
    """Elements of a tile of packed rows: vectors that are written whole may reach beyond its last row."""
    return tiling.tile_rows * steps + tiling.lanes


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
