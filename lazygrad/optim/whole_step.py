"""Steps that happen whole or not at all: what an optimizer goes back to when a step is cut short.

In: an optimizer before its update. Out, after an exception in the middle (Ctrl-C, a kernel that cannot be compiled, no
memory): parameters, state and counters as they were. Once the device has been told to overwrite old values there is no
way back, and no need for one: a device is told everything or nothing, so the update is complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lazygrad.ir.node import Node
from lazygrad.runtime.interrupts import undivided
from lazygrad.tensor import Tensor
from lazygrad.tensor.cells import Cell

if TYPE_CHECKING:
    from lazygrad.optim.optimizer import Optimizer


class _Value(NamedTuple):
    """What a tensor is bound to."""

    tensor: Tensor
    cell: Cell
    node: Node
    history: bool
    depth: int
    name: str | None

    def is_there(self) -> bool:
        """Whether the elements have not been overwritten."""
        result = self.node.result
        return result is None or not result.is_overwritten

    def bind(self) -> None:
        """Binds the tensor to it again."""
        cell = self.cell
        cell.node, cell.history, cell.depth, cell.name = self.node, self.history, self.depth, self.name
        self.tensor._cell = cell


class Before:
    """Parameters and state from before a step."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._states = {parameter: dict(state) for parameter, state in optimizer.state.items()}
        self._prepared = dict(optimizer._prepared)
        self._step_count = optimizer._step_count
        tensors = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        tensors += self._prepared.values()
        for state in self._states.values():
            tensors += [value for value in state.values() if isinstance(value, Tensor)]
        self._values: list[_Value] = []
        for tensor in tensors:
            cell = tensor._cell
            self._values.append(_Value(tensor, cell, cell.node, cell.history, cell.depth, cell.name))

    def restore(self) -> None:
        """Undoes the step, unless the device has been told to do it."""
        optimizer = self._optimizer
        with undivided:
            if not all(value.is_there() for value in self._values):
                return
            for value in self._values:
                value.bind()
            for parameter in list(optimizer.state):
                if parameter in self._states:
                    optimizer.state[parameter].clear()
                    optimizer.state[parameter].update(self._states[parameter])
                else:
                    del optimizer.state[parameter]
            optimizer._prepared = self._prepared
            optimizer._step_count = self._step_count
