"""Dropout: in training, elements (or whole channels) set to zero at random, the others scaled up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import float32
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.inplace import check_writable, rebind
from lazygrad.tensor.operands import spread
from lazygrad.tensor.random import uniform_node

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


def _dropped(input: Tensor, p: float, shape: tuple[int, ...], inplace: bool, name: str) -> Tensor:
    """``input`` with zeros where a uniform number of ``shape`` (which broadcasts) is below ``p``."""
    if inplace:
        check_writable(input)
    x = input._enter()
    if p == 1:
        node = ops.mul(x, 0.0)
    else:
        keep = ops.le(p, uniform_node(shape, float32, x.device, None))
        node = ops.where(spread(keep, x.shape), ops.mul(x, 1 / (1 - p)), 0.0)
    result = wrap(node, input, name="NativeDropout")
    return rebind(input, result, name + "_") if inplace else result


def checked_probability(p: float) -> float:
    """``p``; ValueError when it is no probability."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element zero with probability ``p``, the others divided by 1 - p; unchanged unless ``training``.

    The random numbers are the default generator's next call (see ``manual_seed``).

    >>> import lazygrad as lg
    >>> kept = dropout(lg.ones(1000), 0.5)
    >>> bool(((kept == 0) | (kept == 2)).all())
    True
    """
    if checked_probability(p) == 0 or not training:
        return input
    return _dropped(input, p, input._cell.node.shape, inplace, "dropout")


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each channel of (N, C, L) or (C, L) zero with probability ``p``."""
    return _channels(input, p, training, inplace, 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each channel of (N, C, H, W) or (C, H, W) zero with probability ``p``."""
    return _channels(input, p, training, inplace, 2)


def _channels(input: Tensor, p: float, training: bool, inplace: bool, rank: int) -> Tensor:
    shape = input._cell.node.shape
    if len(shape) not in (rank + 1, rank + 2):
        raise RuntimeError(f"dropout{rank}d: expected {rank + 1}D or {rank + 2}D input, got {list(shape)}")
    if checked_probability(p) == 0 or not training:
        return input
    return _dropped(input, p, (*shape[:-rank], *(1 for _ in range(rank))), inplace, f"dropout{rank}d")
