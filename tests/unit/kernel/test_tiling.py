from __future__ import annotations

from math import prod

import pytest

from lazygrad.ir.dtype import float32, float64, int64, uint8
from lazygrad.ir.index import Bound, Index, Variable, variable
from lazygrad.ir.value import constant
from lazygrad.kernel.axes import canonical_axes
from lazygrad.kernel.group_tiling import group_tiling
from lazygrad.kernel.keeping import kept_values
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Reduction, Stage, Store
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.tiling import (
    TASKS_PER_CORE,
    ColumnTiling,
    Partition,
    RowTiling,
    Split,
    pointwise_tiling,
    reduction_tiling,
)
from unit.kernel.kernels import load, reduced, scatter_add, softmax

MACHINE = Machine("cpu", cores=4, vector_bytes=32)
GPU = Machine("gpu", cores=16)


def axes(*extents, letter="i"):
    return tuple(Variable(f"{letter}{n}", extent) for n, extent in enumerate(extents))


def pointwise(extents, address, other=None, dtype=float32):
    of = axes(*extents)
    store = Store(Access(1, address), load(0, other if other is not None else address, dtype))
    size = prod(extents)
    body = canonical_axes(Body(of, (Stage((), (), (store,)),)))
    return body, (BufferDeclaration(dtype, size), BufferDeclaration(dtype, size, True))


def reducing(points, length, columns):
    at_i, at_j = variable("i0", points), variable("j0", length)
    value = load(0, at_j * points + at_i if columns else at_i * length + at_j)
    stages = (
        Stage(axes(length, letter="j"), (Reduction("sum", value, float32),)),
        Stage((), (), (Store(Access(1, at_i), reduced(0)),)),
    )
    return Body(axes(points), stages), (
        BufferDeclaration(float32, points * length),
        BufferDeclaration(float32, points, True),
    )


def test_partitions_cover_everything_in_equal_runs():
    partition = Partition((Split(Variable("i0", 5), 1), Split(Variable("i1", 100), 32)), 8)
    assert partition.count == 20
    assert partition.chunk == 3
    assert partition.chunk * partition.tasks >= partition.count


@pytest.mark.parametrize(("dtype", "lanes"), [(float32, 8), (float64, 4), (uint8, 16), (int64, 4)], ids=str)
def test_lanes_fill_a_vector_of_the_widest_type(dtype, lanes):
    flat = variable("i0", 1 << 20)
    tiling = pointwise_tiling(*pointwise((1 << 20,), flat, dtype=dtype), MACHINE)
    assert tiling.lanes == lanes


def test_positions_do_not_halve_the_lanes_of_floats():
    at_i, at_j = variable("i0", 64), variable("j0", 64)
    stages = (
        Stage(axes(64, letter="j"), (Reduction("argmax", load(0, at_i * 64 + at_j), float32, at_j),)),
        Stage((), (), (Store(Access(1, at_i), reduced(0, int64)),)),
    )
    buffers = (BufferDeclaration(float32, 4096), BufferDeclaration(int64, 64, True))
    assert reduction_tiling(Body(axes(64), stages), buffers, MACHINE).lanes == 8


def test_small_work_is_one_task_and_large_work_is_shared():
    small = pointwise_tiling(*pointwise((100,), variable("i0", 100)), MACHINE)
    assert small.partition.tasks == 1
    large = pointwise_tiling(*pointwise((1 << 24,), variable("i0", 1 << 24)), MACHINE)
    assert MACHINE.cores <= large.partition.tasks <= 2 * MACHINE.cores * TASKS_PER_CORE
    assert large.partition.splits[0].block % large.lanes == 0


def test_lanes_lie_where_stores_lie_side_by_side():
    i, j = variable("i0", 512), variable("i1", 256)
    tiling = pointwise_tiling(*pointwise((512, 256), j * 512 + i), MACHINE)
    assert tiling.vector.extent == 512 * 256  # both walk alike: one axis
    body, buffers = pointwise((512, 256), i * 256 + j, j * 512 + i)
    tiling = pointwise_tiling(body, buffers, MACHINE)
    assert tiling.vector is not None
    assert tiling.inner is not None
    assert tiling.inner != tiling.vector


def test_a_body_without_axes_has_no_lanes():
    body = Body((), (Stage((), (), (Store(Access(0, Index(0)), constant(1.0, float32)),)),))
    assert pointwise_tiling(body, (BufferDeclaration(float32, 1, True),), MACHINE).vector is None


def test_rows_and_columns():
    rows = reduction_tiling(*reducing(512, 512, columns=False), MACHINE)
    assert isinstance(rows, RowTiling)
    assert rows.sweeps[0].vector.name == "j0"
    assert rows.sweeps[0].unroll > 1
    columns = reduction_tiling(*reducing(512, 512, columns=True), MACHINE)
    assert isinstance(columns, ColumnTiling)
    assert columns.vector.name == "i0"
    assert columns.row_block is not None
    short = reduction_tiling(*reducing(512, 8, columns=True), MACHINE)
    assert isinstance(short, ColumnTiling)
    assert short.row_block is None


