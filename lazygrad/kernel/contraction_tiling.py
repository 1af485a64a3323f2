"""How a contraction is cut on a processor: register tiles, blocks for the caches, tasks for the cores.

In: a contraction's ``Form`` and the machine. Out: a ``Tiling``, from shapes and cache sizes alone. The loops are those
of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): a block of the sum is as long as
a panel of columns fits into the first-level cache; a group of rows, as long as that block, into the second-level
cache; all tiles of the group pass over a panel before the next panel is touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from lazygrad.ir.index import Variable
from lazygrad.kernel.axes import point_count
from lazygrad.kernel.contraction import MANY_REGISTERS, Form, Operand
from lazygrad.kernel.machine import Machine

# More rows need more pointers to them than there are registers for.
MOST_TILE_ROWS = 12
# Work of one task, in multiply-adds: enough that handing it out costs nothing.
TASK_OPERATIONS = 1 << 18
# More tasks than cores even out what other processes take away.
TASKS_PER_CORE = 4
# The part of the first-level cache that a block of a panel takes, the rest is for rows, results and the next panel; of
# the second-level cache where panels are wide, because blocks would be so short that taking up sums and putting them
# back costs more (measured); and the part of the second-level cache for a group of rows.
PANEL_SHARE = 3 / 4
WIDE_PANEL_SHARE = 1 / 8
GROUP_SHARE = 1 / 4
# Columns of a task that fit into this part of the second-level cache may be read anew for each tile of rows.
COLUMNS_SHARE = 1 / 2
# An operand that is read with long steps is copied into the order of the sum if that many tiles use the copy.
PACKED_USES = 2
# What an element costs that a task reads, in multiply-adds: along the sum, across it, and packed, where columns lie in
# runs of whole panels, but only a tile's rows lie together.
READ_COST = 2.0
SCATTERED_COST = 8.0
PACKED_COLUMN_COST = 12.0
PACKED_ROW_COST = 16.0
# And one of the result that another core will read than wrote it, since cores take rows of what follows.
FOREIGN_COST = 8.0


@dataclass(frozen=True)
class Tiling:
    """How a contraction is cut.

    ``tile_rows`` x ``vectors`` accumulators; a task takes ``task_rows`` rows and ``task_panels`` panels of one batch,
    and ``most_groups`` work-groups share the tasks; the sum is cut at axis ``block_axis`` into pieces of
    ``block_extent`` steps (axes before it one step at a time); ``group_rows`` rows pass over all panels of the task
    before the next do. ``packs_rows`` and ``packs_columns``: a task copies its blocks of that operand into the order
    in which tiles read them.
    """

    tile_rows: int
    vectors: int
    lanes: int
    task_rows: int
    task_panels: int
    most_groups: int
    block_axis: int
    block_extent: int
    group_rows: int
    packs_rows: bool
    packs_columns: bool
    rows_first: bool

    @property
    def width(self) -> int:
        """Columns of a tile."""
        return self.vectors * self.lanes


def choose_tiling(form: Form, machine: Machine) -> Tiling:
    """A good cut from shapes and caches alone."""
    itemsize = form.dtype.itemsize
    most_rows = most_tile_rows(form.vectors, machine)
    tile_rows = -(-form.row_count // -(-form.row_count // most_rows))  # as few as the same number of tiles needs
    block_axis, block_extent = _block(form, itemsize, machine)
    block_length = block_extent * point_count(form.summed[block_axis + 1 :])
    scattered_rows = not _lies_along(form.rows_operand, form.summed, 1)
    scattered_columns = not _lies_along(form.columns_operand, form.summed, form.lane.extent)
    task_tiles, task_panels = _share(form, tile_rows, scattered_rows, scattered_columns, machine)
    group_rows = int(machine.level2_cache * GROUP_SHARE) // (block_length * itemsize) // tile_rows * tile_rows
    return Tiling(
        tile_rows=tile_rows,
        vectors=form.vectors,
        lanes=form.lanes,
        task_rows=task_tiles * tile_rows,
        task_panels=task_panels,
        most_groups=2 * machine.cores * TASKS_PER_CORE,
        block_axis=block_axis,
        block_extent=block_extent,
        group_rows=max(tile_rows, min(group_rows, task_tiles * tile_rows)),
        packs_rows=scattered_rows and task_panels >= PACKED_USES,
        packs_columns=scattered_columns and task_tiles >= PACKED_USES,
        rows_first=block_length == form.sum_length
        and task_panels * form.lane.extent * block_length * itemsize <= machine.level2_cache * COLUMNS_SHARE,
    )


def most_tile_rows(vectors: int, machine: Machine) -> int:
    """Of a tile of so many vectors; registers that hold no sum have the columns of a step and a row's value."""
    return max(1, min(MOST_TILE_ROWS, (machine.vector_registers - vectors - 1) // vectors))


def _lies_along(operand: Operand, summed: tuple[Variable, ...], step: int) -> bool:
    """Whether elements of the sum follow each other ``step`` apart, as caches and prefetching like it."""
    inner = [axis for axis in summed if axis.extent > 1]
    return not inner or operand.stride(inner[-1]) == step


def _panel_bytes(machine: Machine) -> int:
    """Of a block of a panel."""
    if machine.vector_registers >= MANY_REGISTERS:
        return int(machine.level2_cache * WIDE_PANEL_SHARE)
    return int(machine.level1_cache * PANEL_SHARE)


def _block(form: Form, itemsize: int, machine: Machine) -> tuple[int, int]:
    """At which axis, and into pieces of how many of its steps, the sum is cut."""
    longest = max(1, _panel_bytes(machine) // (form.lane.extent * itemsize))
    length = 1
    for position in reversed(range(len(form.summed))):
        extent = form.summed[position].extent
        if length * extent > longest:
            pieces = -(-extent // max(1, longest // length))
            return position, -(-extent // pieces)
        length *= extent
    return 0, form.summed[0].extent if form.summed else 1


def _share(
    form: Form, tile_rows: int, scattered_rows: bool, scattered_columns: bool, machine: Machine
) -> tuple[int, int]:
    """Tiles of rows and panels of one task.

    Each part of the rows reads all columns and each part of the columns all rows, so the cut that reads least is the
    best of those which give all cores the same work.
    """
    row_tiles = -(-form.row_count // tile_rows)
    panels, batches, width = form.panel_count, point_count(form.batch), form.lane.extent
    operations = row_tiles * tile_rows * panels * width * form.sum_length
    wanted = max(1, min(machine.cores * TASKS_PER_CORE, batches * operations // TASK_OPERATIONS))
    parts = -(-wanted // batches)

    def read_cost(is_scattered: bool, uses: int, packed_cost: float) -> float:
        return READ_COST if not is_scattered else SCATTERED_COST if uses < PACKED_USES else packed_cost

    best: tuple[float, int, int] | None = None
    for column_parts in range(1, min(panels, parts) + 1):
        task_panels = -(-panels // column_parts)
        task_tiles = -(-row_tiles // min(row_tiles, -(-parts // column_parts)))
        row_parts = -(-row_tiles // task_tiles)
        rounds = -(-batches * row_parts * -(-panels // task_panels) // machine.cores)
        cost = float(rounds * machine.cores * task_tiles * tile_rows * task_panels * width * form.sum_length)
        columns_read = row_parts * panels * width * read_cost(scattered_columns, task_tiles, PACKED_COLUMN_COST)
        rows_read = column_parts * form.row_count * read_cost(scattered_rows, task_panels, PACKED_ROW_COST)
        cost += batches * form.sum_length * (columns_read + rows_read)
        own = min(1.0, batches * row_parts / machine.cores)
        cost += (1 - own) * FOREIGN_COST * batches * form.row_count * panels * width
        if best is None or cost < best[0]:
            best = cost, task_tiles, task_panels
    assert best is not None
    return best[1], best[2]
