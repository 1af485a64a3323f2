"""What both forms of Winograd's contractions write alike: patches, and register tiles of products.

In: a ``WindowForm``. Names in the text: ``rows`` points to the batch's rows, and ``channel`` counts channels.
"""

from __future__ import annotations

from collections.abc import Mapping

from lazygrad.kernel.contraction import Operand
from lazygrad.kernel.winograd import TAPS, Direction, WindowForm
from lazygrad.kernel.winograd_tiling import patch_lanes
from lazygrad_opencl.cpu_contraction_text import ContractionText
from lazygrad_opencl.skeleton import BodyContext
from lazygrad_opencl.winograd_functions import patch_transform

# Pieces of scratch memory begin at cache lines of their own.
ALIGNMENT = 128
# Elements between rows beyond their length: steps of a power of two would meet in a few sets of the first-level cache.
PADDING = 16


class WindowText(ContractionText):
    """The text of one contraction of windows."""

    def __init__(self, context: BodyContext, windows: WindowForm) -> None:
        super().__init__(context, windows.form)
        self.windows = windows
        self.transforms = windows.transforms
        self.places = self.transforms.tile  # of a tile, in one direction
        self.side = self.transforms.side  # of a patch
        self.products = self.transforms.products

    def padded(self, length: int) -> int:
        """The step between rows of that many elements: whole vectors, and some more."""
        return -(-length // PADDING) * PADDING + PADDING

    def declare_scratch(self, pieces: Mapping[str, int]) -> int:
        """Pointers to pieces of so many elements; returns the bytes of a work-group."""
        starts, total = {}, 0
        for name, elements in pieces.items():
            starts[name] = total
            total += -(-elements * self.form.dtype.itemsize // ALIGNMENT) * ALIGNMENT
        for name, start in starts.items():
            self.text.line(
                f"__global {self.type}* const {name} = (__global {self.type}*)(scratch + group * {total}L + {start});"
            )
        return total

    def place_digit(self, prefix: str, direction: Direction, digit: str) -> None:
        """Declares which place of the direction that digit of the tile is."""
        tiles = self.windows.tiles(direction)
        tile = f"{prefix}_{tiles.name} * {self.places} + " if tiles.extent > 1 else ""
        self.text.line(f"const long {prefix}_{direction.place.name} = {tile}{digit};")

    def patch_pointer(self, tile: str) -> None:
        """``from``: where the patch of that tile begins; ``last_down``, ``last_across``: its last row and column.

        Beyond the last place there are none, so the patch's function reads these again.
        """
        windows, text, operand = self.windows, self.text, self.form.rows_operand
        self.digits(windows.tile_axes, tile, "tile")
        parts = [self.offset(operand, windows.images, "tile")]
        for name, direction in (("down", windows.down), ("across", windows.across)):
            tiles = windows.tiles(direction)
            if tiles.extent > 1:
                parts.append(f"tile_{tiles.name} * {self.places * direction.step}L")
            if direction.flipped:
                parts.append(f"{-(TAPS - 1) * direction.step}L")
            last = str(self.side - 1)
            if windows.uneven(direction):
                is_last = f"tile_{tiles.name} == {tiles.extent - 1}"
                again = str(windows.last_places(direction) + TAPS - 2)
                last = f"{is_last} ? {again} : {last}" if tiles.extent > 1 else again
            text.line(f"const long last_{name} = {last};")
        text.line(f"__global const {self.type}* const from = {' + '.join(['rows', *filter(None, parts)])};")

    def write_patches(self, channels: str, most: int, product_step: int) -> None:
        """The transformed patch at ``from``, to ``to`` plus ``product_step`` for each product, channel by channel, of
        which there are at most that many.
        """
        lanes = patch_lanes(most, self.context.machine.lanes(self.form.dtype.itemsize))
        is_whole = self.windows.channel.extent % lanes == 0 and most % lanes == 0
        down, across = self.windows.down.step, self.windows.across.step
        steps = (down, "last_down", across, "last_across", product_step)
        self.call(patch_transform(self.type, lanes, self.transforms, is_whole), "from", "to", *steps, channels)

    def tap_offset(self, operand: Operand, i: int, j: int) -> int:
        """How far tap (i, j), counted as places are, is from the first in the operand."""
        windows = self.windows
        return sum(
            (TAPS - 1 - tap if direction.flipped else tap) * operand.stride(direction.tap)
            for direction, tap in ((windows.down, i), (windows.across, j))
        )
