"""Staging: copies of operands in the form that a contraction reads fast.

On processors columns are read as whole vectors: where their elements do not lie side by side, or in rows so far apart
that caches suffer, they are packed into panels [columns / width][sum][width]. Rows of large products are turned to lie
along the sum. Block programs load tiles: an operand that has no neighbours along either side of its tile is copied so
that it has them. Sliding windows over a tensor of the user's, which lies row-major and has no halo, read a copy with
channels last and zeros around.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from lazygrad import ops
from lazygrad.ir import value as scalar
from lazygrad.ir.dtype import accumulator, float64
from lazygrad.ir.index import Index, Quotient, Variable, substitute, variables
from lazygrad.ir.layout import Layout, Part, row_major
from lazygrad.ir.map import IndexMap, axis_variables, identity
from lazygrad.ir.node import Node
from lazygrad.ir.shape import size_of
from lazygrad.ir.value import Value
from lazygrad.kernel.block_contraction import reads_along_sums
from lazygrad.kernel.contraction import panel_width
from lazygrad.kernel.kernel import Access
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.walk import ordered_values
from lazygrad.ops.contract import ContractAttributes
from lazygrad.schedule.components import source_of, waits_of
from lazygrad.schedule.contracting import Halo, Sides, Wishes
from lazygrad.schedule.cost import PACK_ROWS, SHORTEST_RUN, TURNED_ROWS_PRODUCTS, TURNED_ROWS_USES, TURNED_USES
from lazygrad.schedule.expressions import Expressions, Home
from lazygrad.schedule.layouts import no_halo, with_halo
from lazygrad.schedule.walking import is_digit, is_windowed

Labels = tuple[int, ...]


@dataclass(frozen=True)
class Operand:
    """A contraction's operand as its kernel reads it."""

    node: Node
    labels: Labels


@dataclass(frozen=True)
class Copy:
    """A copy to make before the contraction runs."""

    node: Node
    layout: Layout
    halo: Halo


def stage_operands(
    product: Node, sides: Sides, wishes: Wishes, homes: Mapping[Node, Home], machine: Machine
) -> tuple[list[Operand], list[Copy]]:
    """The two operands, and the copies that must have been made for them."""
    at: ContractAttributes = product.attributes
    read = wishes.prologues.operands[product]
    operands = [Operand(x, labels) for x, labels in zip(read, (at.a, at.b), strict=True)]
    copies: list[Copy] = []
    if machine.flavour == "gpu":
        return operands, copies
    rows, columns = operands[sides.rows], operands[sides.columns]
    copied: dict[Node, Home] = {}
    row_copy = _copied_rows(rows, wishes, homes, widened=machine.flavour == "cpu")
    if row_copy is not None:
        copies.append(row_copy)
        copied[row_copy.node] = Home(-1, row_copy.layout, row_copy.halo)
        _, index_map = source_of(rows.node)
        operands[sides.rows] = Operand(ops.view(row_copy.node, index_map), rows.labels)
    known = {**homes, **copied}
    if machine.flavour == "block":
        turned = _turned(product, operands, sides, known, machine)
        for side, other in ((sides.rows, sides.columns), (sides.columns, sides.rows)):
            if side in turned:
                order = _row_strides(operands[sides.rows], known)
                operands[side], copy = _gathered(operands[side], operands[other], order, at, by_sum=False)
                copies.append(copy)
        for side, other in () if turned else ((sides.rows, sides.columns), (sides.columns, sides.rows)):
            order = _row_strides(operands[sides.rows], known)
            if _is_scattered(operands[side], operands[other], order, known):
                operands[side], copy = _gathered(operands[side], operands[other], order, at)
                copies.append(copy)
        return operands, copies
    if _lies_across_sum(operands[sides.rows], operands[sides.columns], known, at):
        order = _row_strides(operands[sides.rows], known)
        operands[sides.rows], copy = _gathered(operands[sides.rows], operands[sides.columns], order, at, by_sum=False)
        copies.append(copy)
    if product in wishes.written_out or not _lie_side_by_side(columns, rows, homes, machine):
        packed, copy = _pack(columns, operands[sides.rows], _row_strides(operands[sides.rows], known), at, machine)
        copies.append(copy)
        operands[sides.columns] = packed
    return operands, copies


