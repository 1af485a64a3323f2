"""Contractions on graphics processors: tiles of the result in registers, operands staged through local memory.

A work-group computes a square tile, each work-item a small square of it. Along the sum, the group loads a slab of
each operand into local memory, any expression and any mask included, and every loaded value serves a whole row or
column of the tile.
"""

from __future__ import annotations

from lazygrad.ir.index import Variable
from lazygrad.ir.value import Value
from lazygrad.kernel.axes import canonical_axes, point_count
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.forms import axes_read
from lazygrad.kernel.kernel import Body, Contraction
from lazygrad_opencl.digits import bind_digits
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext
from lazygrad_opencl.types import memory_type

# Each work-item holds PER_ITEM x PER_ITEM results; a slab is SLAB steps of the sum.
PER_ITEM = 4
SLAB = 16


def generate_body(context: BodyContext) -> BodyCode:
    """The body as tiles; its stages are the contraction and an epilogue without axes."""
    return _Tiles(context).generate()


class _Tiles:
    def __init__(self, context: BodyContext) -> None:
        self.context = context
        self.body: Body = canonical_axes(context.body)
        (contraction,) = self.body.stages[0].accumulators
        assert isinstance(contraction, Contraction)
        self.contraction = contraction
        self.type = memory_type(contraction.dtype)
        in_a, in_b = axes_read(contraction.a), axes_read(contraction.b)
        self.batch = tuple(axis for axis in self.body.axes if axis in in_a and axis in in_b)
        self.columns = tuple(axis for axis in self.body.axes if axis in in_b and axis not in in_a)
        self.rows = tuple(axis for axis in self.body.axes if axis not in in_b)
        self.summed = self.body.stages[0].axes
        self.side = 1  # work-items along each side of a tile
        while (2 * self.side) ** 2 <= context.work_group_size:
            self.side *= 2
        self.tile = self.side * PER_ITEM
        self.emitter = OpenCLEmitter(context, lanes=1)

    def generate(self) -> BodyCode:
        emitter, tile = self.emitter, self.tile
        rows, columns, batches = (point_count(axes) for axes in (self.rows, self.columns, self.batch))
        row_tiles, column_tiles = -(-rows // tile), -(-columns // tile)
        local_a, local_b = (f"slab_{name}{self.context.suffix}" for name in "ab")
        emitter.note(f"{batches} x {rows} x {columns}, sums of {point_count(self.summed)}; tiles of {tile} x {tile}")
        emitter.line(f"const int first_column = group % {column_tiles} * {tile};")
        emitter.line(f"const int first_row = group / {column_tiles} % {row_tiles} * {tile};")
        emitter.line(f"const int own_column = item % {self.side};")
        emitter.line(f"const int own_row = item / {self.side} % {self.side};")
        bind_digits(emitter, self.batch, f"(long)(group / {column_tiles * row_tiles})")
        emitter.line(f"{self.type} sums[{PER_ITEM}][{PER_ITEM}];")
        both = f"for (int r = 0; r < {PER_ITEM}; r++) for (int c = 0; c < {PER_ITEM}; c++)"
        emitter.line(f"{both} sums[r][c] = 0;")
        emitter.open(f"for (int slab = 0; slab < {point_count(self.summed)}; slab += {SLAB}) {{")
        self._load(local_a, self.contraction.a, self.rows, "first_row", rows)
        self._load(local_b, self.contraction.b, self.columns, "first_column", columns)
        emitter.line("barrier(CLK_LOCAL_MEM_FENCE);")
        emitter.open(f"for (int k = 0; k < {SLAB}; k++) {{")
        emitter.line(
            f"{both} sums[r][c] = {local_a}[k][own_row + r * {self.side}] * {local_b}[k][own_column + c * {self.side}]"
            " + sums[r][c];"
        )
        emitter.close()
        emitter.line("barrier(CLK_LOCAL_MEM_FENCE);")
        emitter.close()
        self._epilogue(rows, columns)
        declarations = tuple(f"__local {self.type} {name}[{SLAB}][{tile}];" for name in (local_a, local_b))
        return BodyCode(emitter.finish(), row_tiles * column_tiles * batches, declarations)

    def _load(self, local: str, value: Value, axes: tuple[Variable, ...], first: str, count: int) -> None:
        """Fills one slab: zero outside the operand."""
        emitter, size = self.emitter, self.context.work_group_size
        emitter.open(f"for (int e = item; e < {SLAB * self.tile}; e += {size}) {{")
        emitter.line(f"const int at = {first} + e % {self.tile};")
        emitter.line(f"const int step = slab + e / {self.tile};")
        emitter.line(f"{self.type} x = 0;")
        emitter.open(f"if (at < {count} && step < {point_count(self.summed)}) {{")
        bind_digits(emitter, axes, "(long)at")
        bind_digits(emitter, self.summed, "(long)step")
        emitter.line(f"x = {emitter.value(value.cast(self.contraction.dtype)).text};")
        emitter.close()
        emitter.line(f"{local}[e / {self.tile}][e % {self.tile}] = x;")
        emitter.close()

    def _epilogue(self, rows: int, columns: int) -> None:
        emitter = self.emitter
        emitter.open(f"for (int r = 0; r < {PER_ITEM}; r++) {{")
        emitter.open(f"for (int c = 0; c < {PER_ITEM}; c++) {{")
        emitter.line(f"const int row = first_row + own_row + r * {self.side};")
        emitter.line(f"const int column = first_column + own_column + c * {self.side};")
        emitter.open(f"if (own_row + r * {self.side} < {self.tile} && row < {rows} && column < {columns}) {{")
        bind_digits(emitter, self.rows, "(long)row")
        bind_digits(emitter, self.columns, "(long)column")
        emitter.reduced[0] = Operand("sums[r][c]", self.contraction.dtype, False, emitter.depth)
        emitter.stores(self.body.stages[1].stores)
        for _ in range(3):
            emitter.close()
