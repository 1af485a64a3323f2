"""Schedules that multiply the rate by a constant: every few epochs, at given epochs, at each epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lazygrad.optim.lr_scheduler.scheduler import LRScheduler
from lazygrad.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Multiply the rate by `gamma` every `step_size` epochs.

    Example:
        >>> import lazygrad as lg
        >>> optimizer = lg.optim.SGD([lg.nn.Parameter(lg.zeros(1))], lr=1.0)
        >>> schedule = lg.optim.lr_scheduler.StepLR(optimizer, step_size=2)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates.append(round(schedule.get_last_lr()[0], 4))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates at `last_epoch`."""
        is_due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return self._scaled(self.gamma) if is_due else self._present()


class MultiStepLR(LRScheduler):
    """Multiply the rate by `gamma` at each of `milestones`; a milestone given twice counts twice.

    Example:
        >>> import lazygrad as lg
        >>> optimizer = lg.optim.SGD([lg.nn.Parameter(lg.zeros(1))], lr=1.0)
        >>> schedule = lg.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3])
        >>> rates = []
        >>> for _ in range(5):
        ...     rates.append(round(schedule.get_last_lr()[0], 4))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1.0, 0.1, 0.1, 0.01, 0.01]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates at `last_epoch`."""
        times = self.milestones.get(self.last_epoch, 0)
        return self._scaled(self.gamma**times) if times else self._present()


class ExponentialLR(LRScheduler):
    """Multiply the rate by `gamma` at each epoch.

    Example:
        >>> import lazygrad as lg
        >>> optimizer = lg.optim.SGD([lg.nn.Parameter(lg.zeros(1))], lr=1.0)
        >>> schedule = lg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(round(schedule.get_last_lr()[0], 4))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates at `last_epoch`."""
        return self._present() if self._is_initial else self._scaled(self.gamma)