def _copied_rows(rows: Operand, wishes: Wishes, homes: Mapping[Node, Home], widened: bool) -> Copy | None:
    """A copy of what the rows are read from: with a halo and channels last for windows.

    ``widened``: half floats are copied as the type they are accumulated in.
    """
    source, index_map = source_of(rows.node)
    home = homes.get(source)
    if home is None:
        return None
    half = widened and accumulator(source.dtype) is not source.dtype
    halo = no_halo(source.shape)
    order = tuple(range(source.rank))
    if is_windowed(index_map) and (source in wishes.halos or source in wishes.innermost):
        halo = wishes.halos.get(source, halo)
        wanted = wishes.innermost.get(source, source.rank - 1)
        order = (*(axis for axis in order if axis != wanted), wanted)
    elif not half:
        return None
    layout = with_halo(source.shape, order, halo)
    if not half and ((home.layout == layout and home.halo == halo) or home.halo != no_halo(source.shape)):
        return None
    node = ops.view(source, identity(source.shape), waits_of(rows.node))
    return Copy(_widened(node) if half else node, layout, halo)


def _widened(x: Node) -> Node:
    """Half-width floats as the type they are accumulated in: converted once here instead of at every use."""
    return ops.cast(x, accumulator(x.dtype))


def _lie_side_by_side(columns: Operand, rows: Operand, homes: Mapping[Node, Home], machine: Machine) -> bool:
    """Whether the columns can be read as vectors where they are."""
    names = [Variable(f"i{axis}", e) for axis, e in enumerate(columns.node.shape)]
    free = {
        v: v.extent for v, label in zip(names, columns.labels, strict=True) if label not in rows.labels and v.extent > 1
    }
    if accumulator(columns.node.dtype) is not columns.node.dtype:
        return False
    access = _plain_load(_element(columns, homes))
    if access is None or access.mask:
        return False
    strides = {atom: c for atom, c in access.address.terms if isinstance(atom, Variable)}
    if len(strides) != len(access.address.terms):
        return False
    run = 1  # how many columns follow each other at stride 1
    for v in sorted((v for v in free if v in strides), key=lambda v: strides[v]):
        if strides[v] != run:
            break
        run *= v.extent
    lanes = machine.lanes(columns.node.dtype.itemsize)
    return run >= min(2 * lanes, size_of(tuple(free.values())))


def _lies_across_sum(rows: Operand, columns: Operand, homes: Mapping[Node, Home], at: ContractAttributes) -> bool:
    """Whether neighbours in memory are rows, not steps of the sum, and turning them once takes less than all tasks do.

    Each task packs its rows, so that those of tasks with other columns are packed again.
    """
    access = _plain_load(_element(rows, homes))
    if access is None or access.mask or is_windowed(source_of(rows.node)[1]):
        return False
    strides = _row_strides(rows, homes)
    extents = {label: extent for of in (rows, columns) for label, extent in zip(of.labels, of.node.shape, strict=True)}
    _, summed, own = _classes(rows, columns, at)
    _, _, free = _classes(columns, rows, at)
    width = size_of([extents[label] for label in free])
    if width < TURNED_ROWS_USES or width * size_of(rows.node.shape) < TURNED_ROWS_PRODUCTS:
        return False
    return _run(summed, strides, extents, strides) == 1 and _run(own, strides, extents, strides) >= SHORTEST_RUN


def _element(of: Operand, homes: Mapping[Node, Home]) -> Value:
    """An operand's element at its axes' variables; which scalar argument it has nobody asks here."""
    return Expressions(homes, defaultdict(int)).element(of.node, axis_variables(of.node.shape))


