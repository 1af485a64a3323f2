"""Contractions on processors: register tiles of rows x vectors, one work-group a task.

    task (batch, rows, panels)
      block of the sum                    operands stay in the caches
        panel of columns                  two vectors wide
          tile of rows                    six rows, each with a pointer of its own
            the sum                       loads and multiply-adds only
            epilogue, or partial sums to scratch memory

Nothing is packed here and nothing is masked: the scheduler laid operands out so that row pointers plus compile-time
offsets reach every element.
"""

from __future__ import annotations

from lazygrad.ir.index import Variable
from lazygrad.kernel.axes import point_count
from lazygrad.kernel.contraction import UNROLLED_STEPS, Form, Operand, Tiling, analyse, choose_tiling, with_panels
from lazygrad.kernel.emit import INDENT
from lazygrad.kernel.emit import Operand as Emitted
from lazygrad.kernel.kernel import Store
from lazygrad_opencl import plain
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.skeleton import BodyCode, BodyContext
from lazygrad_opencl.types import memory_type


def generate_body(context: BodyContext) -> BodyCode:
    """The tiled form where operands allow it, else plain loops."""
    sizes = [buffer.size for buffer in context.kernel.buffers]
    form = analyse(context.body, sizes, context.machine)
    if form is None:
        return plain.generate_body(context)
    return _Tiled(context, form, choose_tiling(form, context.machine)).generate()


