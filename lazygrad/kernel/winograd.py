"""Contractions whose windows of 3 x 3 move by single steps: what Winograd's transforms need to know of them.

In: a contraction's ``Form``. Out: a ``WindowForm``, if in the rows' addresses two axes are sums of a place and a tap:
one step of either moves the address by the same distance. Then a tile of t x t places needs a patch of
(t + 2) x (t + 2) elements, and F(t x t, 3 x 3) computes it with one multiplication for each of these instead of nine
for each place: 16 instead of 36, or 36 instead of 144 (Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks", 2015; Winograd, "Arithmetic Complexity of Computations", 1980). With matrices A, B and G

    Y = A^T [(G g G^T) * (B^T d B)] A          results of a tile; g the taps, d the patch, * elementwise
    dg = G^T [(B^T d B) * (A dY A^T)] G        its derivative by the taps

where products of the elements are summed over channels in the first, over tiles in the second. Whether places are
what is computed (a convolution, its gradient by its input) or what is summed over (its gradient by its weights) is all
that distinguishes the two. Neither is recognised by an operation's name.

The matrices evaluate and interpolate polynomials at points of our choice, which decides how results are rounded. For
tiles of four 0, +-sqrt(1/2), +-sqrt(2) and infinity have half the error of the usual 0, +-1, +-2 and infinity: the two
roots are each other's inverses, so that no power of a point is far from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import NamedTuple

from lazygrad.ir.dtype import float32
from lazygrad.ir.index import Index, Variable
from lazygrad.kernel.axes import point_count
from lazygrad.kernel.contraction import Form, Operand
from lazygrad.kernel.kernel import Body
from lazygrad.kernel.substitution import substitute_stages

TAPS = 3


class Transforms(NamedTuple):
    """F(tile x tile, 3 x 3): the transforms of one direction, each result as an expression of elements {0}, {1}, ...

    ``patch`` is B^T, ``taps`` G, ``result`` A^T, ``cotangent`` A and ``taps_gradient`` G^T.
    """

    tile: int
    patch: tuple[str, ...]
    taps: tuple[str, ...]
    result: tuple[str, ...]
    cotangent: tuple[str, ...]
    taps_gradient: tuple[str, ...]

    @property
    def side(self) -> int:
        """Of a patch, and of the square of its products."""
        return self.tile + TAPS - 1

    @property
    def products(self) -> int:
        """Multiplications of a tile."""
        return self.side * self.side


F2 = Transforms(
    2,
    patch=("{0} - {2}", "{1} + {2}", "{2} - {1}", "{1} - {3}"),
    taps=("{0}", "0.5f * ({0} + {2}) + 0.5f * {1}", "0.5f * ({0} + {2}) - 0.5f * {1}", "{2}"),
    result=("{0} + {1} + {2}", "{1} - {2} - {3}"),
    cotangent=("{0}", "{0} + {1}", "{0} - {1}", "-{1}"),
    taps_gradient=("{0} + 0.5f * ({1} + {2})", "0.5f * ({1} - {2})", "0.5f * ({1} + {2}) + {3}"),
)


def _both(even: str, odd: str) -> tuple[str, str]:
    """Of points of either sign: even powers and odd ones are the same but for the sign."""
    return f"({even}) + ({odd})", f"({even}) - ({odd})"


_NEAR, _FAR = f"{sqrt(0.5):.9g}f", f"{sqrt(2):.9g}f"  # the points
_HALF_NEAR, _TWICE_FAR = f"{sqrt(0.5) / 2:.9g}f", f"{sqrt(2) * 2:.9g}f"  # their third powers
# The points' products of differences: -3/2 and 6, so G has -2/3 and 1/6.
_NEAR_TAP, _FAR_TAP = f"{sqrt(0.5) / -1.5:.9g}f", f"{sqrt(2) / 6:.9g}f"
_TWO_THIRDS, _SIXTH, _THIRD = f"{2 / 3:.9g}f", f"{1 / 6:.9g}f", f"{1 / 3:.9g}f"
F4 = Transforms(
    4,
    patch=(
        "{0} - 2.5f * {2} + {4}",
        *_both("{4} - 2.0f * {2}", f"{_NEAR} * ({{3}} - 2.0f * {{1}})"),
        *_both("{4} - 0.5f * {2}", f"{_FAR} * ({{3}} - 0.5f * {{1}})"),
        "{1} - 2.5f * {3} + {5}",
    ),
    taps=(
        "{0}",
        *_both(f"-{_TWO_THIRDS} * {{0}} - {_THIRD} * {{2}}", f"{_NEAR_TAP} * {{1}}"),
        *_both(f"{_SIXTH} * {{0}} + {_THIRD} * {{2}}", f"{_FAR_TAP} * {{1}}"),
        "{2}",
    ),
    result=(
        "{0} + ({1} + {2}) + ({3} + {4})",
        f"{_NEAR} * ({{1}} - {{2}}) + {_FAR} * ({{3}} - {{4}})",
        "0.5f * ({1} + {2}) + 2.0f * ({3} + {4})",
        f"{_HALF_NEAR} * ({{1}} - {{2}}) + {_TWICE_FAR} * ({{3}} - {{4}}) + {{5}}",
    ),
    cotangent=(
        "{0}",
        *_both("{0} + 0.5f * {2}", f"{_NEAR} * {{1}} + {_HALF_NEAR} * {{3}}"),
        *_both("{0} + 2.0f * {2}", f"{_FAR} * {{1}} + {_TWICE_FAR} * {{3}}"),
        "{3}",
    ),
    taps_gradient=(
        f"{{0}} - {_TWO_THIRDS} * ({{1}} + {{2}}) + {_SIXTH} * ({{3}} + {{4}})",
        f"{_NEAR_TAP} * ({{1}} - {{2}}) + {_FAR_TAP} * ({{3}} - {{4}})",
        f"{_THIRD} * (({{3}} + {{4}}) - ({{1}} + {{2}})) + {{5}}",
    ),
)
TRANSFORMS = (F2, F4)


class Direction(NamedTuple):
    """One of the two directions of a window: ``place`` and ``tap`` move the rows by ``step`` elements.

    ``flipped``: taps are counted against places, as in a convolution's gradient by its input.
    """

    place: Variable
    tap: Variable
    step: int
    flipped: bool


@dataclass(frozen=True)
class WindowForm:
    """A contraction of windows.

    ``images`` are the axes along which whole planes of places follow each other. ``sums_places``: places are summed
    over, and each tap has a result; else taps and channels are summed over. ``transforms``: those by which it is to
    be computed.
    """

    form: Form
    down: Direction
    across: Direction
    channel: Variable
    images: tuple[Variable, ...]
    sums_places: bool
    transforms: Transforms = F2

    def tiles(self, direction: Direction) -> Variable:
        """The axis that numbers tiles in that direction."""
        return Variable(f"{direction.place.name}t", -(-direction.place.extent // self.transforms.tile))

    def last_places(self, direction: Direction) -> int:
        """Of the last tile in that direction."""
        return direction.place.extent - (self.tiles(direction).extent - 1) * self.transforms.tile

    def uneven(self, direction: Direction) -> bool:
        """Whether the last tile in that direction has fewer places than the others."""
        return self.last_places(direction) < self.transforms.tile

    @property
    def tile_axes(self) -> tuple[Variable, ...]:
        """The axes that number tiles."""
        return (*self.images, self.tiles(self.down), self.tiles(self.across))

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
