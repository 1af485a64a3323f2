"""LambdaLR: the rate at the start times a function of the epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, ClassVar

from lazygrad.optim.lr_scheduler.scheduler import LRScheduler
from lazygrad.optim.optimizer import Optimizer


class LambdaLR(LRScheduler):
    """Set the rate to `base_lr * lr_lambda(epoch)`; a function for all groups, or one a group.

    Example:
        >>> import lazygrad as lg
        >>> optimizer = lg.optim.SGD([lg.nn.Parameter(lg.zeros(1))], lr=1.0)
        >>> schedule = lg.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(round(schedule.get_last_lr()[0], 4))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1.0, 0.5, 0.3333, 0.25]
    """

    _not_saved: ClassVar[frozenset[str]] = frozenset({"optimizer", "lr_lambdas"})

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        number = len(optimizer.param_groups)
        lambdas = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * number
        if len(lambdas) != number:
            raise ValueError(f"Expected {number} lr_lambdas, but got {len(lambdas)}")
        self.lr_lambdas = lambdas
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates at `last_epoch`."""
        return [base * function(self.last_epoch) for base, function in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """As of any schedule; of the functions only callable objects' attributes are saved."""
        state = super().state_dict()
        state["lr_lambdas"] = [
            None if isinstance(function, FunctionType) else dict(vars(function)) for function in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict()` gave; the functions stay those given to the constructor."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                vars(function).update(attributes)
