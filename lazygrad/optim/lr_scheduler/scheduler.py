"""LRScheduler: sets `lr` of an optimizer's groups, once an epoch or a step.

In: an optimizer. Out: its `param_groups[i]["lr"]`, changed by each `step()`. The rate is a kernel argument,
so no change of it compiles anything.

A schedule says by `get_lr` how the present rates go on, from the present rates (so that several schedules
on one optimizer compose, as in torch) or from `base_lrs`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lazygrad.optim.optimizer import Optimizer
from lazygrad.tensor.recording import effect


class LRScheduler:
    """Base class: a subclass defines `get_lr`.

    Args:
        optimizer: the optimizer whose rates are set.
        last_epoch: how often the schedule was stepped before; -1 starts it.

    Attributes:
        base_lrs: the rate of each group at the start.
        last_epoch: number of `step()` calls.

    Example:
        >>> import lazygrad as lg
        >>> optimizer = lg.optim.SGD([lg.nn.Parameter(lg.zeros(1))], lr=1.0)
        >>> schedule = lg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.25]
    """

    # Attributes that belong to a run, not to the schedule's state.
    _not_saved: ClassVar[frozenset[str]] = frozenset({"optimizer"})
    # Its numbers reach a captured function as rates only, which are arguments.
    _guards_itself: ClassVar[bool] = True

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for position, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{position}] when resuming a "
                    f"scheduler with last_epoch={last_epoch}: load the optimizer's state first, or start "
                    "with last_epoch=-1"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[float]:
        """Return the rate of each group at `last_epoch`."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group that the last step set."""
        return self._last_lr

    def step(self) -> None:
        """Advance the schedule by one; call it after `optimizer.step()`."""
        if self._step_count == 1 and self.optimizer._step_count == 0:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the "
                "opposite order: `optimizer.step()` before `lr_scheduler.step()`. Otherwise the first "
                "value of the learning rate schedule is skipped.",
                UserWarning,
                stacklevel=2,
            )
        before, rates = self.state_dict(), self._present()
        effect(self._advance, lambda: self._go_back(before, rates))

    def _advance(self) -> None:
        self._step_count += 1
        self.last_epoch += 1
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = self._present()

    def _go_back(self, state: Mapping[str, Any], rates: Sequence[float]) -> None:
        self.load_state_dict(state)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _present(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def _scaled(self, factor: float) -> list[float]:
        return [rate * factor for rate in self._present()]

    def state_dict(self) -> dict[str, Any]:
        """Return all that the schedule needs to go on later; save the optimizer's state with it."""
        return {name: value for name, value in vars(self).items() if name not in self._not_saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict()` gave."""
        vars(self).update(state_dict)
