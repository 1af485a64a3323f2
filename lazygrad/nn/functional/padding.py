"""Padding: a border of one number, or of the tensor's own values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import bool_
from lazygrad.ir.node import Node
from lazygrad.ops.movement import Padding
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.joining import cat_nodes
from lazygrad.tensor.movement import part_of

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """A border around the last dimensions.

    Args:
        input: (*).
        pad: before and after, the last dimension first: (left, right, top, bottom, ...). A negative number
            cuts ("constant" only).
        mode: "constant", "reflect" (mirrored, without the edge), "replicate" (the edge's value) or
            "circular".
        value: what "constant" fills with; 0 unless given.

    >>> import lazygrad as lg
    >>> pad(lg.tensor([[1, 2]]), (1, 0, 0, 1), value=9)
    tensor([[9, 1, 2],
            [9, 9, 9]])
    """
    x = input._enter()
    if len(pad) % 2 or len(pad) > 2 * x.rank:
        raise RuntimeError(
            "pad: padding length must be divisible by 2 and at most twice the number of dimensions of "
            f"{list(x.shape)}, got {list(pad)}"
        )
    pairs = [(0, 0)] * (x.rank - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    if mode == "constant":
        return wrap(_constant(x, pairs, value), input, name="ConstantPadNd")
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    for axis, (before, after) in enumerate(pairs):
        x = _border(x, axis, before, after, mode)
    return wrap(x, input, name=f"{mode.capitalize()}ionPad" if mode == "reflect" else f"{mode.capitalize()}Pad")


def _constant(x: Node, pairs: list[tuple[int, int]], value: float | None) -> Node:
    paddings = tuple(Padding(before, after) for before, after in pairs)
    padded = ops.pad(x, paddings)
    if not value:
        return padded
    inside = ops.pad(ops.constant(True, x.shape, bool_, x.device), paddings)
    return ops.where(inside, padded, ops.constant(value, padded.shape, x.dtype, x.device))


def _border(x: Node, axis: int, before: int, after: int, mode: str) -> Node:
    if not before and not after:
        return x
    extent = x.shape[axis]
    largest = {"reflect": extent - 1, "replicate": max(before, after), "circular": extent}[mode]
    if min(before, after) < 0 or max(before, after) > largest or not extent:
        raise RuntimeError(
            f"pad: padding ({before}, {after}) in mode {mode} must be from 0 to {largest} for extent "
            f"{extent} of dimension {axis} of {list(x.shape)}"
        )
    parts = [x]
    if mode == "circular":
        parts = [part_of(x, axis, extent - before, extent), x, part_of(x, axis, 0, after)]
    elif mode == "reflect":
        first, last = part_of(x, axis, 1, before + 1), part_of(x, axis, extent - 1 - after, extent - 1)
        parts = [ops.flip(first, (axis,)), x, ops.flip(last, (axis,))]
    else:
        first, last = part_of(x, axis, 0, 1), part_of(x, axis, extent - 1, extent)
        parts = [_repeated(first, axis, before), x, _repeated(last, axis, after)]
    return cat_nodes([part for part in parts if part.shape[axis]], axis)


def _repeated(x: Node, axis: int, count: int) -> Node:
    if not count:
        return part_of(x, axis, 0, 0)
    return ops.expand(x, tuple(count if a == axis else e for a, e in enumerate(x.shape)))
