"""Contractions as register tiles: the form of a contraction body, and how it is cut on a processor.

In: a body whose first stage is a ``Contraction`` of two loads. Out: a ``Form``, which says for each operand how far
one step of each axis moves its address (separable: ``address(m, k) = row(m) + offset(k)``), and a ``Tiling``.
None of it depends on what is contracted: matrix products, convolutions and their gradients differ in strides only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lazygrad.ir.dtype import DType
from lazygrad.ir.index import Index, Quotient, Variable, substitute, variables
from lazygrad.ir.value import LOAD, Value
from lazygrad.kernel.axes import canonical_axes, point_count
from lazygrad.kernel.kernel import Access, Body, Contraction
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.substitution import substitute_stages

# Registers of a tile that hold no running sum: two vectors of columns, a row's value, and one to spare.
OTHER_REGISTERS = 4
# Work of one task, in multiply-adds: enough that handing it out costs nothing.
TASK_OPERATIONS = 1 << 20
TASKS_PER_CORE = 4
# Sums longer than this many bytes of one panel of columns leave the caches and are cut.
PANEL_BYTES = 256 * 1024
# Columns that are not packed are read from rows far apart: a block of the sum must stay in the second-level cache.
UNPACKED_BLOCK_BYTES = 256 * 1024
CACHE_LINE = 64
# The last axes of the sum are written out while they have no more steps than this together.
UNROLLED_STEPS = 8


class Operand(NamedTuple):
    """One operand: its buffer, the address where all axes are 0, and the stride of each axis."""

    access: Access
    start: int
    strides: dict[Variable, int]

    def stride(self, axis: Variable) -> int:
        return self.strides.get(axis, 0)


@dataclass(frozen=True)
class Form:
    """A contraction whose operands are unmasked loads at affine addresses.

    ``panel`` numbers the vectors-wide pieces of the fastest column axis and ``lane`` the column inside one;
    ``vector_extent`` is that axis's extent, which the last panel may overhang.
    """

    body: Body
    dtype: DType
    rows_operand: Operand
    columns_operand: Operand
    batch: tuple[Variable, ...]
    rows: tuple[Variable, ...]
    columns: tuple[Variable, ...]  # the slower column axes, then ``panel``
    panel: Variable
    lane: Variable
    vector_axis: Variable
    vector_extent: int
    summed: tuple[Variable, ...]

    @property
    def row_count(self) -> int:
        return point_count(self.rows)

    @property
    def panel_count(self) -> int:
        return point_count(self.columns)

    @property
    def sum_length(self) -> int:
        return point_count(self.summed)


@dataclass(frozen=True)
class Tiling:
    """How a contraction is cut.

    ``tile_rows`` x ``vectors`` accumulators; a task takes ``task_rows`` rows and ``task_panels`` panels; the sum is
    cut at axis ``block_axis`` into pieces of ``block_extent`` steps (axes before it one step at a time).
    """

    tile_rows: int
    vectors: int
    lanes: int
    task_rows: int
    task_panels: int
    block_axis: int
    block_extent: int

    @property
    def width(self) -> int:
        """Columns of a tile."""
        return self.vectors * self.lanes


def analyse(body: Body, sizes: Sequence[int], machine: Machine) -> Form | None:
    """The form of a contraction body; None where an operand is no plain load (a slower way serves then).

    ``sizes`` are the buffers' numbers of elements.
    """
    body = canonical_axes(body)
    (contraction,) = body.stages[0].accumulators
    assert isinstance(contraction, Contraction)
    rows_access, columns_access = _plain(contraction.a, contraction.dtype), _plain(contraction.b, contraction.dtype)
    if rows_access is None or columns_access is None or len(body.stages[0].stores) or len(body.stages) != 2:
        return None
    in_rows, in_columns = variables(rows_access.address), variables(columns_access.address)
    columns = [axis for axis in body.axes if axis in in_columns and axis not in in_rows]
    lanes = machine.lanes(contraction.dtype.itemsize)
    vector = _vector_axis(columns, columns_access.address, lanes, sizes[columns_access.buffer])
    if vector is None:
        return None
    axis, width = vector
    panel = Variable(f"{axis.name}p", -(-axis.extent // width))
    lane = Variable(f"{axis.name}l", width)
    rows_operand = _operand(rows_access, {})
    whole = {axis: Index(0, ((panel, width), (lane, 1))) if panel.extent > 1 else Index(0, ((lane, 1),))}
    columns_operand = _operand(columns_access, whole)
    if rows_operand is None or columns_operand is None or columns_operand.stride(lane) != 1:
        return None
    slower = tuple(a for a in columns if a != axis)
    return Form(
        body, contraction.dtype, rows_operand, columns_operand,
        tuple(a for a in body.axes if a in in_rows and a in in_columns),
        tuple(a for a in body.axes if a not in in_columns),
        (*slower, panel), panel, lane, axis, axis.extent, body.stages[0].axes,
    )  # fmt: skip


def _plain(of: Value, dtype: DType) -> Access | None:
    """The access of an unmasked load of the accumulator's own type."""
    if of.op != LOAD or of.dtype is not dtype or of.payload.mask or of.payload.dynamic:
        return None
    access: Access = of.payload
    return access


