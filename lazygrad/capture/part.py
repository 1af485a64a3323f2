"""Parts: what a replay has to look at, which is everything outside, or what may be otherwise than the last one left it.

In: everything that a program reads and makes, and what of it is *settled*: the next replay will find it as it is and
leave it where it is, unless somebody asks for it in between, which a deposit tells (``lazygrad.tensor.deposit``). Out:
the rest.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Any, NamedTuple

from lazygrad.ir.layout import Layout
from lazygrad.ir.shape import Shape
from lazygrad.runtime import Buffer
from lazygrad.schedule.schedule import SlotDeclaration
from lazygrad.tensor import Tensor
from lazygrad.tensor.cells import Cell

if TYPE_CHECKING:
    from lazygrad.capture.outside import Places
    from lazygrad.runtime.repetition import Repetition


class View(NamedTuple):
    """The part of a tensor that a leaf is: its shape and layout, and its offset in the whole."""

    shape: Shape
    layout: Layout
    offset: int


class Leaf(NamedTuple):
    """A leaf that is a tensor from outside, the one at ``position`` among these, or a part of it."""

    slot: int
    position: int
    view: View | None

    def of(self, whole: Buffer) -> Buffer:
        """The leaf's buffer."""
        if self.view is None:
            return whole
        shape, layout, offset = self.view
        return Buffer(whole.allocation, shape, whole.dtype, whole.device, layout, whole.offset + offset, is_window=True)


class Gradient(NamedTuple):
    """A tensor whose ``.grad`` becomes a new tensor."""

    of: Tensor


class MadeGradient(NamedTuple):
    """The slot of a result that becomes the gradient of a Tensor."""

    slot: int
    declared: SlotDeclaration
    of: Any


class Part(NamedTuple):
    """What a replay looks at.

    ``positions`` are those of tensors from outside, ``leaves`` are read from them, ``replaced`` are the slots of leaves
    that the program makes anew, with their cells, and ``targets`` the numbers of results with what becomes them.
    """

    positions: list[int]
    leaves: list[Leaf]
    replaced: list[tuple[int, Cell]]
    gradients: list[MadeGradient]
    targets: list[tuple[int, Cell | Gradient | int]]

    def without(self, positions: Set[int], slots: Set[int], cells: Set[Cell], gradients: Set[int]) -> Part:
        """The part without what is settled: positions, slots of leaves, cells, and slots of gradients."""
        owners = {id(gradient.of) for gradient in self.gradients if gradient.slot in gradients}
        return Part(
            [position for position in self.positions if position not in positions],
            [leaf for leaf in self.leaves if leaf.position not in positions],
            [(slot, cell) for slot, cell in self.replaced if slot not in slots],
            [gradient for gradient in self.gradients if gradient.slot not in gradients],
            [
                (number, target)
                for number, target in self.targets
                if not (target in cells if isinstance(target, Cell) else _is_of(target, owners))
            ],
        )


def _is_of(target: Gradient | int, owners: Set[int]) -> bool:
    return isinstance(target, Gradient) and id(target.of) in owners


class Left(NamedTuple):
    """What a replay that finds nothing touched need not look for.

    ``thread`` is the one that writes it all. ``loose`` is what is to be looked at, which comes from ``places``;
    ``repetition`` knows where the rest is. ``asked`` are the numbers of the results that it is asked for, ``settled``
    numbers and buffers of those that are in place.
    """

    thread: int
    loose: Part
    places: Places
    repetition: Repetition
    asked: list[int]
    settled: list[tuple[int, Buffer]]
