"""Layouts: where in a buffer each element of a tensor lies, as data.

A layout is a sum of parts; each part takes a digit of one axis's index and a stride. Row-major, permuted
(channels last), strided and blocked (panels of 16 columns) layouts are all of this form.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lazygrad.ir.index import Index, combination
from lazygrad.ir.shape import Shape, size_of


class Part(NamedTuple):
    """Adds ``((index[axis] // divisor) % extent) * stride`` to an element's address."""

    axis: int
    divisor: int
    extent: int
    stride: int


class Layout(NamedTuple):
    """The addresses, in elements from the buffer's start, of a tensor of ``shape``; ``size`` elements in all.

    ``offset`` is the address of the element at index zero: not 0 when a halo of zeros surrounds the elements.
    """

    shape: Shape
    parts: tuple[Part, ...]
    size: int
    offset: int = 0

    def address(self, point: Sequence[Index]) -> Index:
        """The address of the element at ``point``."""
        digits: list[tuple[Index, int]] = []
        for part in self.parts:
            digit = point[part.axis]
            if part.divisor > 1:
                digit = digit // part.divisor
            if part.divisor * part.extent < self.shape[part.axis]:
                digit = digit % part.extent
            digits.append((digit, part.stride))
        return combination(self.offset, digits)

    @property
    def is_row_major(self) -> bool:
        return self == row_major(self.shape)

    @property
    def strides(self) -> tuple[int, ...] | None:
        """One stride for each axis when no axis is split, else None."""
        found = [0] * len(self.shape)
        for part in self.parts:
            if part.divisor != 1 or part.extent != self.shape[part.axis]:
                return None
            found[part.axis] = part.stride
        return tuple(found)


@lru_cache(maxsize=4096)
def ordered(shape: Shape, order: tuple[int, ...]) -> Layout:
    """Dense, with the axes lying in ``order`` from the slowest to the fastest."""
    parts: list[Part] = []
    stride = 1
    for axis in reversed(order):
        if shape[axis] > 1:
            parts.append(Part(axis, 1, shape[axis], stride))
        stride *= shape[axis]
    return Layout(shape, tuple(reversed(parts)), size_of(shape))


def row_major(shape: Shape) -> Layout:
    """Dense, the last axis fastest."""
    return ordered(shape, tuple(range(len(shape))))


def strided(shape: Shape, strides: Sequence[int]) -> Layout:
    """Any non-negative strides; the size is what they reach."""
    parts = tuple(Part(axis, 1, e, s) for axis, (e, s) in enumerate(zip(shape, strides, strict=True)) if e > 1)
    return Layout(shape, parts, 1 + sum((p.extent - 1) * p.stride for p in parts) if size_of(shape) else 0)