def _plain_load(of: Value) -> Access | None:
    while of.op == "cast":
        of = of.inputs[0]
    return of.payload if of.op == scalar.LOAD and not of.payload.dynamic else None


def _row_strides(rows: Operand, homes: Mapping[Node, Home]) -> dict[int, int]:
    """How far one step of each label moves in the rows' memory."""
    strides = strides_of(_element(rows, homes))
    by_name = {axis.name: abs(step) for axis, step in strides.items()}
    return {label: by_name.get(f"i{axis}", 0) for axis, label in enumerate(rows.labels)}


def strides_of(of: Value) -> dict[Variable, int]:
    """How far one step of each variable moves in memory, in the largest load."""
    access = _largest_load(of)
    return {} if access is None else {a: step for a, step in access.address.terms if isinstance(a, Variable)}


def _largest_load(of: Value) -> Access | None:
    """Of what a value is computed from, the load that depends on the most points, the first of several."""
    accesses: list[Access] = [value.payload for value in ordered_values([of]) if value.op == scalar.LOAD]

    def points(access: Access) -> int:
        return size_of([variable.extent for variable in variables(access.address)])

    return max(accesses, key=points, default=None)


def _classes(of: Operand, other: Operand, at: ContractAttributes) -> tuple[list[int], list[int], list[int]]:
    """The operand's labels: batch, summed, its own."""
    batch = [label for label in of.labels if label in other.labels and label in at.out]
    summed = [label for label in other.labels if label in of.labels and label not in at.out]
    return batch, summed, [label for label in at.out if label in of.labels and label not in other.labels]


def _reordered(of: Operand, labels: Labels) -> Node:
    """A view of what the operand is read from whose axes are the labels in this order."""
    source, index_map = source_of(of.node)
    axis_of = {label: axis for axis, label in enumerate(of.labels)}
    shape = tuple(of.node.shape[axis_of[label]] for label in labels)
    new = axis_variables(shape)
    values: dict[Variable, Index] = {
        Variable(f"i{axis_of[label]}", shape[position]): new[position]
        for position, label in enumerate(labels)
        if shape[position] > 1
    }
    coordinates = tuple(substitute(c, values) for c in index_map.coordinates)
    mask = tuple(type(b)(substitute(b.index, values), b.low, b.high) for b in index_map.mask)
    return ops.view(source, IndexMap(shape, coordinates, mask), waits_of(of.node))


def _is_scattered(of: Operand, other: Operand, order: Mapping[int, int], homes: Mapping[Node, Home]) -> bool:
    """Whether neighbours along neither side of the operand's tiles lie side by side, and a copy could mend it.

    ``order``: the sum is walked along its labels in the order of these strides.
    """
    access = _largest_load(_element(of, homes))
    if access is None or access.dynamic:
        return False
    extents = dict(zip(of.labels, of.node.shape, strict=True))
    own = [label for label in of.labels if label not in other.labels]
    others = [e for label, e in zip(other.labels, other.node.shape, strict=True) if label not in of.labels]
    summed = [label for label in of.labels if label in other.labels]
    longest = max(size_of([extents[label] for label in side]) for side in (own, summed))
    if size_of(others) < PACK_ROWS or longest < SHORTEST_RUN:
        return False
    strides = _row_strides(of, homes)
    digits = [_digit_run(access, axis) for axis in range(len(of.labels))]
    return max(_run(own, strides, extents, strides), _run(summed, order, extents, strides), *digits) < SHORTEST_RUN


def _digit_run(access: Access, axis: int) -> int:
    """How many neighbours follow each other along an axis of which memory has the last digit fastest, as heads have."""
    for atom, stride in access.address.terms:
        if isinstance(atom, Quotient) and atom.remainder and stride == 1 and is_digit(atom):
            (whole,) = variables(atom.index)
            if whole.name == f"i{axis}" and atom.index == Index(0, ((whole, 1),)):
                return atom.divisor
    return 1


