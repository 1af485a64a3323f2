"""Optimizer: parameters in groups with options, state a parameter, and a step that updates them.

In: parameters whose `.grad` is filled. Out: the same parameters, rebound to their updated values. Holds
after `step()`: the whole step (forward, backward, loss, update) has been submitted to the device and not
waited for; no state or parameter is left as graph.

What a subclass owes for speed: its update is elementwise, so that all parameters merge into few kernels;
numbers that change from step to step come from `StepArguments`; state tensors, which `_state_names` names,
exist as buffers before the first update. Then the first step has the same graph as all later ones.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, TypeAlias

import lazygrad
from lazygrad.ir.node import ORIGIN, user_place
from lazygrad.optim.group_form import GroupForm
from lazygrad.optim.skipping import Skippable
from lazygrad.optim.step_arguments import StepArguments
from lazygrad.optim.whole_step import Before
from lazygrad.tensor import Tensor
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.gradient import clear_gradients
from lazygrad.tensor.recording import RECORDING, effect, guard

ParamGroup: TypeAlias = dict[str, Any]
Params: TypeAlias = Iterable[Tensor] | Iterable[ParamGroup] | Iterable[tuple[str, Tensor]]


class Optimizer:
    """Base class: holds `param_groups` and `state`; a subclass defines `_update`.

    Args:
        params: parameters, (name, parameter) pairs, or dictionaries with "params" and options of a group.
        defaults: the options of groups that do not set their own.

    Attributes:
        param_groups: a dictionary a group: its options, and under "params" its parameters.
        state: for each parameter that has been updated, a dictionary of its state.
        defaults: as given.
        found_inf: set by a gradient scaler for the time of one step: a bool of shape () on the device; where it
            is true, the step leaves parameters and state as they are.

    Example:
        >>> import lazygrad as lg
        >>> parameter = lg.nn.Parameter(lg.ones(2))
        >>> optimizer = lg.optim.SGD([parameter], lr=0.5)
        >>> parameter.sum().backward()
        >>> optimizer.step()
        >>> print(parameter.detach())
        tensor([0.5000, 0.5000])
    """

    # State that is a number of the host rather than a tensor (until a step with `found_inf` makes it one): written
    # as a tensor, as torch does.
    _host_state: ClassVar[tuple[str, ...]] = ("step",)
    # Options that reach kernels as arguments: of these only whether they are 0 may decide about the graph.
    _argument_options: ClassVar[frozenset[str]] = frozenset()
    # A captured step counts for itself, and guards its state where it uses it.
    _unguarded: ClassVar[frozenset[str]] = frozenset({"_step_count", "_prepared"})

    param_groups: list[ParamGroup]
    state: defaultdict[Tensor, dict[str, Any]]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type(params).__name__}"
            )
        self.defaults = defaults
        self.state = defaultdict(dict)
        self.param_groups = []
        self._prepared: dict[tuple[int, str], Tensor] = {}
        self._step_count = 0
        self.found_inf: Tensor | None = None
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group))

    def add_param_group(self, param_group: ParamGroup) -> None:
        """Add parameters with options of their own; options left out are the defaults.

        Raises:
            TypeError: a parameter is no tensor, or the parameters are a set (which has no order).
            ValueError: a parameter is no leaf, or is in another group already.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of "
                "tensors in sets will change between runs. Please use a list instead."
            )
        members = [given] if isinstance(given, Tensor) else list(given)
        names = [member[0] for member in members if isinstance(member, tuple)]
        params = [member[1] if isinstance(member, tuple) else member for member in members]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(parameter).__name__}"
                )
            if not parameter.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        identities = [id(parameter) for parameter in params]
        if len(set(identities)) != len(identities):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters: each is updated once",
                stacklevel=3,
            )
        taken = {id(parameter) for group in self.param_groups for parameter in group["params"]}
        if not taken.isdisjoint(identities):
            raise ValueError("some parameters appear in more than one parameter group")

        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for option, default in self.defaults.items():
            param_group.setdefault(option, default)
        self.param_groups.append(param_group)
        self._prepare(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient, and submit the step to the device.

        After an exception, Ctrl-C among them, either all parameters and all state are updated or none.

        Args:
            closure: computes the loss and the gradients again.

        Returns:
            What `closure` returned, else None.
        """
        loss = None
        if closure is not None:
            with lazygrad.enable_grad():
                loss = closure()
        # A capture that fails takes everything back itself.
        before = Before(self) if RECORDING.recorder is None else None
        place = ORIGIN.place or user_place()
        # Nothing is called between these two and the try: Ctrl-C would leave them as they are here.
        records, SWITCH.enabled = SWITCH.enabled, False
        outer, ORIGIN.place = ORIGIN.place, place
        try:
            submitted = self._updated()
            effect(partial(self._count_step, 1), partial(self._count_step, -1))
            lazygrad.realize(submitted)
        except BaseException:
            if before is not None:
                before.restore()
            raise
        finally:
            SWITCH.enabled, ORIGIN.place = records, outer
        return loss

    def _count_step(self, steps: int) -> None:
        self._step_count += steps

    def _updated(self) -> list[Tensor]:
        """Rebind parameters and state to their new values, and return what the device is to compute."""
        submitted: list[Tensor] = []
        for number, group in enumerate(self.param_groups):
            form = GroupForm(self, number)
            guard(f"the options and state of parameter group {number}", form, form.is_same)
            gradients = self._gradients(group)
            if self.found_inf is None:
                self._update(group, gradients, StepArguments())
            else:
                self._ensure_zeros(group, gradients)
                values = Skippable(self, list(gradients))
                self._update(group, gradients, StepArguments())
                values.undo_where(self.found_inf)
                submitted.append(self.found_inf)
            submitted += self._tensors_of(gradients)
        return submitted

    def can_skip(self) -> bool:
        """Whether the device can skip a step by `found_inf`; if not, a scaler waits for it and skips the call."""
        return type(self).step is Optimizer.step

    def _gradients(self, group: ParamGroup) -> dict[Tensor, Tensor]:
        """Return the direction to go against for each parameter that has a gradient."""
        has_gradient = [parameter for parameter in group["params"] if parameter.grad is not None]
        return {p: -p.grad if group.get("maximize") else p.grad for p in has_gradient}

    def _update(self, group: ParamGroup, gradients: dict[Tensor, Tensor], arguments: StepArguments) -> None:
        """Rebind the parameters that have gradients, and their state, to their updated values."""
        raise NotImplementedError(f"{type(self).__name__} must define _update() or step()")

    def _state_names(self, group: ParamGroup) -> tuple[str, ...]:
        """Return the names of the state tensors, zeros at first, that a parameter of `group` needs."""
        return ()

    def _prepare(self, group: ParamGroup) -> None:
        """Make buffers of the parameters and of the zeros their state starts with.

        As constants or pending expressions they would give the first step another graph than all later
        steps have, and each of the two would be compiled.
        """
        with lazygrad.no_grad():
            zeros = {
                (id(parameter), name): lazygrad.zeros_like(parameter)
                for parameter in group["params"]
                if parameter.requires_grad
                for name in self._state_names(group)
            }
        self._prepared.update(zeros)
        lazygrad.realize([*group["params"], *zeros.values()])

    def _ensure_zeros(self, group: ParamGroup, params: Iterable[Tensor]) -> set[int]:
        """Give the parameters that lack it their state, and return those parameters' ids."""
        fresh: set[int] = set()
        names = self._state_names(group)
        for parameter in params if names else ():
            state = self.state[parameter]
            for name in names:
                if state.get(name) is None:
                    prepared = self._prepared.pop((id(parameter), name), None)
                    state[name] = lazygrad.zeros_like(parameter) if prepared is None else prepared
                    fresh.add(id(parameter))
        return fresh

    def _tensors_of(self, params: Iterable[Tensor]) -> list[Tensor]:
        """Return `params` with their state tensors and gradients."""
        tensors: list[Tensor] = []
        for parameter in params:
            state = self.state.get(parameter, {})
            tensors.append(parameter)
            tensors.extend(value for value in state.values() if isinstance(value, Tensor))
            if parameter.grad is not None:
                tensors.append(parameter.grad)
        return tensors

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or with `set_to_none=False` fill them with zeros."""
        for group in self.param_groups:
            clear_gradients(group["params"], set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return state and options in torch's format, with parameters replaced by their numbers.

        `{"state": {0: {name: tensor}, ...}, "param_groups": [{option: value, "params": [0, ...]}]}`; the
        tensors follow later steps (clone one to keep its present value).
        """
        numbers: dict[int, int] = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers[id(parameter)] = len(numbers)
        return {
            "state": {
                numbers[id(parameter)]: {
                    name: lazygrad.tensor(float(value)) if name in self._host_state else value
                    for name, value in state.items()
                }
                for parameter, state in self.state.items()
            },
            "param_groups": [
                {**group, "params": [numbers[id(parameter)] for parameter in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over state and options that `state_dict()` gave, here or in torch.

        Raises:
            ValueError: the number of groups, or of parameters in a group, differs.
        """
        saved = [dict(group) for group in state_dict["param_groups"]]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: "
                f"{len(saved)}, this optimizer has {len(self.param_groups)}"
            )
        for position, (theirs, ours) in enumerate(zip(saved, self.param_groups, strict=True)):
            if len(theirs["params"]) != len(ours["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    f"optimizer's group: group {position} has {len(theirs['params'])} parameters, "
                    f"this optimizer's has {len(ours['params'])}"
                )
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        loaded: list[Tensor] = []
        for theirs, ours in zip(saved, self.param_groups, strict=True):
            for number, parameter in zip(theirs["params"], ours["params"], strict=True):
                for name, value in state_dict["state"].get(number, {}).items():
                    state[parameter][name] = self._adopted(parameter, name, value)
            theirs["params"] = ours["params"]
        for values in state.values():
            loaded += [value for value in values.values() if isinstance(value, Tensor)]
        self.state = state
        self._prepared.clear()
        for theirs, ours in zip(saved, self.param_groups, strict=True):
            # The same dicts: schedulers and captured steps hold on to them.
            ours.clear()
            ours.update({**self.defaults, **deepcopy({k: v for k, v in theirs.items() if k != "params"})})
            ours["params"] = theirs["params"]
        lazygrad.realize(loaded)

    def _adopted(self, parameter: Tensor, name: str, value: Any) -> Any:
        """Return loaded state in the form that this optimizer keeps: ours alone, placed as `parameter`."""
        if name in self._host_state:
            return float(value)
        if not isinstance(value, Tensor):
            return deepcopy(value)
        dtype = parameter.dtype if parameter.is_floating_point() else value.dtype
        return value.detach().clone().to(device=parameter.device, dtype=dtype)

    def __repr__(self) -> str:
        groups = []
        for position, group in enumerate(self.param_groups):
            options = [f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"]
            groups.append(f"\nParameter Group {position}\n{''.join(options)}")
        return f"{type(self).__name__} ({''.join(groups)})"


def check_not_negative(values: Mapping[str, float]) -> None:
    """Refuse negative numbers and NaN, with torch's words for what each is."""
    for name, value in values.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name}: {value}")


def reject_differentiable(differentiable: bool) -> None:
    """Refuse an option of torch's that has no counterpart here."""
    if differentiable:
        raise ValueError("differentiable=True is not supported: the step runs without gradients")
