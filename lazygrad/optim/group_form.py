"""What decides about the graph of a parameter group's update, for the guards of captured steps.

In: an optimizer and the number of a group. Out: a value that is equal as long as the same graph is right; and whether
it is, by a look at what was there the last time: nearly always all objects are the same, and asking for that is done in
C, since each replay asks it of every parameter.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import repeat
from operator import attrgetter, is_, is_not
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lazygrad.optim.optimizer import Optimizer
    from lazygrad.tensor import Tensor

# Options that decide about nothing.
_NO_OPTIONS = frozenset({"params", "param_names", "initial_lr"})
_CELL = attrgetter("_cell")
_REQUIRES_GRAD = attrgetter("_requires_grad")


class _Seen(NamedTuple):
    """The objects of which a form was made. Lists in pairs: where something was, and what."""

    options: int  # how many there are
    decisive: list[str]
    decided: list[object]
    arguments: list[str]
    is_used: list[bool]
    params: list[Tensor]
    requires_grad: list[bool]
    owners: list[Tensor]  # all parameters that have state, and that
    states: list[dict[str, Any]]
    holders: list[dict[str, Any]]  # the state of the group's parameters, as often as there are names
    names: list[str]
    tensors: list[object]


class GroupForm:
    """Options, parameters and state of a group, as opposed to the numbers in them."""

    def __init__(self, optimizer: Optimizer, number: int) -> None:
        self._optimizer = optimizer
        self._number = number
        self._seen: _Seen | None = None

    def __call__(self) -> Hashable:
        """The form as it is now."""
        optimizer = self._optimizer
        group = optimizer.param_groups[self._number]
        params = group["params"]
        # Of options that reach kernels as arguments only whether they are 0 decides, as no graph has zeros.
        in_kernels = optimizer._argument_options
        decisive = [name for name in group if name not in in_kernels and name not in _NO_OPTIONS]
        arguments = [name for name in group if name in in_kernels and name != "lr"]
        decided, is_used = [group[name] for name in decisive], [bool(group[name]) for name in arguments]
        states: list[Any] = list(map(optimizer.state.get, params))
        names = optimizer._state_names(group)
        values = [self._tensors(params, states, name) for name in names]
        flags = list(map(_REQUIRES_GRAD, params))
        self._seen = None
        if not names or (all(states) and all(state.get(name) is not None for name in names for state in states)):
            self._seen = _Seen(
                len(group), decisive, decided, arguments, is_used, list(params), flags,
                list(optimizer.state.keys()), list(optimizer.state.values()),
                states * len(names), [name for name in names for _ in params], [each for one in values for each in one],
            )  # fmt: skip
        return (
            tuple(zip(decisive, decided, strict=True)),
            tuple(zip(arguments, is_used, strict=True)),
            tuple(map(id, params)),
            tuple(flags),
            *[tuple(map(id, map(_CELL, tensors))) for tensors in values],
        )

    def is_same(self) -> bool:
        """Whether it would be what it was when it was asked for last; False also where that is not seen at a glance."""
        seen = self._seen
        if seen is None:
            return False
        group, state = self._optimizer.param_groups[self._number], self._optimizer.state
        params = group["params"]
        return (
            len(group) == seen.options
            and list(map(group.get, seen.decisive)) == seen.decided
            and list(map(bool, map(group.get, seen.arguments))) == seen.is_used
            and len(params) == len(seen.params)
            and all(map(is_, params, seen.params))
            and list(map(_REQUIRES_GRAD, params)) == seen.requires_grad
            and len(state) == len(seen.owners)
            and all(map(is_, state, seen.owners))
            and all(map(is_, state.values(), seen.states))
            and all(map(is_, map(dict.get, seen.holders, seen.names), seen.tensors))
        )

    def _tensors(self, params: Sequence[Tensor], states: Sequence[Any], name: str) -> list[Any]:
        """One state tensor of each parameter that has it, or will have what is prepared for it."""
        values = list(map(dict.get, states, repeat(name))) if all(states) else [None] * len(params)
        if not all(map(is_not, values, repeat(None))):
            optimizer = self._optimizer
            found = [(optimizer.state.get(p) or {}).get(name, optimizer._prepared.get((id(p), name))) for p in params]
            values = [value for value in found if value is not None]
        return values
