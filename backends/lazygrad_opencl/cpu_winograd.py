"""Convolutions by Winograd's transforms on processors: places are computed, taps and channels are summed over.

    task (batch, tiles, panels)
      panel of columns                  two vectors wide: the 3 x 3 taps of each channel are transformed
      register tile                     six tiles of places: their patches are transformed
        panel of columns
          product                       a sum over channels, to scratch memory: loads and multiply-adds only
          tile                          its results from these, then the epilogue, a place at a time

or, where the taps of all panels do not fit the caches, first the patches of all tiles, then panel by panel.

Where the last tile has fewer places than others, its patch reads its last row or column again, and what comes of it is
not stored: it enters only results beyond the last. Each result is a sum of differences of all products, so an infinity
or NaN in a patch makes NaN of its whole tile.
"""

from __future__ import annotations

from lazygrad.kernel.axes import point_count
from lazygrad.kernel.winograd_tiling import WinogradTiling
from lazygrad_opencl.cpu_windows import WindowText
from lazygrad_opencl.skeleton import BodyCode, BodyContext
from lazygrad_opencl.winograd_functions import patch_products, result_transform, taps_transform


def generate_places(context: BodyContext, tiling: WinogradTiling) -> BodyCode:
    """The body of a contraction that sums over taps and channels."""
    return _Places(context, tiling).generate()


class _Places(WindowText):
    """One contraction's text."""

    def __init__(self, context: BodyContext, tiling: WinogradTiling) -> None:
        super().__init__(context, tiling.windows)
        self.tiling = tiling
        channels = self.windows.channel.extent
        self.patch_step = self.padded(channels)
        self.patch_block = self.products * tiling.tile_rows * self.patch_step
        self.taps_step = self.padded(channels * self.width)

    def generate(self) -> BodyCode:
        form, tiling, text = self.form, self.tiling, self.text
        tiles = self.windows.tile_count
        tile_parts = -(-tiles // tiling.task_tiles)
        panel_parts = -(-form.panel_count // tiling.task_panels)
        tasks = point_count(form.batch) * tile_parts * panel_parts
        groups = min(tasks, tiling.most_groups)
        text.line(
            f"// {tiles} tiles of {self.places} x {self.places} places x {form.panel_count} panels of "
            f"{self.width} columns, sums of {self.windows.channel.extent} channels; {tiling.tile_rows} tiles at a time"
        )
        scratch = self.declare_scratch(
            {
                "patches": self.patch_block * (1 if tiling.tiles_first else tiling.task_tiles // tiling.tile_rows),
                "taps": self.products * self.taps_step * (tiling.task_panels if tiling.tiles_first else 1),
                "products": tiling.tile_rows * self.products * self.width,
            }
        )
        self.open_tasks(tasks, groups)
        text.line(f"const long panel_begin = task % {panel_parts} * {tiling.task_panels};")
        self.minimum("panel_end", f"panel_begin + {tiling.task_panels}", form.panel_count)
        text.line(f"const long tile_begin = task / {panel_parts} % {tile_parts} * {tiling.task_tiles};")
        self.minimum("tile_end", f"tile_begin + {tiling.task_tiles}", tiles)
        self.digits(form.batch, f"task / {panel_parts * tile_parts}", "batch")
        self.pointer("rows", form.rows_operand, form.batch, "batch")
        self.pointer("columns", form.columns_operand, form.batch, "batch")
        register_tiles = f"for (long first = tile_begin; first < tile_end; first += {tiling.tile_rows}) {{"
        if tiling.tiles_first:
            self._open_panels()
            self._transform_taps()
            text.close()
            text.open(register_tiles)
            self._transform_patches()
            self._open_panels()
        else:
            text.open(register_tiles)
            self._transform_patches()
            text.close()
            self._open_panels()
            self._transform_taps()
            text.open(register_tiles)
        self._multiply()
        self._finish()
        for _ in range(3):
            text.close()
        return self.code(groups, scratch * groups)

    def _open_panels(self) -> None:
        self.text.open("for (long panel = panel_begin; panel < panel_end; panel++) {")
        self.digits(self.form.columns, "panel", "column")

    def _patches(self) -> str:
        """Where the patches of a register tile are."""
        if self.tiling.tiles_first:
            return "patches"
        return f"patches + (first - tile_begin) / {self.tiling.tile_rows} * {self.patch_block}L"

    def _taps(self) -> str:
        """Where the taps of a panel are."""
        if self.tiling.tiles_first:
            return f"taps + (panel - panel_begin) * {self.products * self.taps_step}L"
        return "taps"

    def _transform_patches(self) -> None:
        """Of a register tile; tiles beyond the last, which it computes too, are the last again."""
        text, height = self.text, self.tiling.tile_rows
        text.open(f"for (long t = 0; t < {height}; t++) {{")
        self.minimum("kept", "first + t", self.windows.tile_count - 1)
        self.patch_pointer("kept")
        text.line(f"__global float* const to = {self._patches()} + t * {self.patch_step};")
        channels = self.windows.channel.extent
        self.write_patches(str(channels), channels, height * self.patch_step)
        text.close()

    def _transform_taps(self) -> None:
        """Of one panel, to ``taps[product][channel][column]``."""
        form, channel = self.form, self.windows.channel
        operand = form.columns_operand
        origin = self.tap_offset(operand, 0, 0)
        down, across = self.tap_offset(operand, 1, 0) - origin, self.tap_offset(operand, 0, 1) - origin
        self.pointer("from", operand, form.columns, "column", "columns", f"{origin}L")
        transform = taps_transform(self.type, self.lanes, self.vectors, self.transforms)
        steps = (down, across, operand.stride(channel), self.taps_step)
        self.call(transform, "from", self._taps(), *steps, channel.extent)

    def _multiply(self) -> None:
        """Sums over channels for the tiles from ``first`` on, to ``products[tile][product][column]``."""
        height, row_step = self.tiling.tile_rows, self.patch_step
        steps = (row_step, height * row_step, self.taps_step)
        multiply = patch_products(self.type, self.lanes, self.vectors, height, self.transforms)
        self.call(multiply, self._patches(), self._taps(), "products", *steps, self.windows.channel.extent)

    def _finish(self) -> None:
        """The results of the tiles from ``first`` on, and their epilogues."""
        text, down, across = self.text, self.windows.down, self.windows.across
        self.minimum("tiles", "tile_end - first", self.tiling.tile_rows)
        text.open("for (long t = 0; t < tiles; t++) {")
        self.digits(self.windows.tile_axes, "(first + t)", "row")
        text.line(f"{self.vector} tile[{self.places**2 * self.vectors}];")
        transform = result_transform(self.type, self.lanes, self.vectors, self.transforms)
        self.call(transform, f"products + t * {self.products * self.width}", "tile")
        text.open(f"for (long place = 0; place < {self.places**2}; place++) {{")
        for direction, digit in ((down, f"place / {self.places}"), (across, f"place % {self.places}")):
            self.place_digit("row", direction, digit)
            if self.windows.uneven(direction):
                text.line(f"if (row_{direction.place.name} >= {direction.place.extent}) continue;")
        self.epilogue("place")
        text.close()
        text.close()
