"""Contractions whose windows of 3 x 3 move by single steps: what Winograd's transforms need to know of them.

In: a contraction's ``Form``. Out: a ``WindowForm``, if in the rows' addresses two axes are sums of a place and a tap:
one step of either moves the address by the same distance. Then a 2 x 2 tile of places needs a 4 x 4 patch of elements,
and F(2x2, 3x3) computes it with 16 multiplications instead of 36 (Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks", 2015; Winograd, "Arithmetic Complexity of Computations", 1980). With matrices A, B and G

    Y = A^T [(G g G^T) * (B^T d B)] A          results of a tile; g the taps, d the patch, * elementwise
    dg = G^T [(B^T d B) * (A dY A^T)] G        its derivative by the taps

where products of the 16 elements are summed over channels in the first, over tiles in the second. Whether places are
what is computed (a convolution, its gradient by its input) or what is summed over (its gradient by its weights) is all
that distinguishes the two. Neither is recognised by an operation's name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from lazygrad.ir.dtype import float32
from lazygrad.ir.index import Index, Variable
from lazygrad.kernel.axes import point_count
from lazygrad.kernel.contraction import Form, Operand
from lazygrad.kernel.kernel import Body
from lazygrad.kernel.substitution import substitute_stages

TAPS = 3
# Places of a tile in one direction, elements of its patch, and products of a tile.
TILE = 2
PATCH = TILE + TAPS - 1
PRODUCTS = PATCH * PATCH

# The transforms of one direction: each result as an expression of the elements {0}, {1}, ...; B^T, G, A^T, A and G^T.
PATCH_TRANSFORM = ("{0} - {2}", "{1} + {2}", "{2} - {1}", "{1} - {3}")
TAPS_TRANSFORM = ("{0}", "0.5f * ({0} + {2}) + 0.5f * {1}", "0.5f * ({0} + {2}) - 0.5f * {1}", "{2}")
RESULT_TRANSFORM = ("{0} + {1} + {2}", "{1} - {2} - {3}")
COTANGENT_TRANSFORM = ("{0}", "{0} + {1}", "{0} - {1}", "-{1}")
TAPS_GRADIENT_TRANSFORM = ("{0} + 0.5f * ({1} + {2})", "0.5f * ({1} - {2})", "0.5f * ({1} + {2}) + {3}")


class Direction(NamedTuple):
    """One of the two directions of a window: ``place`` and ``tap`` move the rows by ``step`` elements.

    ``flipped``: taps are counted against places, as in a convolution's gradient by its input.
    """

    place: Variable
    tap: Variable
    step: int
    flipped: bool

    @property
    def tiles(self) -> Variable:
        """The axis that numbers tiles."""
        return Variable(f"{self.place.name}t", -(-self.place.extent // TILE))

    @property
    def uneven(self) -> bool:
        """Whether the last tile has one place only."""
        return self.place.extent % TILE > 0


@dataclass(frozen=True)
class WindowForm:
    """A contraction of windows.

    ``images`` are the axes along which whole planes of places follow each other. ``sums_places``: places are summed
    over, and each tap has a result; else taps and channels are summed over.
    """

    form: Form
    down: Direction
    across: Direction
    channel: Variable
    images: tuple[Variable, ...]
    sums_places: bool

    @property
    def tile_axes(self) -> tuple[Variable, ...]:
        """The axes that number tiles."""
        return (*self.images, self.down.tiles, self.across.tiles)

    @property
    def tile_count(self) -> int:
        return point_count(self.tile_axes)


def find_windows(form: Form) -> WindowForm | None:
    """The windows of a float32 contraction; None where it has none, or steps by more than one element at a time."""
    if form.dtype is not float32:
        return None
    form = _with_taps(form)
    return _of(form, form.rows, form.summed, False) or _of(form, form.summed, form.rows, True)


def _with_taps(form: Form) -> Form:
    """With taps and channels as two axes where they follow each other in all operands, and were one."""
    for axis in (*form.rows, *form.summed):
        stride = form.rows_operand.stride(axis)
        for place in form.rows if axis in form.summed else form.summed:
            step = form.rows_operand.stride(place)
            if stride > 0 and abs(step) != stride and abs(step) * TAPS == axis.extent * stride:
                return _with_taps(_split(form, axis, TAPS))
    return form


def _split(form: Form, axis: Variable, count: int) -> Form:
    """With ``count`` times an axis of the rest in place of that axis."""
    outer, inner = Variable(f"{axis.name}o", count), Variable(f"{axis.name}i", axis.extent // count)
    value = {axis: Index(0, ((outer, inner.extent), (inner, 1)))}

    def replaced(axes: tuple[Variable, ...]) -> tuple[Variable, ...]:
        return tuple(new for old in axes for new in ((outer, inner) if old is axis else (old,)))

    def operand(old: Operand) -> Operand:
        strides = {each: stride for each, stride in old.strides.items() if each is not axis}
        stride = old.stride(axis)
        return Operand(old.access, old.start, strides | {outer: stride * inner.extent, inner: stride})

    return replace(
        form,
        body=Body(replaced(form.body.axes), substitute_stages(form.body.stages, value)),
        rows_operand=operand(form.rows_operand),
        columns_operand=operand(form.columns_operand),
        rows=replaced(form.rows),
        summed=replaced(form.summed),
    )


def _of(form: Form, places: tuple[Variable, ...], taps: tuple[Variable, ...], sums_places: bool) -> WindowForm | None:
    """With places and taps among these axes; what else is among the second must be the channels."""
    directions = _directions(form, places, taps)
    if len(directions) != 2:
        return None
    down, across = directions
    channels = [axis for axis in taps if axis not in (down.tap, across.tap) and axis.extent > 1]
    if len(channels) != 1 or form.rows_operand.stride(channels[0]) != 1:
        return None
    images = tuple(axis for axis in places if axis not in (down.place, across.place))
    return WindowForm(form, down, across, channels[0], images, sums_places)


def _directions(form: Form, places: tuple[Variable, ...], taps: tuple[Variable, ...]) -> list[Direction]:
    """Pairs of a place and a tap that move the rows' address alike; no axis is in two of them."""
    found: list[Direction] = []
    for tap in (axis for axis in taps if axis.extent == TAPS):
        move = form.rows_operand.stride(tap)
        taken = [direction.place for direction in found]
        for place in places:
            step = form.rows_operand.stride(place)
            if step and abs(step) == abs(move) and place.extent > 1 and place not in taken:
                found.append(Direction(place, tap, step, step != move))
                break
    return found
