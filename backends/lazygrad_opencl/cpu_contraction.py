"""Contractions on processors: register tiles of rows x vectors, one work-group a task.

    task (batch, rows, panels)
      block of the sum                    a panel's block stays in the first-level cache
        group of rows                     stays in the second-level cache
          panel of columns                two vectors wide
            tile of rows                  six rows, each with a pointer of its own
              the sum                     loads and multiply-adds only
              epilogue, or partial sums to scratch memory

Nothing is masked: the scheduler laid operands out so that row pointers plus offsets reach every element, and a last
panel is read whole, beyond the last column, because behind each buffer there is memory (``memory.py``). An operand
whose elements lie far apart along the sum is copied, a block at a time, into the order in which tiles read it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.kernel.axes import point_count
from lazygrad.kernel.contraction import Form, Operand, Triangle, analyse
from lazygrad.kernel.contraction_tiling import Tiling, choose_tiling
from lazygrad.kernel.winograd import find_windows
from lazygrad.kernel.winograd_tiling import choose_winograd, choose_winograd_gradient
from lazygrad_opencl import plain
from lazygrad_opencl.cpu_contraction_scratch import Scratch, packed_tile_size
from lazygrad_opencl.cpu_contraction_text import ContractionText
from lazygrad_opencl.cpu_winograd import generate_places
from lazygrad_opencl.cpu_winograd_gradient import generate_taps
from lazygrad_opencl.register_tiles import begin_sums, declare_sums, end_sums, packed_product, write_step
from lazygrad_opencl.skeleton import BodyCode, BodyContext
from lazygrad_opencl.sum_loops import Step, Walk, merged, write_loops


def generate_body(context: BodyContext) -> BodyCode:
    """The tiled form where operands allow it, else plain loops."""
    form = analyse(context.body, context.machine)
    if form is None:
        return plain.generate_body(context)
    windows = find_windows(form)
    if windows and windows.sums_places:
        gradient = choose_winograd_gradient(windows, context.machine)
        if gradient:
            return generate_taps(context, gradient)
    elif windows:
        places = choose_winograd(windows, context.machine)
        if places:
            return generate_places(context, places)
    return _Tiled(context, form, choose_tiling(form, context.machine)).generate()


# Steps that all tiles take from their rows before the next, and how far apart these are at least, in elements.
STRIP = 4
STRIP_STRIDE = 128


class _Tiled(ContractionText):
    """One contraction's text."""

    def __init__(self, context: BodyContext, form: Form, tiling: Tiling) -> None:
        super().__init__(context, form)
        self.tiling = tiling
        self.blocked = tiling.block_axis > 0 or tiling.block_extent < (form.summed[0].extent if form.summed else 1)
        self.inner = form.summed[tiling.block_axis :]  # the axes of one block
        self.scratch = Scratch.of(form, tiling, self.blocked)
        triangle = form.triangle
        is_followed = triangle and self.inner and triangle.axis in (None, self.inner[0])
        self.triangle = triangle if is_followed else None

    def generate(self) -> BodyCode:
        form, tiling, text = self.form, self.tiling, self.text
        batches = point_count(form.batch)
        row_parts = -(-form.row_count // tiling.task_rows)
        panel_parts = -(-form.panel_count // tiling.task_panels)
        tasks = batches * row_parts * panel_parts
        groups = min(tasks, tiling.most_groups)
        text.line(
            f"// {form.row_count} rows x {form.panel_count} panels of {tiling.width} columns, sums of "
            f"{form.sum_length}; tiles of {tiling.tile_rows} x {tiling.width}"
        )
        for name, type_, start in self.scratch.pieces(self.type):
            text.line(
                f"__global {type_}* const {name} = (__global {type_}*)(scratch + group * {self.scratch.bytes}L{start});"
            )
        self.open_tasks(tasks, groups)
        text.line(f"const long panel_begin = task % {panel_parts} * {tiling.task_panels};")
        self.minimum("panel_end", f"panel_begin + {tiling.task_panels}", form.panel_count)
        text.line(f"const long row_begin = task / {panel_parts} % {row_parts} * {tiling.task_rows};")
        self.minimum("row_end", f"row_begin + {tiling.task_rows}", form.row_count)
        self.digits(form.batch, f"task / {panel_parts * row_parts}", "batch")
        self.pointer("rows", form.rows_operand, form.batch, "batch")
        self.pointer("columns", form.columns_operand, form.batch, "batch")
        self._row_offsets()
        loops = self._block_loops()
        if tiling.packs_columns:
            self._pack_columns()
        self._group_loop()
        if tiling.packs_rows:
            self._pack_rows()
        self._inner_loops()
        self._tile()
        for _ in range(loops + 4):
            text.close()
        return self.code(groups, self.scratch.bytes * groups)

    def _inner_loops(self) -> None:
        """Opens the loops over panels and over tiles of rows."""
        form, tiling, text = self.form, self.tiling, self.text
        rows = f"for (long row = group_begin; row < group_end; row += {tiling.tile_rows}) {{"
        if tiling.rows_first:
            text.open(rows)
        text.open("for (long panel = panel_begin; panel < panel_end; panel++) {")
        self.digits(form.columns, "panel", "column")
        if tiling.packs_columns:
            text.line(f"__global const {self.type}* const b = {self._packed_panel()};")
        else:
            self._column_pointer()
        if not tiling.rows_first:
            text.open(rows)

    def _column_pointer(self) -> None:
        """``b``: where the panel's block begins."""
        operand = self.form.columns_operand
        self.pointer("b", operand, self.form.columns, "column", "columns", self._block_offset(operand))

    def _row_offsets(self) -> None:
        """Where each row of the task begins; rows beyond the last, which a tile computes too, are the last again."""
        form, text = self.form, self.text
        rows, tile_rows = form.row_count, self.tiling.tile_rows
        end = f"row_begin + {self.tiling.task_rows}" if form.row_count % tile_rows else "row_end"
        text.open(f"for (long row = row_begin; row < {end}; row++) {{")
        self.minimum("kept", "row", rows - 1)
        self.digits(form.rows, "kept", "row")
        offset = self.offset(form.rows_operand, form.rows, "row")
        text.line(f"row_offsets[row - row_begin] = {offset or '0'};")
        text.close()

    # ---- blocks of the sum

    def _block_loops(self) -> int:
        """Opens the loops over blocks; returns how many."""
        if not self.blocked:
            return 0
        form, tiling, text = self.form, self.tiling, self.text
        outer = form.summed[: tiling.block_axis]
        axis = form.summed[tiling.block_axis]
        for each in outer:
            text.open(f"for (long block_{each.name} = 0; block_{each.name} < {each.extent}; block_{each.name}++) {{")
        name, extent = f"block_{axis.name}", tiling.block_extent
        text.open(f"for (long {name} = 0; {name} < {axis.extent}; {name} += {extent}) {{")
        if axis.extent % extent:
            self.minimum("block_steps", str(extent), f"({axis.extent} - {name})")
        first = [f"block_{each.name} == 0" for each in (*outer, axis)]
        last = [f"block_{each.name} == {each.extent - 1}" for each in outer] + [f"{name} + {extent} >= {axis.extent}"]
        text.line(f"const long first_block = {' && '.join(first)};")
        text.line(f"const long last_block = {' && '.join(last)};")
        return len(outer) + 1

    def _block_offset(self, operand: Operand) -> str:
        if not self.blocked:
            return ""
        return self.offset(operand, self.form.summed[: self.tiling.block_axis + 1], "block")

    def _block_size(self, side: int) -> int:
        """Elements of a packed block that is ``side`` rows or columns wide."""
        return side * self.tiling.block_extent * point_count(self.inner[1:])

    def _extents(self) -> list[int | str]:
        """Of the inner axes in this block."""
        extents: list[int | str] = [axis.extent for axis in self.inner]
        if self.blocked:
            uneven = self.inner[0].extent % self.tiling.block_extent
            extents[0] = "block_steps" if uneven else self.tiling.block_extent
        return extents

    def _needed_steps(self, extent: int | str) -> None:
        """Declares which steps of the first inner axis a tile needs, where a triangle leaves out some."""
        triangle, text = self.triangle, self.text
        assert triangle is not None
        row = "(row + tile_rows - 1)" if triangle.row > 0 else "row"
        column = f"(panel * {self.width}{f' + {self.width - 1}' if triangle.column > 0 else ''})"
        most = [str(triangle.constant)] if triangle.constant else []
        most += [f"{name} * {step}" for name, step in ((row, triangle.row), (column, triangle.column)) if step]
        text.line(f"const long reach = {' + '.join(most) or '0'}{self._begun(triangle)};")
        if not triangle.step:
            text.line(f"const long steps = reach < 0 ? 0 : {extent};")
        elif triangle.step < 0:
            text.line(f"const long steps = clamp(reach + 1, 0L, (long){extent});")
        else:
            text.line(f"const long first_step = clamp(-reach, 0L, (long){extent}), steps = {extent} - first_step;")

    def _begun(self, triangle: Triangle) -> str:
        """What the steps of the blocks before add."""
        if not self.blocked or not triangle.step:
            return ""
        return f" {'+' if triangle.step > 0 else '-'} block_{self.inner[0].name}"

    def _walk(self, operand: Operand, packed: int = 0) -> list[int]:
        """How far each inner axis moves in the operand; ``packed`` to that width."""
        if packed:
            return [packed * point_count(self.inner[position + 1 :]) for position in range(len(self.inner))]
        return [operand.stride(axis) for axis in self.inner]

    # ---- packing

    def _pack_columns(self) -> None:
        form, tiling, text = self.form, self.tiling, self.text
        text.open("for (long panel = panel_begin; panel < panel_end; panel++) {")
        self.digits(form.columns, "panel", "column")
        self._column_pointer()
        text.line(f"__global {self.type}* const packed = {self._packed_panel()};")
        walks = merged(
            self._extents(), [self._walk(form.columns_operand), self._walk(form.columns_operand, tiling.width)]
        )

        def copy(step: Step) -> None:
            for v in range(tiling.vectors):
                at = f"packed + {step.offset(1, v * tiling.lanes)}"
                value = f"*(__global const {self.unaligned}*)(b + {step.offset(0, v * tiling.lanes)})"
                text.line(f"*(__global {self.vector}*)({at}) = {value};")

        write_loops(text, walks, copy)
        text.close()

    def _group_loop(self) -> None:
        """Opens the loop over groups of rows; a block where a task has no more rows than a group."""
        tiling, text = self.tiling, self.text
        if tiling.task_rows <= tiling.group_rows:
            text.open("{")
            text.line("const long group_begin = row_begin, group_end = row_end;")
            return
        text.open(f"for (long group_begin = row_begin; group_begin < row_end; group_begin += {tiling.group_rows}) {{")
        self.minimum("group_end", f"group_begin + {tiling.group_rows}", "row_end")

    def _row_base(self) -> str:
        """Where the block of a row begins, but for the row's own offset."""
        block = self._block_offset(self.form.rows_operand)
        return f"rows + {block}" if block else "rows"

    def _packed_tile(self) -> str:
        """Where a tile's rows are packed."""
        steps = self._block_size(1)
        return f"packed_rows + (row - group_begin) / {self.tiling.tile_rows} * {packed_tile_size(self.tiling, steps)}L"

    def _packed_panel(self) -> str:
        """Where a panel of columns is packed."""
        return f"packed_columns + (panel - panel_begin) * {self._block_size(self.tiling.width)}L"

    def _pack_rows(self) -> None:
        """The rows of a group in tiles, each step of the sum a tile's height of neighbours."""
        form, tiling, text = self.form, self.tiling, self.text
        height = tiling.tile_rows
        lanes = min(tiling.lanes, 1 << (height - 1).bit_length())  # no more than reaches over a tile's rows
        unaligned = f"unaligned_{self.type}{lanes}" if lanes > 1 else self.type
        walks = merged(self._extents(), [self._walk(form.rows_operand), self._walk(form.rows_operand, height)])
        base = self._row_base()
        inner = form.rows[-1] if form.rows else None
        vectors = -(-height // lanes)
        side_by_side = inner is not None and form.rows_operand.stride(inner) == 1 and inner.extent >= vectors * lanes
        target, source = self._packed_tile(), base
        # A step of a tile is a part of a cache line. Where steps lie far apart, in lines that drive each other out of
        # the first-level cache, all tiles take their parts of a few lines before the next.
        in_strips = side_by_side and _goes_in_strips(walks)
        if in_strips:
            (walk,) = walks
            text.open(f"for (long strip = 0; strip < {walk.extent}; strip += {STRIP}) {{")
            target, source = f"{target} + strip * {walk.strides[1]}", f"{source} + strip * {walk.strides[0]}L"
            walks = [Walk(STRIP, walk.strides)]
        text.open(f"for (long row = group_begin; row < group_end; row += {height}) {{")
        text.line(f"__global {self.type}* const packed = {target};")
        text.line("__global const long* const offsets = row_offsets + (row - row_begin);")

        def neighbours(step: Step) -> None:
            """All rows at once, and a few elements that the next step writes again, or behind the tile."""
            for v in range(vectors):
                value = f"*(__global const {unaligned}*)(first + {step.offset(0, v * lanes)})"
                text.line(f"*(__global {unaligned}*)(packed + {step.offset(1, v * lanes)}) = {value};")

        def scattered(step: Step) -> None:
            for r in range(height):
                text.line(f"packed[{step.offset(1, r)}] = a{r}[{step.offset(0)}];")

        def one_row(step: Step) -> None:
            text.line(f"packed[{step.offset(1)} + r] = a[{step.offset(0)}];")

        if side_by_side:
            assert inner is not None
            text.open(f"if (row % {inner.extent} + {vectors * lanes} <= {inner.extent}) {{")
            text.line(f"__global const {self.type}* const first = {source} + offsets[0];")
            write_loops(text, walks, neighbours)
            text.close()
            # The tiles that cross an image's border are few: a loop is short to compile.
            text.open(f"else for (long r = 0; r < {height}; r++) {{")
            text.line(f"__global const {self.type}* const a = {source} + offsets[r];")
            write_loops(text, walks, one_row)
            text.close()
            if in_strips:
                text.close()
        else:
            for r in range(height):
                text.line(f"__global const {self.type}* const a{r} = {base} + offsets[{r}];")
            write_loops(text, walks, scattered)
        text.close()

    # ---- one tile

    def _tile(self) -> None:
        form, tiling, text = self.form, self.tiling, self.text
        height = tiling.tile_rows
        if self.blocked:
            tiles = tiling.task_rows // height
            number = f"((panel - panel_begin) * {tiles} + (row - row_begin) / {height})"
            text.line(f"__global {self.vector}* const partial = partial_sums + {number} * {height * tiling.vectors}L;")
        rows = self._walk(form.rows_operand, height if tiling.packs_rows else 0)
        columns = self._walk(form.columns_operand, tiling.width if tiling.packs_columns else 0)
        extents = self._extents()
        text.line(f"{self.vector} tile[{height * tiling.vectors}];")
        self.minimum("tile_rows", f"{form.row_count} - row", height)
        first_row, first_column = "", ""
        if self.triangle:
            self._needed_steps(extents[0])
            extents[0] = "steps"
            if self.triangle.step > 0:
                first_row, first_column = (f" + first_step * {walk[0]}" for walk in (rows, columns))
        walks = merged(extents, [rows, columns])
        self.fetch_results("if (last_block) " if self.blocked else "")
        if tiling.packs_rows and len(walks) == 1 and walks[0].strides == (height, tiling.width):
            self._multiply_packed(walks[0].extent, first_row, first_column)
        else:
            self._multiply(walks, first_row, first_column)
        if self.blocked:
            text.open("if (last_block) {")
        self._finish()
        if self.blocked:
            text.close()

    def _multiply_packed(self, steps: int | str, first_row: str, first_column: str) -> None:
        """The sums of a tile whose operands both lie as it reads them, from the first step on that it needs."""
        tiling = self.tiling
        multiply = packed_product(self.type, tiling.lanes, tiling.vectors, tiling.tile_rows)
        partial = ("partial", "tile") if self.blocked else (f"(__global {self.vector}*)0", "tile")
        blocks = ("first_block", "last_block") if self.blocked else (1, 1)
        self.call(multiply, f"{self._packed_tile()}{first_row}", f"b{first_column}", *partial, steps, *blocks)

    def _multiply(self, walks: Sequence[Walk], first_row: str, first_column: str) -> None:
        """The sums of a tile, from the first step on that it needs."""
        tiling, text = self.tiling, self.text
        if tiling.packs_rows:
            text.line(f"__global const {self.type}* const a = {self._packed_tile()}{first_row};")
        else:
            base = self._row_base()
            for r in range(tiling.tile_rows):
                begin = f"{base} + row_offsets[row - row_begin + {r}]{first_row}"
                text.line(f"__global const {self.type}* const a{r} = {begin};")
        sums = declare_sums(text, self.type, tiling.lanes, tiling.vectors, tiling.tile_rows)
        if self.blocked:
            begin_sums(text, sums, "first_block")

        def multiply(step: Step) -> None:
            places = [f"b{first_column} + {step.offset(1, v * tiling.lanes)}" for v in range(tiling.vectors)]
            values = [
                f"a[{step.offset(0, r)}]" if tiling.packs_rows else f"a{r}[{step.offset(0)}]"
                for r in range(tiling.tile_rows)
            ]
            write_step(text, self.type, tiling.lanes, places, values)

        write_loops(text, walks, multiply)
        if self.blocked:
            end_sums(text, sums, "last_block")
        else:
            for number, name in enumerate(sums):
                text.line(f"tile[{number}] = {name};")

    # ---- epilogue

    def _finish(self) -> None:
        """The epilogue, a row at a time."""
        self.open_rows()
        self.epilogue("r")
        self.text.close()


def _goes_in_strips(walks: Sequence[Walk]) -> bool:
    """Whether rows are packed a strip of steps at a time."""
    extent, strides = walks[0]
    return len(walks) == 1 and isinstance(extent, int) and extent % STRIP == 0 and strides[0] >= STRIP_STRIDE