def _run(labels: list[int], order: Mapping[int, int], extents: Mapping[int, int], strides: Mapping[int, int]) -> int:
    """How many elements along these labels, walked in the order given, follow each other in memory."""
    run = 1
    for label in sorted((x for x in labels if extents[x] > 1), key=lambda label: order.get(label, 0)):
        if strides.get(label) != run:
            break
        run *= extents[label]
    return run


def _turned(
    product: Node, operands: list[Operand], sides: Sides, homes: Mapping[Node, Home], machine: Machine
) -> list[int]:
    """The operands to be copied so that both lie along the sum, for matrix units that are fast only then."""
    at: ContractAttributes = product.attributes
    half = all(operand.node.dtype.itemsize < accumulator(operand.node.dtype).itemsize for operand in operands)
    if operands[0].node.dtype is float64 or not reads_along_sums(half, at.precision, machine):
        return []
    order = _row_strides(operands[sides.rows], homes)
    found: list[int] = []
    for side in (0, 1):
        of, other = operands[side], operands[1 - side]
        _, summed, _ = _classes(of, other, at)
        extents = dict(zip(of.labels, of.node.shape, strict=True))
        if _run(summed, order, extents, _row_strides(of, homes)) >= SHORTEST_RUN:
            continue
        _, _, others = _classes(other, of, at)
        uses = size_of([e for label, e in zip(other.labels, other.node.shape, strict=True) if label in others])
        access = _largest_load(_element(of, homes))
        if access is None or access.dynamic or is_windowed(source_of(of.node)[1]) or uses < TURNED_USES:
            return []
        found.append(side)
    return found


def _gathered(
    of: Operand, other: Operand, order: Mapping[int, int], at: ContractAttributes, by_sum: bool = True
) -> tuple[Operand, Copy]:
    """The operand as [batch][sum][own], or [batch][own][sum]: rows of neighbours that block programs load at once."""
    batch, summed, own = _classes(of, other, at)
    summed.sort(key=lambda label: -order.get(label, 0))
    labels = (*batch, *summed, *own) if by_sum else (*batch, *own, *summed)
    node = _reordered(of, labels)
    return Operand(node, labels), Copy(node, row_major(node.shape), no_halo(node.shape))


def _pack(
    columns: Operand, rows: Operand, row_strides: Mapping[int, int], at: ContractAttributes, machine: Machine
) -> tuple[Operand, Copy]:
    """The columns as [batch][panel][sum][width of a panel], the sum in the order in which rows are walked."""
    batch, summed, free = _classes(columns, rows, at)
    summed.sort(key=lambda label: -row_strides.get(label, 0))
    labels = (*batch, *summed, *free)
    node = _widened(_reordered(columns, labels))
    shape = node.shape
    wide = [position for position in range(len(labels) - len(free), len(labels)) if shape[position] > 1]
    parts: list[Part] = []
    stride = 1
    last = wide[-1] if wide else len(labels) - 1
    others = prod(shape[position] for position in wide) // shape[last]
    width = panel_width(shape[last], others, machine, node.dtype.itemsize)
    panels = -(-shape[last] // width)
    blocked = len(wide) == 1
    inner_extent = width if blocked else shape[last]
    parts.append(Part(last, 1, inner_extent, 1))
    stride = inner_extent
    rest = [position for position in reversed(range(len(labels))) if position != last]
    free_rest = [p for p in rest if p in wide]
    for position in (*free_rest, *(p for p in rest if p not in free_rest)):
        if (
            position < len(batch)
            and blocked
            and panels > 1
            and not any(p.axis == last and p.divisor > 1 for p in parts)
        ):
            parts.append(Part(last, width, panels, stride))
            stride *= panels
        if shape[position] > 1:
            parts.append(Part(position, 1, shape[position], stride))
        stride *= shape[position]
    if blocked and panels > 1 and not any(p.axis == last and p.divisor > 1 for p in parts):
        parts.append(Part(last, width, panels, stride))
        stride *= panels
    layout = Layout(shape, tuple(reversed(parts)), stride + (0 if blocked else width))
    return Operand(node, labels), Copy(node, layout, no_halo(shape))