class _Tiled:
    """One contraction's text."""

    def __init__(self, context: BodyContext, form: Form, tiling: Tiling) -> None:
        self.context = context
        self.form = form
        self.tiling = tiling
        self.type = memory_type(form.dtype)
        self.vector = f"{self.type}{tiling.lanes}"
        self.unaligned = f"unaligned_{self.vector}"
        self.lines: list[str] = []
        self.indent = 0
        self.blocked = tiling.block_axis > 0 or tiling.block_extent < (form.summed[0].extent if form.summed else 1)

    # ---- text

    def line(self, text: str) -> None:
        self.lines.append(INDENT * self.indent + text)

    def open(self, text: str) -> None:
        self.line(text)
        self.indent += 1

    def close(self) -> None:
        self.indent -= 1
        self.line("}")

    def generate(self) -> BodyCode:
        form, tiling = self.form, self.tiling
        row_parts = -(-form.row_count // tiling.task_rows)
        panel_parts = -(-form.panel_count // tiling.task_panels)
        self.line(
            f"// {form.row_count} rows x {form.panel_count} panels of {tiling.width} columns, sums of "
            f"{form.sum_length}; tiles of {tiling.tile_rows} x {tiling.width}"
        )
        self.line(f"const long panel_begin = group % {panel_parts} * {tiling.task_panels};")
        self._minimum("panel_end", f"panel_begin + {tiling.task_panels}", form.panel_count)
        self.line(f"const long row_begin = group / {panel_parts} % {row_parts} * {tiling.task_rows};")
        self._minimum("row_end", f"row_begin + {tiling.task_rows}", form.row_count)
        self._digits(form.batch, f"group / {panel_parts * row_parts}", "batch")
        self._pointer("rows", form.rows_operand, form.batch, "batch")
        self._pointer("columns", form.columns_operand, form.batch, "batch")
        block_loops = self._block_loops()
        self.open("for (long panel = panel_begin; panel < panel_end; panel++) {")
        self._digits(form.columns, "panel", "column")
        self._pointer("b", form.columns_operand, form.columns, "column", "columns", self._block_offset("b"))
        self.open(f"for (long row = row_begin; row < row_end; row += {tiling.tile_rows}) {{")
        self._tile()
        self.close()
        self.close()
        for _ in range(block_loops):
            self.close()
        batches = point_count(form.batch)
        scratch = 0
        if self.blocked:
            tiles = -(-form.row_count // tiling.tile_rows) * form.panel_count * batches
            scratch = tiles * tiling.tile_rows * tiling.width * form.dtype.itemsize
        return BodyCode(tuple(self.lines), batches * row_parts * panel_parts, (), scratch)

    def _minimum(self, name: str, text: str, limit: int) -> None:
        self.line(f"const long {name} = {text} < {limit} ? {text} : {limit};")

    def _digits(self, axes: tuple[Variable, ...], flat: str, prefix: str) -> None:
        """Declares ``prefix_name`` for the digit of each axis in a flat number."""
        step = 1
        for position, axis in reversed(list(enumerate(axes))):
            if axis.extent > 1:
                text = f"({flat}) / {step}" if step > 1 else f"{flat}"
                if position:
                    text = f"({text}) % {axis.extent}"
                self.line(f"const long {prefix}_{axis.name} = {text};")
            step *= axis.extent

    def _offset(self, operand: Operand, axes: tuple[Variable, ...], prefix: str) -> str:
        parts = [
            f"{prefix}_{axis.name} * {operand.stride(axis)}L"
            for axis in axes
            if axis.extent > 1 and operand.stride(axis)
        ]
        return " + ".join(parts)

    def _pointer(
        self, name: str, operand: Operand, axes: tuple[Variable, ...], prefix: str, base: str = "", more: str = ""
    ) -> None:
        start = base or (
            f"b{operand.access.buffer} + {operand.start}" if operand.start else f"b{operand.access.buffer}"
        )
        parts = [part for part in (start, self._offset(operand, axes, prefix), more) if part]
        self.line(f"__global const {self.type}* const {name} = {' + '.join(parts)};")

    # ---- blocks of the sum

    def _block_loops(self) -> int:
        """Opens the loops over blocks; returns how many."""
        if not self.blocked:
            return 0
        form, tiling = self.form, self.tiling
        outer = form.summed[: tiling.block_axis]
        axis = form.summed[tiling.block_axis]
        for each in outer:
            self.open(f"for (long block_{each.name} = 0; block_{each.name} < {each.extent}; block_{each.name}++) {{")
        name, extent = f"block_{axis.name}", tiling.block_extent
        self.open(f"for (long {name} = 0; {name} < {axis.extent}; {name} += {extent}) {{")
        self._minimum("block_steps", f"{axis.extent} - {name}", extent)
        first = [f"block_{each.name} == 0" for each in (*outer, axis)]
        last = [f"block_{each.name} == {each.extent - 1}" for each in outer] + [f"{name} + {extent} >= {axis.extent}"]
        self.line(f"const long first_block = {' && '.join(first)};")
        self.line(f"const long last_block = {' && '.join(last)};")
        return len(outer) + 1

    def _block_offset(self, operand: str) -> str:
        if not self.blocked:
            return ""
        side = self.form.columns_operand if operand == "b" else self.form.rows_operand
        return self._offset(side, self.form.summed[: self.tiling.block_axis + 1], "block")

    # ---- one tile

    def _tile(self) -> None:
        tiling, form = self.tiling, self.form
        accumulators = [(r, v) for r in range(tiling.tile_rows) for v in range(tiling.vectors)]
        for r in range(tiling.tile_rows):
            self._row_pointer(r)
        names = ", ".join(f"c{r}_{v} = 0" for r, v in accumulators)
        self.line(f"{self.vector} {names};")
        if self.blocked:
            size = tiling.tile_rows * tiling.width
            tiles = -(-form.row_count // tiling.tile_rows)
            batch = f"group / {-(-form.row_count // tiling.task_rows) * -(-form.panel_count // tiling.task_panels)}"
            number = f"(({batch}) * {form.panel_count} + panel) * {tiles} + row / {tiling.tile_rows}"
            self.line(
                f"__global {self.vector}* const partial = (__global {self.vector}*)scratch + ({number}) * "
                f"{size // tiling.lanes}L;"
            )
            loads = " ".join(f"c{r}_{v} = partial[{r * tiling.vectors + v}];" for r, v in accumulators)
            self.line(f"if (!first_block) {{ {loads} }}")
        self._sum()
        if self.blocked:
            self.open("if (!last_block) {")
            for r, v in accumulators:
                self.line(f"partial[{r * tiling.vectors + v}] = c{r}_{v};")
            self.close()
            self.open("else {")
        self._epilogue(accumulators)
        if self.blocked:
            self.close()

    def _row_pointer(self, r: int) -> None:
        form = self.form
        rows = form.row_count
        number = "row" if r == 0 else f"(row + {r} < {rows} ? row + {r} : {rows - 1})"
        parts = []
        step = 1
        for position, axis in reversed(list(enumerate(form.rows))):
            stride = form.rows_operand.stride(axis)
            text = f"{number} / {step}" if step > 1 else number
            if position:
                text = f"{text} % {axis.extent}"
            if stride and axis.extent > 1:
                parts.append(f"({text}) * {stride}L")
            step *= axis.extent
        parts = [p for p in ("rows", *reversed(parts), self._block_offset("a")) if p]
        self.line(f"__global const {self.type}* const a{r} = {' + '.join(parts)};")

    def _sum(self) -> None:
        """The loops of the sum: the last axes written out, the rest as loops around them."""
        form, tiling = self.form, self.tiling
        axes = form.summed[tiling.block_axis if self.blocked else 0 :]
        written = len(axes)
        steps = 1
        while written > (1 if self.blocked else 0) and steps * axes[written - 1].extent <= UNROLLED_STEPS:
            written -= 1
            steps *= axes[written].extent
        loops, straight = axes[:written], axes[written:]
        for position, axis in enumerate(loops):
            limit = "block_steps" if self.blocked and position == 0 else str(axis.extent)
            self.open(f"for (long k_{axis.name} = 0; k_{axis.name} < {limit}; k_{axis.name}++) {{")
        a_offset = self._offset(form.rows_operand, loops, "k").replace("L", "")
        b_offset = self._offset(form.columns_operand, loops, "k").replace("L", "")
        self.line(f"const long ka = {a_offset or 0};")
        self.line(f"__global const {self.type}* const kb = b{' + ' + b_offset if b_offset else ''};")
        points: list[tuple[int, int]] = [(0, 0)]
        for axis in straight:
            points = [
                (a + step * form.rows_operand.stride(axis), b + step * form.columns_operand.stride(axis))
                for a, b in points
                for step in range(axis.extent)
            ]
        for a, b in points:
            self._step(a, b)
        for _ in loops:
            self.close()

    def _step(self, a: int, b: int) -> None:
        tiling = self.tiling
        self.open("{")
        for v in range(tiling.vectors):
            at = b + v * tiling.lanes
            self.line(f"const {self.vector} w{v} = *(__global const {self.unaligned}*)(kb + {at});")
        for r in range(tiling.tile_rows):
            updates = " ".join(f"c{r}_{v} = x * w{v} + c{r}_{v};" for v in range(tiling.vectors))
            self.line(f"{{ const {self.type} x = a{r}[ka + {a}]; {updates} }}")
        self.close()

    # ---- epilogue

    def _epilogue(self, accumulators: list[tuple[int, int]]) -> None:
        tiling, form = self.tiling, self.form
        self.line(f"{self.vector} tile[{len(accumulators)}];")
        self.line(" ".join(f"tile[{r * tiling.vectors + v}] = c{r}_{v};" for r, v in accumulators))
        self._minimum("tile_rows", f"{form.row_count} - row", tiling.tile_rows)
        self.open("for (long r = 0; r < tile_rows; r++) {")
        self._digits(form.rows, "(row + r)", "row")
        overhang = form.vector_extent % tiling.width
        whole = f"{tiling.width}"
        if overhang:
            panel = f"column_{form.panel.name}" if form.panel.extent > 1 else "0"
            self.line(f"const long left = {form.vector_extent} - {panel} * {tiling.width};")
            self.line(f"const long valid = left < {tiling.width} ? left : {tiling.width};")
            whole = f"valid - {tiling.lanes - 1}"
        self.line("long lane = 0;")
        self.open(f"for (; lane < {whole}; lane += {tiling.lanes}) {{")
        self._stores(tiling.lanes, f"tile[r * {tiling.vectors} + lane / {tiling.lanes}]")
        self.close()
        if overhang:
            self.open("for (; lane < valid; lane++) {")
            self._stores(1, f"((const {self.type}*)tile)[r * {tiling.width} + lane]")
            self.close()
        self.close()

    def _stores(self, lanes: int, accumulator: str) -> None:
        emitter = OpenCLEmitter(self.context, lanes)
        form = self.form
        for prefix, axes in (("batch", form.batch), ("row", form.rows), ("column", form.columns)):
            for axis in axes:
                if axis.extent > 1:
                    emitter.bind(axis, f"{prefix}_{axis.name}")
        emitter.bind(form.lane, "lane", wide=True)
        emitter.reduced[0] = Emitted(accumulator, form.dtype, lanes > 1, 0)
        stores: tuple[Store, ...] = with_panels(form).stages[1].stores
        for store in stores:
            emitter.store(store)
        for text in emitter.finish():
            self.line(text)
