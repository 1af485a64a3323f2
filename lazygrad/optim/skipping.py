"""Steps that the device itself may skip: what a gradient scaler does after an overflow, without waiting for it.

In: an optimizer before its update, and a bool on the device. Out: its parameters and state, each a selection between
the updated and the old value. The update is computed in any case; the selection is part of the same kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import lazygrad
from lazygrad.tensor import Tensor

if TYPE_CHECKING:
    from lazygrad.optim.optimizer import Optimizer


class Skippable:
    """The values of parameters and of their state from before an update.

    Numbers that the host counts (`step`) become tensors here: the host does not learn which steps were skipped.
    """

    def __init__(self, optimizer: Optimizer, params: Sequence[Tensor]) -> None:
        self._params = params
        self._counted = optimizer._host_state
        self._states = {parameter: optimizer.state[parameter] for parameter in params}
        numbers: dict[tuple[float, str], Tensor] = {}
        for parameter, state in self._states.items():
            for name in self._counted:
                number = state.get(name, 0.0)
                if not isinstance(number, Tensor):
                    # One tensor for equal numbers, so that kernels for many parameters read it once.
                    place = (float(number), str(parameter.device))
                    if place not in numbers:
                        numbers[place] = lazygrad.tensor(float(number), device=parameter.device)
                    number = numbers[place]
                state[name] = number
        self._before = {
            parameter: (parameter.clone(), {n: v.clone() for n, v in state.items() if isinstance(v, Tensor)})
            for parameter, state in self._states.items()
        }

    def undo_where(self, skipped: Tensor) -> None:
        """Bind everything to its old value where `skipped`, a bool of shape (), is true.

        Raises:
            RuntimeError: the update made state that was not there before.
        """
        for parameter, (before, state_before) in self._before.items():
            here = skipped.to(parameter.device)
            parameter.copy_(before.where(here, parameter))
            state = self._states[parameter]
            for name, value in state.items():
                if name in self._counted:
                    state[name] = state_before[name].where(here, value)
                elif isinstance(value, Tensor):
                    _undo(value, state_before.get(name), name, here)


def _undo(value: Tensor, before: Tensor | None, name: str, skipped: Tensor) -> None:
    if before is None:
        raise RuntimeError(
            f"the first step made the state {name!r}, which cannot be unmade if the step is skipped; name it in "
            "_state_names(), so that it is there before"
        )
    value.copy_(before.where(skipped, value))
