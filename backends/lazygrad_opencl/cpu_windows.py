"""What both forms of Winograd's contractions write alike: patches, and register tiles of products.

In: a ``WindowForm``. Names in the text: ``rows`` points to the batch's rows, and ``channel`` counts channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lazygrad.kernel.contraction import Operand
from lazygrad.kernel.winograd import PATCH, PATCH_TRANSFORM, TAPS, TILE, Direction, WindowForm
from lazygrad_opencl.cpu_contraction_text import ContractionText
from lazygrad_opencl.skeleton import BodyContext
from lazygrad_opencl.sum_loops import Step, Walk, write_loops
from lazygrad_opencl.winograd_text import write_transform

# Pieces of scratch memory begin at cache lines of their own.
ALIGNMENT = 128
# Elements between rows beyond their length: steps of a power of two would meet in a few sets of the first-level cache.
PADDING = 16


class WindowText(ContractionText):
    """The text of one contraction of windows."""

    def __init__(self, context: BodyContext, windows: WindowForm) -> None:
        super().__init__(context, windows.form)
        self.windows = windows

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

    def accumulators(self, height: int) -> list[tuple[int, int]]:
        """Row and vector of each sum of a register tile."""
        return [(r, v) for r in range(height) for v in range(self.vectors)]

    def place_digit(self, prefix: str, direction: Direction, digit: str) -> None:
        """Declares which place of the direction that digit of the tile is."""
        tile = f"{prefix}_{direction.tiles.name} * {TILE} + " if direction.tiles.extent > 1 else ""
        self.text.line(f"const long {prefix}_{direction.place.name} = {tile}{digit};")

    def patch_pointer(self, tile: str) -> None:
        """``from``: where the patch of that tile begins; ``down0`` to ``across3``: how far its rows and columns are.

        Beyond the last place a patch reads its last row or column again.
        """
        windows, text, operand = self.windows, self.text, self.form.rows_operand
        self.digits(windows.tile_axes, tile, "tile")
        parts = [self.offset(operand, windows.images, "tile")]
        for name, direction in (("down", windows.down), ("across", windows.across)):
            if direction.tiles.extent > 1:
                parts.append(f"tile_{direction.tiles.name} * {TILE * direction.step}L")
            if direction.flipped:
                parts.append(f"{-(TAPS - 1) * direction.step}L")
            steps = [str(number * direction.step) for number in range(PATCH)]
            if direction.uneven:
                last = f"tile_{direction.tiles.name} == {direction.tiles.extent - 1} ? {steps[-2]} : {steps[-1]}"
                steps[-1] = last if direction.tiles.extent > 1 else steps[-2]
            text.line("const long " + ", ".join(f"{name}{number} = {step}" for number, step in enumerate(steps)) + ";")
        text.line(f"__global const {self.type}* const from = {' + '.join(['rows', *filter(None, parts)])};")

    def write_patches(self, channels: str, product_step: int) -> None:
        """The transformed patch at ``from``, to ``to`` plus ``product_step`` for each product, channel by channel."""
        text = self.text

        def transform(type_: str, load: str, store: str) -> None:
            def element(i: int, j: int) -> str:
                return load.format(f"channel + down{i} + across{j}")

            def keep(i: int, j: int, value: str) -> None:
                text.line(f"{store.format(f'channel + {(i * PATCH + j) * product_step}')} = {value};")

            write_transform(text, type_, PATCH, PATCH_TRANSFORM, element, keep)

        text.line("long channel = 0;")
        text.open(f"for (; channel <= {channels} - {self.lanes}; channel += {self.lanes}) {{")
        load, store = f"*(__global const {self.unaligned}*)(from + {{}})", f"*(__global {self.vector}*)(to + {{}})"
        transform(self.vector, load, store)
        text.close()
        if self.windows.channel.extent % self.lanes:
            text.open(f"for (; channel < {channels}; channel++) {{")
            transform(self.type, "from[{}]", "to[{}]")
            text.close()

    def write_panel(self, transform: Callable[[str, str, str, str], None]) -> None:
        """A transform of the panel's columns at ``from`` to ``to``, a vector at a time; one column at a time in a last
        panel that would be read beyond the buffer.

        ``transform(type, load, store, condition)`` writes it: how an offset is loaded, on what condition, and stored.
        """
        text = self.text
        if self.form.overreaches:
            self.valid()
            text.open(f"if (valid < {self.width}) {{")
            text.open(f"for (long lane = 0; lane < {self.width}; lane++) {{")
            transform(self.type, "from[lane + {}]", "to[lane + {}]", "lane < valid")
            text.close()
            text.close()
            text.open("else {")
        text.open(f"for (long lane = 0; lane < {self.width}; lane += {self.lanes}) {{")
        load = f"*(__global const {self.unaligned}*)(from + lane + {{}})"
        transform(self.vector, load, f"*(__global {self.vector}*)(to + lane + {{}})", "")
        text.close()
        if self.form.overreaches:
            text.close()

    def tap_offset(self, operand: Operand, i: int, j: int) -> int:
        """How far tap (i, j), counted as places are, is from the first in the operand."""
        windows = self.windows
        return sum(
            (TAPS - 1 - tap if direction.flipped else tap) * operand.stride(direction.tap)
            for direction, tap in ((windows.down, i), (windows.across, j))
        )

    def write_product(self, height: int, length: int | str, a_steps: tuple[int, int], b_step: int) -> None:
        """Sums c0_0, ... of elements of ``a``, ``a_steps`` apart for a step and for a row, times vectors of ``b``."""
        text = self.text
        along, row = a_steps
        for r in range(height):
            text.line(f"__global const {self.type}* const a{r} = a + {r * row};")
        text.line(f"{self.vector} {', '.join(f'c{r}_{v} = 0' for r, v in self.accumulators(height))};")

        def multiply(step: Step) -> None:
            text.open("{")
            for v in range(self.vectors):
                at = step.offset(1, v * self.lanes)
                text.line(f"const {self.vector} w{v} = *(__global const {self.vector}*)(b + {at});")
            for r in range(height):
                updates = " ".join(f"c{r}_{v} = x * w{v} + c{r}_{v};" for v in range(self.vectors))
                text.line(f"{{ const {self.type} x = a{r}[{step.offset(0)}]; {updates} }}")
            text.close()

        write_loops(text, [Walk(length, (along, b_step))], multiply)
