"""Stochastic gradient descent, with momentum (classical or Nesterov's), dampening and weight decay."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from lazygrad.optim.optimizer import Optimizer, ParamGroup, Params, check_not_negative, reject_differentiable
from lazygrad.optim.step_arguments import StepArguments
from lazygrad.tensor import Tensor
from lazygrad.tensor.deferred_update import Update


class SGD(Optimizer):
    """p <- p - lr * d, where d is the gradient, or with momentum b <- momentum * b + (1 - dampening) * g.

    As in torch, the first step's b is g itself, whatever the dampening. `lr`, `momentum`, `dampening` and
    `weight_decay` may change between steps without compiling anything, as long as none turns from or to 0.

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        momentum: the part of b that is kept; 0 keeps no b.
        dampening: the part of the gradient that does not enter b.
        weight_decay: this times p is added to the gradient.
        nesterov: d = g + momentum * b instead of b (Sutskever et al. 2013).
        maximize: climb instead of descend.
        foreach: admitted for torch's sake; updates are merged in any case.
        differentiable: only False.
        fused: as `foreach`.

    Example:
        >>> import lazygrad as lg
        >>> x = lg.nn.Parameter(lg.ones(1))
        >>> optimizer = lg.optim.SGD([x], lr=0.1, momentum=0.9)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     x.sum().backward()
        ...     optimizer.step()
        >>> x.detach()
        tensor([0.7100])
    """

    _host_state: ClassVar[tuple[str, ...]] = ()
    _argument_options: ClassVar[frozenset[str]] = frozenset({"lr", "momentum", "dampening", "weight_decay"})

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative({"learning rate": lr, "momentum value": momentum, "weight_decay value": weight_decay})
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        reject_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def can_skip(self) -> bool:
        # With dampening the first step differs from all others, and which one that is only the device would know.
        return super().can_skip() and all(group["dampening"] == 0 for group in self.param_groups)

    def _state_names(self, group: ParamGroup) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def _update(self, group: ParamGroup, gradients: dict[Tensor, Tensor], arguments: StepArguments) -> None:
        fresh = self._ensure_zeros(group, gradients)
        roles = [role for role in ("weight_decay", "momentum") if group[role] != 0]
        rule = SGDRule(group["nesterov"])
        updates: dict[Hashable, Update] = {}
        for parameter, gradient in gradients.items():
            is_first = id(parameter) in fresh and group["dampening"] != 0
            kind = arguments.kind(parameter), is_first
            if kind not in updates:
                numbers = {role: arguments.scalar(partial(group.__getitem__, role), parameter, role) for role in roles}
                numbers["lr"] = arguments.scalar(lambda: group["lr"], parameter, "lr")
                if group["momentum"] != 0 and group["dampening"] != 0:
                    numbers["share"] = _share(group, parameter, arguments, is_first)
                updates[kind] = Update(rule, numbers)
            has_momentum = group["momentum"] != 0
            values = [parameter, self.state[parameter]["momentum_buffer"]] if has_momentum else [parameter]
            updates[kind](values, gradient)


def _share(group: ParamGroup, parameter: Tensor, arguments: StepArguments, is_first: bool) -> Tensor:
    """Return the part of the gradient that enters b.

    The first step's b = g is the same expression with other numbers: b starts at zero.
    """
    return arguments.scalar(lambda: 1.0 if is_first else 1.0 - group["dampening"], parameter, "share", is_first)


class SGDRule(NamedTuple):
    """What a step does to a parameter, and to b if there is a momentum."""

    nesterov: bool

    def __call__(self, values: Sequence[Tensor], source: Tensor, numbers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Return their new values."""
        parameter, *state = values
        direction = source
        if "weight_decay" in numbers:
            direction = direction + numbers["weight_decay"] * parameter
        if not state:
            return [parameter - numbers["lr"] * direction]
        momentum, (buffer,) = numbers["momentum"], state
        entering = numbers["share"] * direction if "share" in numbers else direction
        buffer = (momentum * buffer + entering).to(buffer.dtype)
        direction = direction + momentum * buffer if self.nesterov else buffer
        return [parameter - numbers["lr"] * direction, buffer]
