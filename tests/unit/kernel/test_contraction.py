from __future__ import annotations

import pytest

from lazygrad.kernel.contraction import analyse, choose_tiling
from lazygrad.kernel.machine import Machine
from unit.kernel.kernels import matmul


def tiled(rows, columns, depth, machine):
    kernel = matmul(rows, columns, depth)
    form = analyse(kernel.bodies[0], [buffer.size for buffer in kernel.buffers], machine)
    assert form is not None
    return form, choose_tiling(form, machine)


@pytest.mark.parametrize(("registers", "rows"), [(16, 6), (32, 14)])
def test_a_tiles_running_sums_fill_the_registers(registers, rows):
    machine = Machine("cpu", cores=2, vector_bytes=32, vector_registers=registers)
    form, tiling = tiled(60, 64, 128, machine)
    assert (form.row_count, form.panel_count, form.sum_length) == (60, 4, 128)
    assert (tiling.tile_rows, tiling.vectors, tiling.lanes) == (rows, 2, 8)


def test_a_tile_has_no_more_rows_than_there_are():
    _, tiling = tiled(4, 64, 128, Machine("cpu", cores=2, vector_bytes=32))
    assert tiling.tile_rows == 4


def test_long_sums_are_cut_so_that_a_panel_stays_in_the_caches():
    machine = Machine("cpu", cores=2, vector_bytes=32)
    _, short = tiled(60, 64, 128, machine)
    _, long = tiled(60, 64, 1 << 16, machine)
    assert short.block_extent == 128
    assert long.block_extent * 16 * 4 <= 256 * 1024
