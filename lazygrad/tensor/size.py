"""Size: what ``tensor.shape`` is, a tuple that prints its kind."""

from __future__ import annotations

import math


class Size(tuple[int, ...]):
    """The extents of a tensor. A tuple in every respect but its printed form.

    >>> Size((2, 3)), Size((2, 3)).numel(), Size((2, 3)) == (2, 3)
    (lazygrad.Size([2, 3]), 6, True)
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this size."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"lazygrad.Size({list(self)})"
