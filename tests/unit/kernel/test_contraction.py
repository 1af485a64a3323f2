from __future__ import annotations

import pytest

from lazygrad.kernel.contraction import analyse
from lazygrad.kernel.contraction_tiling import choose_tiling
from lazygrad.kernel.machine import MOST_PANEL_BYTES, Machine
from unit.kernel.kernels import matmul


def tiled(rows, columns, depth, machine):
    kernel = matmul(rows, columns, depth)
    form = analyse(kernel.bodies[0], machine)
    assert form is not None
    return form, choose_tiling(form, machine)


@pytest.mark.parametrize(
    ("columns", "registers", "tile"),
    [(64, 16, (6, 2)), (64, 32, (6, 4)), (32, 32, (12, 2)), (24, 32, (9, 3)), (24, 16, (4, 3)), (8, 32, (12, 1))],
)
def test_a_tiles_running_sums_fill_the_registers(columns, registers, tile):
    machine = Machine("cpu", cores=2, vector_bytes=32, vector_registers=registers)
    form, tiling = tiled(180, columns, 128, machine)
    assert (form.row_count, form.panel_count, form.sum_length) == (180, -(-columns // (8 * tile[1])), 128)
    assert (tiling.tile_rows, tiling.vectors, tiling.lanes) == (*tile, 8)
    rows, vectors = tile
    assert rows * vectors + vectors + 1 <= registers


@pytest.mark.parametrize(
    ("columns", "width"), [(1, 4), (4, 4), (5, 8), (8, 8), (9, 16), (100, 64), (112, 64), (160, 32)]
)
def test_wide_vectors_are_at_least_half_full(columns, width):
    form, tiling = tiled(60, columns, 128, Machine("cpu", cores=2, vector_bytes=64, vector_registers=32))
    assert (form.lane.extent, tiling.lanes) == (width, min(width, 16))


@pytest.mark.parametrize(("rows", "height"), [(4, 4), (6, 6), (8, 4), (13, 5), (26, 6)])
def test_tiles_have_no_more_rows_than_their_number_needs(rows, height):
    _, tiling = tiled(rows, 64, 128, Machine("cpu", cores=2, vector_bytes=32))
    assert tiling.tile_rows == height


@pytest.mark.parametrize(
    ("columns", "width", "height"),
    [(3, 4, 12), (5, 8, 12), (9, 16, 6), (17, 24, 4), (24, 24, 4), (25, 16, 6), (40, 16, 6)],
)
def test_a_panel_that_is_alone_is_as_wide_as_its_columns_need(columns, width, height):
    form, tiling = tiled(48, columns, 128, Machine("cpu", cores=2, vector_bytes=32))
    assert (form.lane.extent, tiling.tile_rows) == (width, height)
    assert form.panel_count == -(-columns // width)


def test_long_sums_are_cut_so_that_a_panel_stays_in_the_caches():
    machine = Machine("cpu", cores=2, vector_bytes=32)
    _, short = tiled(60, 64, 128, machine)
    _, long = tiled(60, 64, 1 << 16, machine)
    assert short.block_extent == 128
    assert long.block_extent * 16 * 4 <= 256 * 1024


def packing(rows, columns, depth, machine):
    _, tiling = tiled(rows, columns, depth, machine)
    return tiling.packs_rows, tiling.packs_columns


def test_columns_far_apart_are_packed_when_enough_tiles_use_them():
    machine = Machine("cpu", cores=2, vector_bytes=32)
    assert packing(960, 512, 128, machine) == (False, True)
    assert packing(6, 512, 128, machine) == (False, False)


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
@pytest.mark.parametrize("columns", [10, 40, 164, 1000])
def test_a_last_panel_overhangs_by_less_than_there_is_memory_behind_buffers(columns, vector_bytes):
    machine = Machine("cpu", cores=2, vector_bytes=vector_bytes, vector_registers=32 if vector_bytes == 64 else 16)
    form, tiling = tiled(1, columns, 128, machine)
    assert not tiling.packs_columns
    assert (form.panel_count * form.lane.extent - columns) * 4 < MOST_PANEL_BYTES


@pytest.mark.parametrize(("rows", "columns"), [(4608, 512), (128, 4096), (600, 600), (6, 16)])
def test_tasks_cover_everything_and_are_even(rows, columns):
    machine = Machine("cpu", cores=2, vector_bytes=32)
    form, tiling = tiled(rows, columns, 512, machine)
    row_parts, panel_parts = -(-rows // tiling.task_rows), -(-form.panel_count // tiling.task_panels)
    work = row_parts * tiling.task_rows * panel_parts * tiling.task_panels * tiling.width
    assert rows * columns <= work <= 1.15 * rows * columns
    assert tiling.task_rows % tiling.tile_rows == tiling.group_rows % tiling.tile_rows == 0
