"""The form of a contraction body: rows, columns and sums, and how each axis moves the operands' addresses.

In: a body whose first stage is a ``Contraction`` of two loads. Out: a ``Form``, which says for each operand how far
one step of each axis moves its address (separable: ``address(m, k) = row(m) + offset(k)``).
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
from lazygrad.kernel.machine import MOST_PANEL_BYTES, Machine
from lazygrad.kernel.substitution import substitute_stages

# Vectors of a panel, where there are several panels, and of the widest that is alone. Of processors with many registers
# some of these: tiles of few rows need fewer pointers, which are in registers of another kind.
PANEL_VECTORS = (2,)
MOST_PANEL_VECTORS = 3
MANY_REGISTERS = 32
WIDE_PANEL_VECTORS = (4, 3, 2)
FEWEST_LANES = 4


class Operand(NamedTuple):
    """One operand: its buffer, the address where all axes are 0, and the stride of each axis."""

    access: Access
    start: int
    strides: dict[Variable, int]

    def stride(self, axis: Variable) -> int:
        return self.strides.get(axis, 0)


class Triangle(NamedTuple):
    """Products count where this is not negative: ``constant`` plus each of these numbers times its coefficient.

    The number of a row, that of a column, and the digit of the summed axis ``axis``, which has a coefficient of 1, -1
    or 0.
    """

    constant: int
    row: int
    column: int
    axis: Variable | None
    step: int


@dataclass(frozen=True)
class Form:
    """A contraction whose operands are unmasked loads at affine addresses.

    ``panel`` numbers the pieces of the fastest column axis, each a few vectors of ``lanes``, and ``lane`` the column
    inside one; ``vector_extent`` is that axis's extent, which the last panel may overhang. It is read whole all the
    same: less than ``MOST_PANEL_BYTES`` (``machine.py``) beyond the operand.
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
    lanes: int
    triangle: Triangle | None = None

    @property
    def vectors(self) -> int:
        """Of a panel."""
        return self.lane.extent // self.lanes

    @property
    def row_count(self) -> int:
        return point_count(self.rows)

    @property
    def panel_count(self) -> int:
        return point_count(self.columns)

    @property
    def sum_length(self) -> int:
        return point_count(self.summed)


def analyse(body: Body, machine: Machine) -> Form | None:
    """The form of a contraction body; None where an operand is no plain load (a slower way serves then)."""
    body = canonical_axes(body)
    (contraction,) = body.stages[0].accumulators
    assert isinstance(contraction, Contraction)
    rows_access, columns_access = _plain(contraction.a, contraction.dtype), _plain(contraction.b, contraction.dtype)
    if rows_access is None or columns_access is None or len(body.stages[0].stores) or len(body.stages) != 2:
        return None
    in_rows, in_columns = variables(rows_access.address), variables(columns_access.address)
    columns = [axis for axis in body.axes if axis in in_columns and axis not in in_rows]
    vector = _vector_axis(columns, columns_access.address, machine, contraction.dtype.itemsize)
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
    rows = tuple(a for a in body.axes if a not in in_columns)
    slower = tuple(a for a in columns if a != axis)
    return Form(
        body, contraction.dtype, rows_operand, columns_operand,
        tuple(a for a in body.axes if a in in_rows and a in in_columns),
        rows,
        (*slower, panel), panel, lane, axis, axis.extent, body.stages[0].axes,
        panel_lanes(axis.extent, machine, contraction.dtype.itemsize),
        _triangle(contraction.lower, rows, (*slower, axis), body.stages[0].axes, width),
    )  # fmt: skip


def panel_lanes(extent: int, machine: Machine, itemsize: int) -> int:
    """Lanes of the vectors that so many columns are computed in: no more than half of one may be idle."""
    lanes = machine.lanes(itemsize)
    while lanes > FEWEST_LANES and 2 * extent <= lanes:
        lanes //= 2
    return lanes


def panel_width(extent: int, others: int, machine: Machine, itemsize: int) -> int:
    """How many of so many columns a panel takes, where there are as many for each of ``others``.

    A few vectors, or one or three where that is all of them. Two vectors of accumulators a row fill sixteen registers
    with six rows, three with four. Where there are more registers panels are as wide as leaves two of them, with as few
    idle vectors in the last as can be.
    """
    lanes = panel_lanes(extent, machine, itemsize)
    vectors = -(-extent // lanes)
    if vectors > MOST_PANEL_VECTORS:
        choices = WIDE_PANEL_VECTORS if machine.vector_registers >= MANY_REGISTERS else PANEL_VECTORS
        most = vectors if others > 1 else -(-vectors // 2)
        vectors = min((wide for wide in choices if wide <= most), key=lambda wide: -vectors % wide)
    return lanes * vectors


def _plain(of: Value, dtype: DType) -> Access | None:
    """The access of an unmasked load of the accumulator's own type."""
    if of.op != LOAD or of.dtype is not dtype or of.payload.mask or of.payload.dynamic:
        return None
    access: Access = of.payload
    return access


def _vector_axis(
    columns: list[Variable], address: Index, machine: Machine, itemsize: int
) -> tuple[Variable, int] | None:
    """The column axis at stride 1 and the width of a panel of it."""
    lanes = machine.lanes(itemsize)
    for axis in columns:
        if address.coefficient(axis) == 1 and not _divided(address, axis):
            return axis, panel_width(axis.extent, point_count(columns) // axis.extent, machine, itemsize)
    for atom, coefficient in address.terms:
        if isinstance(atom, Quotient) and atom.remainder and coefficient == 1:
            inner = atom.index
            is_panel = atom.divisor % lanes == 0 and atom.divisor * itemsize <= MOST_PANEL_BYTES
            if len(inner.terms) == 1 and inner.terms[0][0] in columns and is_panel:
                return inner.terms[0][0], atom.divisor
    return None


def _triangle(
    lower: Index | None, rows: Sequence[Variable], columns: Sequence[Variable], summed: Sequence[Variable], width: int
) -> Triangle | None:
    """What tiles need of the products; None where that is no matter of row numbers and column numbers."""
    if lower is None or (len(columns) > 1 and columns[-1].extent % width):
        return None
    row, column = _by_number(lower, rows), _by_number(lower, columns)
    steps = [axis for axis in summed if lower.coefficient(axis)]
    others = [atom for atom, _ in lower.terms if atom not in (*rows, *columns, *steps)]
    if row is None or column is None or others or len(steps) > 1 or (steps and abs(lower.coefficient(steps[0])) != 1):
        return None
    return Triangle(lower.constant, row, column, *((steps[0], lower.coefficient(steps[0])) if steps else (None, 0)))


def _by_number(index: Index, axes: Sequence[Variable]) -> int | None:
    """How far the next in the order of these axes moves the index; None where that differs from place to place."""
    numbered = [axis for axis in axes if axis.extent > 1]
    step = index.coefficient(numbered[-1]) if numbered else 0
    for position, axis in enumerate(numbered):
        if index.coefficient(axis) != step * point_count(numbered[position + 1 :]):
            return None
    return step


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


def with_panels(form: Form) -> Body:
    """The body with the vector axis written as panels and lanes, as the epilogue needs it."""
    width = form.lane.extent
    terms = ((form.panel, width), (form.lane, 1)) if form.panel.extent > 1 else ((form.lane, 1),)
    stages = substitute_stages(form.body.stages, {form.vector_axis: Index(0, terms)})
    return Body(form.body.axes, stages)
