"""Dropout: in training, set values (or whole channels) to zero at random; in evaluation, nothing."""

from __future__ import annotations

from lazygrad.nn import functional as F
from lazygrad.nn.functional.dropout import checked_probability
from lazygrad.nn.module import Module
from lazygrad.tensor import Tensor


class _Dropout(Module):
    """What the dropout layers share."""

    _shown = ("p", "inplace")

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = checked_probability(p)
        self.inplace = inplace


class Dropout(_Dropout):
    """Set each value to zero with probability `p`, and divide the others by 1 - p: (*) -> (*).

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.Dropout(0.3).eval()(lg.ones(3)))
        tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Drop values of `input`, any shape."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Set each channel of each image to zero with probability `p`: (N, C, H, W) -> (N, C, H, W).

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.Dropout2d(1.0)(lg.ones(1, 2, 1, 2)))
        tensor([[[[0., 0.]],
        <BLANKLINE>
                 [[0., 0.]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Drop channels of `input` (N, C, H, W) or (C, H, W)."""
        return F.dropout2d(input, self.p, self.training, self.inplace)