def test_long_expressions_are_not_repeated():
    at_i, at_j = variable("i0", 64), variable("j0", 512)
    value = load(0, at_i * 512 + at_j)
    for _ in range(20):
        value = value * value + 1.0
    stages = (Stage(axes(512, letter="j"), (Reduction("sum", value, float32),)),)
    tiling = reduction_tiling(Body(axes(64), stages), (BufferDeclaration(float32, 64 * 512),), MACHINE)
    assert isinstance(tiling, RowTiling)
    assert tiling.sweeps[0].unroll == 1


@pytest.mark.parametrize(("columns", "lanes"), [(64, 8), (12, 4), (5, 1)])
def test_nothing_is_added_twice(columns, lanes):
    """Vectors of a scatter must not overlap, so lanes divide the columns."""
    kernel = scatter_add(6, columns, 4)
    tiling = reduction_tiling(kernel.bodies[0], kernel.buffers, MACHINE)
    if isinstance(tiling, ColumnTiling):
        assert tiling.lanes == lanes


def test_costly_shared_values_are_kept():
    at_i, at_j = variable("i0", 64), variable("j0", 512)
    value = load(0, at_i * 512 + at_j)
    costly = value
    for _ in range(10):
        costly = costly * costly + 0.5
    j = axes(512, letter="j")
    stages = (
        Stage(j, (Reduction("sum", costly, float32),)),
        Stage(j, (), (Store(Access(1, at_i * 512 + at_j), (costly / reduced(0)) + (value + 1.0)),)),
    )
    tiling = reduction_tiling(
        Body(axes(64), stages),
        (BufferDeclaration(float32, 64 * 512), BufferDeclaration(float32, 64 * 512, True)),
        MACHINE,
    )
    assert isinstance(tiling, RowTiling)
    assert [(kept.value, kept.producer) for kept in kept_values(stages, tiling.sweeps)] == [(costly, 0)]


def test_groups_share_long_rows_and_lie_along_columns():
    body, _ = reducing(64, 1 << 16, columns=False)
    rows = group_tiling(body, GPU, 256)
    assert (rows.points, rows.slices, rows.slices_adjacent) == (1, 256, True)
    body, _ = reducing(1 << 16, 64, columns=True)
    columns = group_tiling(body, GPU, 256)
    assert (columns.points, columns.slices, columns.slices_adjacent) == (256, 1, False)
    body, _ = reducing(512, 4096, columns=True)
    tall = group_tiling(body, GPU, 256)
    assert tall.slices > 1
    assert tall.points >= 32


def test_scatters_on_groups_keep_to_one_item_a_point():
    assert group_tiling(scatter_add(100, 16, 50).bodies[0], GPU, 256).slices == 1


def test_softmax_goes_along_rows():
    kernel = softmax(128, 1024)
    tiling = reduction_tiling(canonical_axes(kernel.bodies[0]), kernel.buffers, MACHINE)
    assert isinstance(tiling, RowTiling)


def test_sweeps_through_memory_read_long_runs_and_leave_no_core_idle():
    few = Machine("cpu", cores=2, vector_bytes=32)
    cached = reduction_tiling(*reducing(100, 4_000, columns=True), few)
    assert isinstance(cached, ColumnTiling)
    assert cached.panel * 4 == 128
    uncached = reduction_tiling(*reducing(100, 40_000, columns=True), few)
    assert isinstance(uncached, ColumnTiling)
    assert uncached.partition.tasks == 2
    many = reduction_tiling(*reducing(1000, 40_000, columns=True), few)
    assert isinstance(many, ColumnTiling)
    assert many.panel * 4 == 512


def test_lanes_lie_along_neighbours_behind_a_mask():
    # A window of nine over [8, 56] with zeros around: neighbours that are inside but for the edges, not 8 rows apart.
    row, column, tap = variable("i0", 8), variable("i1", 56), variable("j0", 9)
    inside = (Bound(column + tap, 4, 60),)
    value = load(0, row * 56 + column + tap + Index(-4, ()), mask=inside)
    body = Body(
        (Variable("i0", 8), Variable("i1", 56)),
        (
            Stage((Variable("j0", 9),), (Reduction("sum", value, float32),)),
            Stage((), (), (Store(Access(1, row * 56 + column), reduced(0)),)),
        ),
    )
    tiling = reduction_tiling(body, (BufferDeclaration(float32, 448), BufferDeclaration(float32, 448, True)), MACHINE)
    assert isinstance(tiling, ColumnTiling)
    assert tiling.vector == Variable("i1", 56)
