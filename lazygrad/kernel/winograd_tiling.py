"""How Winograd's form of a contraction is cut on a processor, and whether it is the faster form.

In: a ``WindowForm`` and the machine. Out: a ``WinogradTiling``, or None where sums as they stand are as fast: few
channels, few columns or few tiles do not pay for their transforms. Everything follows from counts; the unit of all
costs is one multiply-add of vectors.

A task takes some tiles and some panels of columns. It transforms the patches of its tiles once and the taps of each
panel once; so each cut of the columns transforms patches again, and each cut of the tiles transforms taps again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple, TypeVar

from lazygrad.kernel.axes import point_count
from lazygrad.kernel.contraction_tiling import TASKS_PER_CORE, choose_tiling, most_tile_rows
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.winograd import TRANSFORMS, WindowForm


class TransformCosts(NamedTuple):
    """What transforms of one vector of channels or columns cost, beside the multiply-adds of the same kernels.

    ``patch``: of a tile's patch (16 loads, 32 additions, 16 stores; or 36, 144, 36). ``taps``: of a channel's taps (9
    loads, 16 or 36 stores). ``result``: of a tile's results (16 loads, 24 additions, 4 stores; or 36, 120, 16).
    ``cotangent``: of a tile's cotangents (4 loads, 12 additions, 16 stores; or 16, 80, 36). ``taps_gradient``: of the
    gradients of a channel's taps (16 loads, 50 additions, 9 stores; or 36, 90, 9).
    """

    patch: float
    taps: float
    result: float
    cotangent: float
    taps_gradient: float


# By the places of a tile's side; measured with vectors of 32 bytes. Those of 64 take the same processor twice as long
# to multiply, but hardly longer to load, store and add.
TRANSFORM_COSTS = {2: TransformCosts(110, 150, 80, 80, 180), 4: TransformCosts(330, 700, 300, 280, 360)}
WIDE_VECTORS, WIDE_SHARE = 64, 0.55
# What the taps of all panels may take, in second-level caches: each register tile walks through them in order, so that
# the third-level cache serves what is left.
TAPS_SHARE = 2
# What a task's patches may take, likewise.
PATCHES_SHARE = 4
# Of a step of a register tile: each vector and each value that is loaded.
STEP_COST = 0.25
# Of sums as they stand: a register tile's beginning and end, and each step of a tile's rows or a vector of columns that
# is packed. Fitted to a sweep of shapes on one noisy machine, as TAPS_GRADIENT_COST is: they serve to choose, not to
# predict times.
TILE_COST = 60.0
PACKED_ROWS_COST = 8.0
PACKED_COLUMNS_COST = 4.0
# Winograd's form must save this part of the time at least: its counts are rougher, and it rounds a little differently.
LEAST_SAVING = 0.1
# Tiles whose products are added up in registers before they go to memory, at most, and the part of the first-level
# cache that their cotangents for one panel may take: patches and cotangents are to stay there.
SUMMED_TILES = 64
COTANGENTS_SHARE = 1 / 4
# A vector of sums that is taken up and put back, and what it costs where a task's sums are more than this part of the
# second-level cache; they should not be more than so many of it.
PARTIAL_COST = 4.0
NEAR_SUMS = 3 / 4
FAR_PARTIAL_COST = 8.0
MOST_SUMS = 4
# The last tasks leave cores idle: this part of a task's time for each core.
UNEVENNESS = 0.1


@dataclass(frozen=True)
class WinogradTiling:
    """How ``windows`` are cut, which name their transforms.

    Register tiles of ``tile_rows`` tiles of places; a task takes ``task_tiles`` of these and ``task_panels``.

    ``tiles_first``: the transformed taps of all its panels are kept, and tiles pass over all panels one after the
    other; else the transformed patches of all its tiles are, and panels follow each other.
    """

    windows: WindowForm
    tile_rows: int
    task_tiles: int
    task_panels: int
    tiles_first: bool
    most_groups: int
    cost: float


@dataclass(frozen=True)
class GradientTiling:
    """How ``windows`` are cut, which name their transforms.

    Register tiles of ``tile_rows`` channels and one panel; a task takes ``task_channels`` and ``task_panels``, and
    adds up the products of ``block_tiles`` tiles of places at a time.
    """

    windows: WindowForm
    tile_rows: int
    task_channels: int
    task_panels: int
    block_tiles: int
    most_groups: int
    cost: float


AnyTiling = TypeVar("AnyTiling", WinogradTiling, GradientTiling)


def choose_winograd(windows: WindowForm, machine: Machine) -> WinogradTiling | None:
    """The best cut of a form that computes places; None if sums as they stand are about as fast."""
    return _cheapest(_best_cut, windows, machine)


def choose_winograd_gradient(windows: WindowForm, machine: Machine) -> GradientTiling | None:
    """The best cut of a form that sums over places; None if sums as they stand are about as fast."""
    return _cheapest(_best_gradient_cut, windows, machine)


def _cheapest(
    best_cut: Callable[[WindowForm, Machine], AnyTiling], windows: WindowForm, machine: Machine
) -> AnyTiling | None:
    """The better of both transforms, unless sums as they stand are about as fast."""
    cuts = (best_cut(replace(windows, transforms=transforms), machine) for transforms in TRANSFORMS)
    tiling = min(cuts, key=lambda cut: cut.cost)
    return tiling if tiling.cost <= (1 - LEAST_SAVING) * _direct_cost(windows, machine) else None


def _direct_cost(windows: WindowForm, machine: Machine) -> float:
    """Of sums as they stand."""
    form = windows.form
    tiling = choose_tiling(form, machine)
    row_parts, panel_parts = -(-form.row_count // tiling.task_rows), -(-form.panel_count // tiling.task_panels)
    row_tiles = tiling.task_rows // tiling.tile_rows
    tile = tiling.tile_rows * tiling.vectors * form.sum_length + TILE_COST
    task = float(row_tiles * tiling.task_panels * tile)
    if tiling.packs_rows:
        task += row_tiles * form.sum_length * PACKED_ROWS_COST
    if tiling.packs_columns:
        task += tiling.task_panels * tiling.vectors * form.sum_length * PACKED_COLUMNS_COST
    return _elapsed(point_count(form.batch) * row_parts * panel_parts, task, machine)


def _elapsed(tasks: int, cost: float, machine: Machine) -> float:
    """Of all cores together, until the last task is done."""
    rounds = -(-tasks // machine.cores)
    return (rounds + UNEVENNESS) * machine.cores * cost


def _best_cut(windows: WindowForm, machine: Machine) -> WinogradTiling:
    form = windows.form
    itemsize = form.dtype.itemsize
    vectors = form.vectors
    tiles, batches = windows.tile_count, point_count(form.batch)
    tile_rows = _tile_rows(tiles, vectors, machine)
    row_tiles = -(-tiles // tile_rows)
    patch = windows.transforms.products * windows.channel.extent * itemsize * tile_rows
    longest = max(1, PATCHES_SHARE * machine.level2_cache // patch)
    most = machine.cores * TASKS_PER_CORE
    best: WinogradTiling | None = None
    for panel_parts in range(1, min(form.panel_count, most) + 1):
        task_panels = -(-form.panel_count // panel_parts)
        taps = windows.transforms.products * windows.channel.extent * task_panels * form.lane.extent * itemsize
        tiles_first = taps <= TAPS_SHARE * machine.level2_cache
        fewest = 1 if tiles_first else -(-row_tiles // longest)
        for tile_parts in range(fewest, min(row_tiles, max(fewest + machine.cores, -(-most // panel_parts))) + 1):
            task_tiles = -(-row_tiles // tile_parts) * tile_rows
            tasks = batches * -(-tiles // task_tiles) * -(-form.panel_count // task_panels)
            cost = _elapsed(tasks, _task_cost(windows, task_tiles, task_panels, machine), machine)
            if best is None or cost < best.cost:
                best = WinogradTiling(windows, tile_rows, task_tiles, task_panels, tiles_first, 2 * most, cost)
    assert best is not None
    return best


def _transform_costs(windows: WindowForm, machine: Machine) -> TransformCosts:
    costs = TRANSFORM_COSTS[windows.transforms.tile]
    share = WIDE_SHARE if machine.vector_bytes >= WIDE_VECTORS else 1.0
    return TransformCosts(*(cost * share for cost in costs))


def _tile_rows(count: int, vectors: int, machine: Machine) -> int:
    """Of register tiles for so many tiles of places: rows that the last one does not need are computed, too."""

    def cost(rows: int) -> float:
        return -(-count // rows) * (rows * vectors + STEP_COST * (rows + vectors))

    most = min(most_tile_rows(vectors, machine), count)
    return min(range(most, most - most // 3 - 1, -1), key=cost)


def _task_cost(windows: WindowForm, tiles: int, panels: int, machine: Machine) -> float:
    lanes = machine.lanes(windows.form.dtype.itemsize)
    channels, costs = windows.channel.extent, _transform_costs(windows, machine)
    columns = panels * windows.form.lane.extent // lanes
    products = float(tiles * columns * channels * windows.transforms.products)
    patches = tiles * _patch_vectors(channels, patch_lanes(channels, lanes)) * costs.patch
    return products + patches + channels * columns * costs.taps + tiles * columns * costs.result


def patch_lanes(channels: int, lanes: int) -> int:
    """Of the vectors in which patches of so many channels are transformed; what these leave is done one by one."""
    powers = [1 << digit for digit in range(lanes.bit_length())]
    return min(reversed(powers), key=lambda width: _patch_vectors(channels, width))


def _patch_vectors(channels: int, lanes: int) -> int:
    """In how many pieces a patch is transformed."""
    return channels // lanes + channels % lanes


def _best_gradient_cut(windows: WindowForm, machine: Machine) -> GradientTiling:
    form = windows.form
    lanes, vectors = form.lanes, form.vectors
    channels, batches = windows.channel.extent, point_count(form.batch)
    tile_rows = min(most_tile_rows(vectors, machine), channels)
    longest = max(1, int(COTANGENTS_SHARE * machine.level1_cache) // (form.lane.extent * form.dtype.itemsize))
    blocks = -(-windows.tile_count // min(SUMMED_TILES, longest))
    block_tiles = -(-windows.tile_count // blocks)
    best: GradientTiling | None = None
    for task_panels in _even_cuts(form.panel_count):
        for channel_vectors in _even_cuts(-(-channels // lanes)):
            task_channels = min(channels, channel_vectors * lanes)
            tasks = batches * -(-channels // task_channels) * -(-form.panel_count // task_panels)
            task = _gradient_task_cost(windows, tile_rows, task_channels, task_panels, block_tiles, machine)
            cost = _elapsed(tasks, task, machine)
            if best is None or cost < best.cost:
                groups = 2 * machine.cores * TASKS_PER_CORE
                best = GradientTiling(windows, tile_rows, task_channels, task_panels, block_tiles, groups, cost)
    assert best is not None
    return best


def _even_cuts(count: int) -> list[int]:
    """The sizes of the parts when ``count`` is cut evenly into one part, two, and so on."""
    return list(dict.fromkeys(-(-count // parts) for parts in range(1, count + 1)))


def _gradient_task_cost(
    windows: WindowForm, tile_rows: int, channels: int, panels: int, block_tiles: int, machine: Machine
) -> float:
    itemsize = windows.form.dtype.itemsize
    lanes = windows.form.lanes
    columns = panels * windows.form.lane.extent // lanes
    patches = _patch_vectors(channels, patch_lanes(channels, machine.lanes(itemsize)))
    tiles, costs = windows.tile_count, _transform_costs(windows, machine)
    sums = -(-channels // tile_rows) * tile_rows * columns * windows.transforms.products
    caches = sums * lanes * itemsize / machine.level2_cache
    if caches > MOST_SUMS:
        return inf
    partial = PARTIAL_COST if caches <= NEAR_SUMS else FAR_PARTIAL_COST
    products = sums * (tiles + partial * -(-tiles // block_tiles))
    transforms = tiles * (patches * costs.patch + columns * costs.cotangent)
    return products + transforms + channels * columns * costs.taps_gradient
