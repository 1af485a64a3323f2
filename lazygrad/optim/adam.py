"""Adam (Kingma and Ba 2015) and AdamW, its form with decoupled weight decay (Loshchilov and Hutter 2019)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import lazygrad
from lazygrad.optim.optimizer import Optimizer, ParamGroup, Params, check_not_negative, reject_differentiable
from lazygrad.optim.step_arguments import StepArguments
from lazygrad.tensor import Tensor
from lazygrad.tensor.deferred_update import Update
from lazygrad.tensor.recording import effect


class Adam(Optimizer):
    """p <- p - lr * m / (sqrt(v) + eps), m and v the running means of g and g*g without their bias.

    `lr`, `betas` and `weight_decay` may change between steps without compiling anything, as long as
    `weight_decay` does not turn from or to 0. The number of steps is counted on the host.

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        betas: what the running means of g and of g*g keep of themselves, each in [0, 1).
        eps: added to the denominator.
        weight_decay: this times p is added to the gradient (or see `decoupled_weight_decay`).
        amsgrad: divide by the largest v so far (Reddi et al. 2018).
        foreach: admitted for torch's sake; updates are merged in any case.
        maximize: climb instead of descend.
        capturable: as `foreach`; a step never waits for the device.
        differentiable: only False.
        fused: as `foreach`.
        decoupled_weight_decay: shrink p by lr * weight_decay instead, as AdamW does.

    Example:
        >>> import lazygrad as lg
        >>> x = lg.nn.Parameter(lg.ones(1))
        >>> optimizer = lg.optim.Adam([x], lr=0.1)
        >>> x.sum().backward()
        >>> optimizer.step()
        >>> x.detach()
        tensor([0.9000])
    """

    _argument_options: ClassVar[frozenset[str]] = frozenset({"lr", "betas", "weight_decay"})

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_not_negative({"learning rate": lr, "epsilon value": eps, "weight_decay value": weight_decay})
        for index, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
        reject_differentiable(differentiable)
        defaults: dict[str, Any] = {
            "lr": lr,
            "betas": (betas[0], betas[1]),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _state_names(self, group: ParamGroup) -> tuple[str, ...]:
        names = ("exp_avg", "exp_avg_sq")
        return (*names, "max_exp_avg_sq") if group["amsgrad"] else names

    def _update(self, group: ParamGroup, gradients: dict[Tensor, Tensor], arguments: StepArguments) -> None:
        counted = list(gradients)
        if self.found_inf is None:
            effect(lambda: self._count(counted, 1), lambda: self._count(counted, -1))
        else:
            self._count(counted, 1)  # on the device
        self._ensure_zeros(group, gradients)
        rule = AdamRule(group["eps"])
        names = self._state_names(group)
        updates: dict[Hashable, Update] = {}
        for parameter, gradient in gradients.items():
            state = self.state[parameter]
            step = state["step"]
            kind = arguments.kind(parameter), id(step) if isinstance(step, Tensor) else step
            if kind not in updates:
                updates[kind] = Update(rule, _numbers(group, parameter, state, arguments))
            updates[kind]([parameter, *[state[name] for name in names]], gradient)

    def _count(self, params: Sequence[Tensor], steps: int) -> None:
        """Counts steps: on the host or, while steps may be skipped, on the device."""
        for parameter in params:
            state = self.state[parameter]
            state["step"] = state.get("step", 0.0) + steps


def _numbers(
    group: ParamGroup, parameter: Tensor, state: dict[str, Any], arguments: StepArguments
) -> dict[str, Tensor]:
    """Return the numbers of AdamRule."""
    numbers = {
        "1-beta1": arguments.scalar(lambda: 1 - group["betas"][0], parameter, "1-beta1"),
        "beta2": arguments.scalar(lambda: group["betas"][1], parameter, "beta2"),
        "1-beta2": arguments.scalar(lambda: 1 - group["betas"][1], parameter, "1-beta2"),
    }
    if group["weight_decay"] != 0 and group["decoupled_weight_decay"]:
        numbers["kept"] = arguments.scalar(lambda: 1 - group["lr"] * group["weight_decay"], parameter, "kept")
    elif group["weight_decay"] != 0:
        numbers["decay"] = arguments.scalar(lambda: group["weight_decay"], parameter, "weight_decay")
    numbers["step_size"], numbers["deviation"] = _corrections(group, state, parameter, arguments)
    return numbers


class AdamRule(NamedTuple):
    """What a step does to a parameter, to m and v, and with AMSGrad to the largest v."""

    eps: float

    def __call__(self, values: Sequence[Tensor], source: Tensor, numbers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Return their new values."""
        gradient, (parameter, mean, square, *largest) = source, values
        decayed = numbers["kept"] * parameter if "kept" in numbers else parameter
        if "decay" in numbers:
            gradient = gradient + numbers["decay"] * parameter
        mean = (mean + numbers["1-beta1"] * (gradient - mean)).to(mean.dtype)
        square = (numbers["beta2"] * square + numbers["1-beta2"] * (gradient * gradient)).to(square.dtype)
        largest = [lazygrad.maximum(before, square) for before in largest]
        deviation = (largest or [square])[0].sqrt() * numbers["deviation"]
        return [decayed - numbers["step_size"] * (mean / (deviation + self.eps)), mean, square, *largest]


def _corrections(
    group: ParamGroup, state: dict[str, Any], parameter: Tensor, arguments: StepArguments
) -> tuple[Tensor, Tensor]:
    """The learning rate and the factor of the deviation without the bias of the running means.

    They depend on the step alone: host arithmetic on a counter, or arithmetic on the device where it counts.
    """
    step = state["step"]
    if not isinstance(step, Tensor):
        return (
            arguments.scalar(
                lambda: group["lr"] / (1 - group["betas"][0] ** state["step"]), parameter, "step_size", step
            ),
            arguments.scalar(
                lambda: 1 / math.sqrt(1 - group["betas"][1] ** state["step"]), parameter, "deviation", step
            ),
        )

    def unbiased(number: int, role: str) -> Tensor:
        # 1 - beta**step, without the digits that the difference would lose.
        def read() -> float:
            return math.log(group["betas"][number]) if group["betas"][number] else -math.inf

        logarithm = arguments.scalar(read, parameter, role)
        return -(step.to(logarithm.dtype) * logarithm).expm1()

    rate = arguments.scalar(lambda: group["lr"], parameter, "lr")
    return rate / unbiased(0, "log_beta1"), unbiased(1, "log_beta2").rsqrt()


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter by lr * weight_decay and leaves m and v alone.

    The arguments are Adam's; `weight_decay` is 0.01 unless given.

    Example:
        >>> import lazygrad as lg
        >>> x = lg.nn.Parameter(lg.ones(1))
        >>> optimizer = lg.optim.AdamW([x], lr=0.1, weight_decay=0.5)
        >>> x.sum().backward()
        >>> optimizer.step()
        >>> x.detach()
        tensor([0.8500])
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
