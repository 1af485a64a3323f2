"""What decides about the graph of a parameter group's update, for the guards of captured steps.

In: an optimizer and the number of a group. Out: a value that is equal as long as the same graph is right; and whether
it is, by a look at what was there the last time: nearly always all objects are the same, and asking for that is done in
C, since each replay asks it of every parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from itertools import repeat
from operator import attrgetter, is_, is_not
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lazygrad.optim.optimizer import Optimizer, ParamGroup
    from lazygrad.tensor import Tensor

# Options that decide about nothing.
_NO_OPTIONS = frozenset({"params", "param_names", "initial_lr"})
_CELL = attrgetter("_cell")
_REQUIRES_GRAD = attrgetter("_requires_grad")


class _Seen(NamedTuple):
    """The objects of which a form was made."""

    options: list[tuple[str, object]]
    params: list[Tensor]
    requires_grad: list[bool]
    owners: list[Tensor]  # all parameters that have state, and that
    states: list[dict[str, Any]]
    values: list[tuple[str, list[dict[str, Any]], list[object]]]  # by name the states of the group, and their tensors


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
        options = self._options(group)
        params = group["params"]
        states: list[Any] = list(map(optimizer.state.get, params))
        names = optimizer._state_names(group)
        values = [(name, self._tensors(params, states, name)) for name in names]
        flags = list(map(_REQUIRES_GRAD, params))
        self._seen = None
        if all(states) and all(len(tensors) == len(params) for _, tensors in values):
            kept = [(name, states, tensors) for name, tensors in values if all(name in state for state in states)]
            if len(kept) == len(names):
                owners, owned = list(optimizer.state.keys()), list(optimizer.state.values())
                self._seen = _Seen(options, list(params), flags, owners, owned, kept)
        ids = [tuple(map(id, map(_CELL, tensors))) for _, tensors in values]
        return tuple(options), tuple(map(id, params)), tuple(flags), *ids

    def is_same(self) -> bool:
        """Whether it would be what it was when it was asked for last; False also where that is not seen at a glance."""
        seen, optimizer = self._seen, self._optimizer
        if seen is None:
            return False
        group = optimizer.param_groups[self._number]
        params, state = group["params"], optimizer.state
        return (
            self._options(group) == seen.options
            and _are(seen.params, params)
            and list(map(_REQUIRES_GRAD, params)) == seen.requires_grad
            and _are(seen.owners, state)
            and _are(seen.states, state.values())
            and all(_are(tensors, list(map(dict.get, states, repeat(name)))) for name, states, tensors in seen.values)
        )

    def _options(self, group: ParamGroup) -> list[tuple[str, object]]:
        """Names and values; of those that reach kernels as arguments only whether they are 0, as no graph has zeros."""
        arguments = self._optimizer._argument_options
        return [
            (name, bool(value) and name != "lr" if name in arguments else value)
            for name, value in group.items()
            if name not in _NO_OPTIONS
        ]

    def _tensors(self, params: Sequence[Tensor], states: Sequence[Any], name: str) -> list[Any]:
        """One state tensor of each parameter that has it, or will have what is prepared for it."""
        values = list(map(dict.get, states, repeat(name))) if all(states) else [None] * len(params)
        if not all(map(is_not, values, repeat(None))):
            optimizer = self._optimizer
            found = [(optimizer.state.get(p) or {}).get(name, optimizer._prepared.get((id(p), name))) for p in params]
            values = [value for value in found if value is not None]
        return values


def _are(before: Sequence[object], now: Collection[object]) -> bool:
    """Whether these are the same objects."""
    return len(before) == len(now) and all(map(is_, before, now))
