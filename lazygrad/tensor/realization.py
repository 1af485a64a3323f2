"""From tensors to computed elements: when things run, and how their elements reach the host.

In: tensors. Out: buffers in their cells, or NumPy arrays. Only these functions, the flush of an overlong
graph and the first use of an updated leaf run anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy

from lazygrad import runtime
from lazygrad.tensor.cells import Cell, value_of
from lazygrad.tensor.handle import Handle, compute, flush
from lazygrad.tensor.recording import refuse

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def realize(*tensors: Tensor | Iterable[Tensor]) -> None:
    """Computes the tensors, and with them whatever in-place updates and backward passes left pending.

    The work is submitted as one graph and not waited for. Afterwards tensors without autograd history hold
    buffers, and the graphs behind them are gone; those with history keep it, and know their value.

    Args:
        tensors: tensors, or iterables of tensors.

    >>> import lazygrad as lg
    >>> x = lg.ones(2) + 1
    >>> lg.realize(x)
    >>> x
    tensor([2., 2.])
    """
    cells: dict[int, Cell] = {}
    for given in tensors:
        for tensor in (given,) if isinstance(given, Handle) else given:
            cell = own_cell(tensor)
            cells[id(cell)] = cell
    flush(cells.values())


def realize_only(tensor: Handle) -> None:
    """Computes one tensor, and nothing else."""
    compute([own_cell(tensor)])


def own_cell(tensor: Handle) -> Cell:
    """The cell of a tensor; a detached twin that outlived its tensor with history gets one of its own."""
    cell = tensor._cell
    if cell.history and not tensor._requires_grad and (tensor._origin is None or tensor._origin() is None):
        cell = tensor._cell = cell.without_history()
    return cell


def to_host(tensor: Handle) -> numpy.ndarray[Any, Any]:
    """The elements of a tensor as a new array. Runs what is needed for it, and waits."""
    refuse("read the elements of a tensor")
    cell = own_cell(tensor)
    while (result := value_of(cell).result) is None:  # again where it has been updated in the meantime
        compute([cell])
    return runtime.to_host(result)