def _vector_axis(columns: list[Variable], address: Index, lanes: int, size: int) -> tuple[Variable, int] | None:
    """The column axis at stride 1 and the width of a panel of it; ``size`` elements may be read."""
    for axis in columns:
        if address.coefficient(axis) == 1 and not _divided(address, axis):
            if axis.extent % (2 * lanes) == 0:
                return axis, 2 * lanes
            if axis.extent % lanes == 0:
                return axis, lanes
            padded = axis.extent < 2 * lanes and address.high + 2 * lanes - axis.extent < size
            return (axis, 2 * lanes) if padded else None
    for atom, coefficient in address.terms:
        if isinstance(atom, Quotient) and atom.remainder and coefficient == 1:
            inner = atom.index
            if len(inner.terms) == 1 and inner.terms[0][0] in columns and atom.divisor % lanes == 0:
                return inner.terms[0][0], atom.divisor
    return None


def _divided(address: Index, axis: Variable) -> bool:
    return any(isinstance(atom, Quotient) and axis in variables(atom.index) for atom, _ in address.terms)


def _operand(access: Access, values: dict[Variable, Index]) -> Operand | None:
    address = substitute(access.address, values)
    strides: dict[Variable, int] = {}
    for atom, coefficient in address.terms:
        if not isinstance(atom, Variable):
            return None
        strides[atom] = coefficient
    return Operand(access, address.constant, strides)


def choose_tiling(form: Form, machine: Machine) -> Tiling:
    """A good cut from shapes and caches alone."""
    itemsize = form.dtype.itemsize
    lanes = machine.lanes(itemsize)
    vectors = form.lane.extent // lanes
    tile_rows = max(1, min((machine.vector_registers - OTHER_REGISTERS) // vectors, form.row_count))
    block_axis, block_extent = _block(form, itemsize, machine)
    block_length = block_extent * point_count(form.summed[block_axis + 1 :])
    row_tiles = -(-form.row_count // tile_rows)
    panels = form.panel_count
    batches = point_count(form.batch)
    tile_operations = tile_rows * form.lane.extent * form.sum_length
    wanted = max(1, machine.cores * TASKS_PER_CORE)
    most = max(1, batches * row_tiles * panels * tile_operations // TASK_OPERATIONS)
    tasks = max(1, -(-min(wanted, most) // batches))
    # Rows of a task should stay in the second-level cache while all panels pass over them.
    cached_rows = max(1, machine.level2_cache // 2 // (block_length * itemsize) // tile_rows)
    row_parts = min(row_tiles, max(tasks, -(-row_tiles // cached_rows) if panels > 1 else 1))
    task_tiles = -(-row_tiles // row_parts)
    column_parts = min(panels, max(1, tasks // max(1, -(-row_tiles // task_tiles))))
    return Tiling(
        tile_rows, vectors, lanes, task_tiles * tile_rows, -(-panels // column_parts), block_axis, block_extent
    )


def _block(form: Form, itemsize: int, machine: Machine) -> tuple[int, int]:
    """At which axis, and into pieces of how many of its steps, the sum is cut."""
    width = form.lane.extent
    longest = max(1, PANEL_BYTES // (width * itemsize))
    inner = form.summed[-1] if form.summed else None
    packed = inner is None or form.columns_operand.stride(inner) <= width
    if not packed and form.panel_count > 1:
        row_bytes = min(form.panel_count * width, abs(form.columns_operand.stride(inner))) * itemsize  # type: ignore[arg-type]
        longest = min(longest, max(16, UNPACKED_BLOCK_BYTES // max(row_bytes, 1)))
    if inner is not None and form.rows_operand.stride(inner) != 1:
        # Each step of the sum reads another cache line of the rows, which the next tiles of rows use again.
        longest = min(longest, max(16, machine.level1_cache // ((width + CACHE_LINE // itemsize) * itemsize)))
    length = 1
    for position in reversed(range(len(form.summed))):
        extent = form.summed[position].extent
        if length * extent > longest:
            return position, max(1, min(extent, longest // length))
        length *= extent
    return 0, form.summed[0].extent if form.summed else 1


def with_panels(form: Form) -> Body:
    """The body with the vector axis written as panels and lanes, as the epilogue needs it."""
    width = form.lane.extent
    terms = ((form.panel, width), (form.lane, 1)) if form.panel.extent > 1 else ((form.lane, 1),)
    stages = substitute_stages(form.body.stages, {form.vector_axis: Index(0, terms)})
    return Body(form.body.axes, stages)
