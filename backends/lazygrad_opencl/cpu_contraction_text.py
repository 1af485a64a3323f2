"""What the forms of a contraction on processors write alike: digits of axes, pointers, and the epilogue of a row.

In: the body's context and its ``Form``. Out: lines in ``text``. Axes are named by what they belong to: ``batch_i0``,
``row_i1``, ``column_i2``; ``lane`` is the column inside a panel, of which there are ``valid`` in the last.
"""

from __future__ import annotations

from dataclasses import replace

from lazygrad.ir.index import Variable
from lazygrad.ir.value import LOAD
from lazygrad.kernel.axes import stride
from lazygrad.kernel.contraction import Form, Operand, with_panels
from lazygrad.kernel.emit import Operand as Emitted
from lazygrad.kernel.kernel import Access
from lazygrad.kernel.machine import CACHE_LINE, MOST_LANES
from lazygrad.kernel.walk import ordered_values
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.shared_functions import SharedFunction
from lazygrad_opencl.skeleton import BodyCode, BodyContext
from lazygrad_opencl.sum_loops import Text
from lazygrad_opencl.types import memory_type


class ContractionText:
    """One contraction's text, and the statements that every form of it needs."""

    def __init__(self, context: BodyContext, form: Form) -> None:
        self.form = form
        # The epilogue's body has other values than the form's, whose addresses are those of panels and lanes.
        self.context = replace(context, body=with_panels(form))
        self.text = Text()
        self.lanes = form.lanes
        self.width = form.lane.extent
        self.vectors = form.vectors
        self.type = memory_type(form.dtype)
        self.vector = f"{self.type}{self.lanes}"
        self.unaligned = f"unaligned_{self.vector}"
        self._shared: dict[str, None] = {}

    def code(self, work_groups: int, scratch_bytes: int) -> BodyCode:
        """What was written, for so many work-groups; ``scratch_bytes`` of all of them together."""
        return BodyCode(tuple(self.text.lines), work_groups, (), scratch_bytes, tuple(self._shared))

    def call(self, function: SharedFunction, *arguments: str | int) -> None:
        """Calls a function that other bodies may call, too."""
        self._shared[function.text] = None
        self.text.line(f"{function.name}({', '.join(map(str, arguments))});")

    def open_tasks(self, tasks: int, work_groups: int) -> None:
        """Opens the loop over the tasks of a work-group; a block where there is one for each."""
        if tasks == work_groups:
            self.text.open("{")
            self.text.line("const long task = group;")
            return
        self.text.line(f"const long last_task = (group + 1) * {tasks}L / {work_groups};")
        self.text.open(f"for (long task = group * {tasks}L / {work_groups}; task < last_task; task++) {{")

    def minimum(self, name: str, text: str, limit: int | str) -> None:
        """Declares ``name``, the smaller of the two."""
        self.text.line(f"const long {name} = {text} < {limit} ? {text} : {limit};")

    def digits(self, axes: tuple[Variable, ...], flat: str, prefix: str) -> None:
        """Declares ``prefix_name`` for the digit of each axis in a flat number."""
        step = 1
        for position, axis in reversed(list(enumerate(axes))):
            if axis.extent > 1:
                text = f"({flat}) / {step}" if step > 1 else f"{flat}"
                if position:
                    text = f"({text}) % {axis.extent}"
                self.text.line(f"const long {prefix}_{axis.name} = {text};")
            step *= axis.extent

    def offset(self, operand: Operand, axes: tuple[Variable, ...], prefix: str) -> str:
        """How far the digits of these axes move the operand; nothing where they do not."""
        parts = [
            f"{prefix}_{axis.name} * {operand.stride(axis)}L"
            for axis in axes
            if axis.extent > 1 and operand.stride(axis)
        ]
        return " + ".join(parts)

    def pointer(
        self, name: str, operand: Operand, axes: tuple[Variable, ...], prefix: str, base: str = "", more: str = ""
    ) -> None:
        """Declares a pointer to the operand's elements at these digits, from ``base`` or the buffer's beginning."""
        start = base or (
            f"b{operand.access.buffer} + {operand.start}" if operand.start else f"b{operand.access.buffer}"
        )
        parts = [part for part in (start, self.offset(operand, axes, prefix), more) if part]
        self.text.line(f"__global const {self.type}* const {name} = {' + '.join(parts)};")

    def valid(self) -> None:
        """Declares how many columns of the panel there are."""
        form, width = self.form, self.width
        panel = f"column_{form.panel.name}" if form.panel.extent > 1 else "0"
        self.minimum("valid", str(width), f"({form.vector_extent} - {panel} * {width})")

    def epilogue(self, row: str) -> None:
        """The stores of one row of a panel, whose sums are row number ``row`` of the array ``tile``.

        In the widest vectors there are: operations on two registers hide each other's latency. In the last panel, which
        may have fewer columns, what is left of these in narrower ones, and single columns where those end.
        """
        form, text = self.form, self.text
        last = form.vector_extent % self.width
        if last:
            self.valid()
        text.line("long lane = 0;")
        for lanes in self._epilogue_lanes(last):
            text.open(f"for (; lane <= {'valid' if last else self.width} - {lanes}; lane += {lanes}) {{")
            vector = f"{self.type}{lanes}" if lanes > 1 else self.type
            place = f"({row} * {self.width} + lane)"
            self._stores(lanes, f"((const {vector}*)tile)[{place}{f' / {lanes}' if lanes > 1 else ''}]")
            text.close()

    def open_rows(self, condition: str = "") -> None:
        """Opens the loop over a tile's rows, with each row's digits; ``condition``: an ``if`` before it."""
        self.text.open(f"{condition}for (long r = 0; r < tile_rows; r++) {{")
        self.digits(self.form.rows, "(row + r)", "row")

    def fetch_results(self, condition: str = "") -> None:
        """Asks for what the epilogues of a tile's rows read and write along the lanes, if they read anything there.

        Updates of weights and sums with other activations find it in farther caches, or in memory.
        """
        stores = self.context.body.stages[1].stores
        written = [store.access for store in stores]
        loads = [value.payload for value in ordered_values([store.value for store in stores]) if value.op == LOAD]
        read = [access for access in dict.fromkeys(loads) if self._is_of_rows(access)]
        if not read:
            return
        self.open_rows(condition)
        self.text.open(f"for (long lane = 0; lane < {self.width}; lane += {CACHE_LINE // self.form.dtype.itemsize}) {{")
        emitter = OpenCLEmitter(self.context, 1)
        self._bind_digits(emitter)
        emitter.bind(self.form.lane, "lane")
        for access in read:
            emitter.fetch(access)
        for access in written:
            if self._is_of_rows(access):
                emitter.fetch(access, to_store=True)
        for line in emitter.finish():
            self.text.line(line)
        self.text.close()
        self.text.close()

    def _is_of_rows(self, access: Access) -> bool:
        """Whether lanes lie side by side, and each row has its own."""
        is_plain = not access.mask and not access.dynamic and stride(access.address, self.form.lane) == 1
        return is_plain and any(stride(access.address, axis) != 0 for axis in self.form.rows)

    def _epilogue_lanes(self, last: int) -> list[int]:
        """Of the vectors in which a row is stored, the widest first; ``last`` columns are in the last panel."""
        wide = min(MOST_LANES, self.lanes if self.vectors % 2 else 2 * self.lanes)
        left = last % wide
        found = [wide] if self.form.vector_extent >= wide else []
        if left:
            powers = [1 << digit for digit in range(left.bit_length())]
            narrow = min(reversed(powers), key=lambda lanes: left // lanes + left % lanes)
            found += [narrow, 1] if left % narrow else [narrow]
        return found

    def _stores(self, lanes: int, accumulator: str) -> None:
        emitter = OpenCLEmitter(self.context, lanes)
        form = self.form
        self._bind_digits(emitter)
        emitter.bind(form.lane, "lane", wide=True)
        emitter.reduced[0] = Emitted(accumulator, form.dtype, lanes > 1, 0)
        emitter.stores(self.context.body.stages[1].stores)
        for line in emitter.finish():
            self.text.line(line)

    def _bind_digits(self, emitter: OpenCLEmitter) -> None:
        form = self.form
        for prefix, axes in (("batch", form.batch), ("row", form.rows), ("column", form.columns)):
            for axis in axes:
                if axis.extent > 1:
                    emitter.bind(axis, f"{prefix}_{axis.name}")
