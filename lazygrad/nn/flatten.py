"""Flatten and Unflatten: several dimensions into one, and back."""

from __future__ import annotations

from lazygrad.nn.module import Module
from lazygrad.tensor import Tensor


class Flatten(Module):
    """Join the dimensions from `start_dim` to `end_dim`; by default all but the first.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.Flatten()(lg.ones(4, 3, 2, 2)).shape)
        (4, 12)
    """

    _shown = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Flatten `input`."""
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Module):
    """Split dimension `dim` into `unflattened_size`, one entry of which may be -1.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.Unflatten(1, (3, -1))(lg.ones(4, 12)).shape)
        (4, 3, 4)
    """

    _shown = ("dim", "unflattened_size")

    def __init__(self, dim: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        super().__init__()
        if not all(isinstance(size, int) for size in unflattened_size):
            raise TypeError(f"unflattened_size must be a tuple of ints, but found {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """Unflatten `input`."""
        return input.unflatten(self.dim, self.unflattened_size)
