"""OneCycleLR: the rate rises to a maximum and falls far below its start (Smith and Topin 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lazygrad.optim.lr_scheduler.scheduler import LRScheduler
from lazygrad.optim.optimizer import Optimizer


@dataclass(frozen=True)
class Phase:
    """A stretch of steps up to `end_step`, between two rates and two momenta named by group options."""

    end_step: float
    start_lr: str
    end_lr: str
    start_momentum: str
    end_momentum: str


class OneCycleLR(LRScheduler):
    """One cycle over `total_steps`: warm up to `max_lr`, then anneal; momentum moves the other way.

    Step it after each batch. Momentum (Adam's first beta) is a kernel argument like the rate.

    Args:
        optimizer: an optimizer with `momentum` or `betas`, if `cycle_momentum`.
        max_lr: the highest rate, one or one a group.
        total_steps: length of the cycle; or else give `epochs` and `steps_per_epoch`.
        epochs: number of epochs.
        steps_per_epoch: number of batches an epoch.
        pct_start: the part of the cycle that rises, in [0, 1].
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether to move the momentum too.
        base_momentum: the lowest momentum, one or one a group.
        max_momentum: the highest momentum, one or one a group.
        div_factor: the first rate is `max_lr / div_factor`.
        final_div_factor: the last rate is the first divided by this.
        three_phase: fall back to the first rate before the last phase.
        last_epoch: number of steps made before; -1 starts the cycle.

    Example:
        >>> import lazygrad as lg
        >>> optimizer = lg.optim.SGD([lg.nn.Parameter(lg.zeros(1))], lr=1.0)
        >>> schedule = lg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=5, cycle_momentum=False)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates.append(round(schedule.get_last_lr()[0], 4))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.04, 0.9505, 0.6113, 0.1883, 0.0]
    """

    # Derived from the constructor's arguments, and plain state must stay plain data.
    _not_saved: ClassVar[frozenset[str]] = frozenset({"optimizer", "_phases"})

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.total_steps = _cycle_length(total_steps, epochs, steps_per_epoch)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self._phases = _phases(self.total_steps, pct_start, three_phase)
        if last_epoch == -1:
            for group, highest in zip(optimizer.param_groups, _one_each("max_lr", optimizer, max_lr), strict=True):
                group["initial_lr"] = highest / div_factor
                group["max_lr"] = highest
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            if not {"momentum", "betas"} & set(optimizer.defaults):
                raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
            if last_epoch == -1:
                for group, lowest, highest in zip(
                    optimizer.param_groups,
                    _one_each("base_momentum", optimizer, base_momentum),
                    _one_each("max_momentum", optimizer, max_momentum),
                    strict=True,
                ):
                    _set_momentum(group, highest)
                    group["max_momentum"] = highest
                    group["base_momentum"] = lowest
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates at `last_epoch`; also sets the momenta."""
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        start = 0.0
        for phase in self._phases:
            if step <= phase.end_step or phase is self._phases[-1]:
                break
            start = phase.end_step
        part = (step - start) / (phase.end_step - start)
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                _set_momentum(group, self._anneal(group[phase.start_momentum], group[phase.end_momentum], part))
        return [self._anneal(group[phase.start_lr], group[phase.end_lr], part) for group in self.optimizer.param_groups]

    def _anneal(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)


def _cycle_length(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is None and (epochs is None or steps_per_epoch is None):
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    length = total_steps if total_steps is not None else (epochs or 0) * (steps_per_epoch or 0)
    if length <= 0 or not isinstance(length, int):
        raise ValueError(f"Expected positive integer total_steps, but got {length}")
    return length


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> tuple[Phase, ...]:
    rise_end = pct_start * total_steps - 1
    end = total_steps - 1
    rise = Phase(rise_end, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return (rise, Phase(end, "max_lr", "min_lr", "base_momentum", "max_momentum"))
    fall_end = 2 * pct_start * total_steps - 2
    return (
        rise,
        Phase(fall_end, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
        Phase(end, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
    )


def _one_each(name: str, optimizer: Optimizer, value: float | list[float]) -> list[float]:
    number = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * number
    if len(value) != number:
        raise ValueError(f"{name} must have {number} values, one a parameter group, got {len(value)}")
    return list(value)


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
