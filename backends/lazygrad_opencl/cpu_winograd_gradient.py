"""Gradients of convolutions by their weights, by Winograd's transforms, on processors: places are summed over.

    task (batch, channels, panels)
      block of tiles                    patches and cotangents are transformed
        product                         a matrix product for each: tiles are summed over
          panel of columns
            register tile               six channels x 16 columns; the sums wait in scratch memory for the next block
      panel of columns
        channel                         its 3 x 3 taps from the sums, then the epilogue, a tap at a time

Places beyond the last have cotangents of zero. An infinity or NaN among the places makes NaN of all taps of its
channel.
"""

from __future__ import annotations

from lazygrad.kernel.axes import point_count
from lazygrad.kernel.winograd import TAPS
from lazygrad.kernel.winograd_tiling import GradientTiling
from lazygrad_opencl.cpu_windows import WindowText
from lazygrad_opencl.skeleton import BodyCode, BodyContext
from lazygrad_opencl.winograd_functions import added_products
from lazygrad_opencl.winograd_text import write_transform

# A condition that no tile meets.
NEVER = "false"


def generate_taps(context: BodyContext, tiling: GradientTiling) -> BodyCode:
    """The body of a contraction that sums over places."""
    return _Taps(context, tiling).generate()


class _Taps(WindowText):
    """One contraction's text."""

    def __init__(self, context: BodyContext, tiling: GradientTiling) -> None:
        super().__init__(context, tiling.windows)
        self.tiling = tiling
        self.channel_tiles = -(-tiling.task_channels // tiling.tile_rows)
        # Register tiles read whole, so a row of patches has room for channels beyond the last.
        self.patch_row = self.padded(self.channel_tiles * tiling.tile_rows)
        self.patch_step = self.padded(tiling.block_tiles * self.patch_row)
        self.panel_step = tiling.block_tiles * self.width
        self.cotangent_step = self.padded(tiling.task_panels * self.panel_step)
        self.sums_panel_step = self.channel_tiles * tiling.tile_rows * self.width
        self.sums_step = self.padded(tiling.task_panels * self.sums_panel_step)

    def generate(self) -> BodyCode:
        form, tiling, text = self.form, self.tiling, self.text
        channels, tiles = self.windows.channel.extent, self.windows.tile_count
        channel_parts = -(-channels // tiling.task_channels)
        panel_parts = -(-form.panel_count // tiling.task_panels)
        tasks = point_count(form.batch) * channel_parts * panel_parts
        groups = min(tasks, tiling.most_groups)
        text.line(
            f"// {TAPS} x {TAPS} taps of {channels} channels x {form.panel_count} panels of {self.width} columns, "
            f"sums of {tiles} tiles of {self.places} x {self.places} places; "
            f"{tiling.tile_rows} channels at a time"
        )
        scratch = self.declare_scratch(
            {
                "patches": self.products * self.patch_step,
                "cotangents": self.products * self.cotangent_step,
                "sums": self.products * self.sums_step,
            }
        )
        self.open_tasks(tasks, groups)
        text.line(f"const long panel_begin = task % {panel_parts} * {tiling.task_panels};")
        self.minimum("panel_end", f"panel_begin + {tiling.task_panels}", form.panel_count)
        text.line(f"const long channel_begin = task / {panel_parts} % {channel_parts} * {tiling.task_channels};")
        self.minimum("channels", f"{channels} - channel_begin", tiling.task_channels)
        self.digits(form.batch, f"task / {panel_parts * channel_parts}", "batch")
        self.pointer("rows", form.rows_operand, form.batch, "batch", more="channel_begin")
        self.pointer("columns", form.columns_operand, form.batch, "batch")
        text.open(f"for (long first = 0; first < {tiles}; first += {tiling.block_tiles}) {{")
        self.minimum("tiles", f"{tiles} - first", tiling.block_tiles)
        text.open("for (long t = 0; t < tiles; t++) {")
        self.patch_pointer("(first + t)")
        text.line(f"__global float* const to = patches + t * {self.patch_row};")
        self.write_patches("channels", tiling.task_channels, self.patch_step)
        self._transform_cotangents()
        text.close()
        self._multiply()
        text.close()
        self._finish()
        text.close()
        return self.code(groups, scratch * groups)

    def _transform_cotangents(self) -> None:
        """Of tile ``t`` and all panels, to ``cotangents[product][panel][tile][column]``."""
        form, text, windows = self.form, self.text, self.windows
        operand = form.columns_operand
        text.open("for (long panel = panel_begin; panel < panel_end; panel++) {")
        self.digits(form.columns, "panel", "column")
        parts = [self.offset(operand, form.columns, "column"), self.offset(operand, windows.images, "tile")]
        inside: tuple[list[str], list[str]] = ([], [])  # on what condition a place of the tile exists
        for conditions, direction in zip(inside, (windows.down, windows.across), strict=True):
            tiles, step = windows.tiles(direction), operand.stride(direction.place)
            if tiles.extent > 1:
                parts.append(f"tile_{tiles.name} * {self.places * step}L")
            is_whole = f"tile_{tiles.name} < {tiles.extent - 1}" if tiles.extent > 1 else NEVER
            conditions += ["" if place < windows.last_places(direction) else is_whole for place in range(self.places)]
        text.line(f"__global const float* const from = {' + '.join(['columns', *filter(None, parts)])};")
        target = f"cotangents + (panel - panel_begin) * {self.panel_step} + t * {self.width}"
        text.line(f"__global float* const to = {target};")

        def element(i: int, j: int) -> str:
            if NEVER in (inside[0][i], inside[1][j]):
                return f"({self.vector})0"
            at = i * operand.stride(windows.down.place) + j * operand.stride(windows.across.place)
            value = f"*(__global const {self.unaligned}*)(from + lane + {at})"
            wanted = " && ".join(filter(None, (inside[0][i], inside[1][j])))
            return f"{wanted} ? {value} : ({self.vector})0" if wanted else value

        def keep(i: int, j: int, value: str) -> None:
            at = (i * self.side + j) * self.cotangent_step
            text.line(f"*(__global {self.vector}*)(to + lane + {at}) = {value};")

        text.open(f"for (long lane = 0; lane < {self.width}; lane += {self.lanes}) {{")
        write_transform(text, self.vector, self.places, self.transforms.cotangent, element, keep)
        text.close()
        text.close()

    def _multiply(self) -> None:
        """Adds the products of the block's tiles to ``sums[product][panel][channels][column]``."""
        text, height = self.text, self.tiling.tile_rows
        text.open(f"for (long product = 0; product < {self.products}; product++) {{")
        text.open("for (long panel = 0; panel < panel_end - panel_begin; panel++) {")
        columns = f"cotangents + product * {self.cotangent_step} + panel * {self.panel_step}"
        to = f"sums + product * {self.sums_step} + panel * {self.sums_panel_step}"
        add = added_products(self.type, self.lanes, self.vectors, height)
        a = f"patches + product * {self.patch_step}"
        self.call(add, a, columns, to, self.patch_row, "tiles", "channels", "first == 0")
        for _ in range(2):
            text.close()

    def _finish(self) -> None:
        """The taps of all channels and panels of the task, and their epilogues."""
        form, text, windows = self.form, self.text, self.windows
        text.open("for (long channel = 0; channel < channels; channel++) {")
        text.line(f"const long row_{windows.channel.name} = channel_begin + channel;")
        text.open("for (long panel = panel_begin; panel < panel_end; panel++) {")
        self.digits(form.columns, "panel", "column")
        text.line(f"{self.vector} tile[{TAPS * TAPS * self.vectors}];")
        text.open(f"for (long v = 0; v < {self.vectors}; v++) {{")
        text.line(
            f"__global const float* const from = sums + (panel - panel_begin) * {self.sums_panel_step}"
            f" + channel * {self.width} + v * {self.lanes};"
        )

        def element(i: int, j: int) -> str:
            return f"*(__global const {self.vector}*)(from + {(i * self.side + j) * self.sums_step})"

        def keep(i: int, j: int, value: str) -> None:
            text.line(f"tile[{(i * TAPS + j) * self.vectors} + v] = {value};")

        write_transform(text, self.vector, self.side, self.transforms.taps_gradient, element, keep)
        text.close()
        text.open(f"for (long tap = 0; tap < {TAPS * TAPS}; tap++) {{")
        for direction, digit in ((windows.down, f"tap / {TAPS}"), (windows.across, f"tap % {TAPS}")):
            value = f"{TAPS - 1} - {digit}" if direction.flipped else digit
            text.line(f"const long row_{direction.tap.name} = {value};")
        self.epilogue("tap")
        for _ in range(3):
            text.close()
