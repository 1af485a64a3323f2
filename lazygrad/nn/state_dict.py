"""Fill a module from a state dict: everything is checked first, then everything is copied.

In: a module and a mapping from dotted names to tensors. Out: the names that did not match. Holds after a
failure: no value of the module has changed, because every mismatch is found before the first copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import lazygrad
from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor

if TYPE_CHECKING:
    from lazygrad.nn.module import Module


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(..., strict=False)` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys!r}, unexpected_keys={self.unexpected_keys!r})"


class Slot(NamedTuple):
    """One place of a module that a state dict fills: `module.<name>`, called `key` from the root."""

    module: Module
    name: str
    key: str
    tensor: Tensor


def load(module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy (or, with `assign`, put) the tensors of `state_dict` into `module` and its children.

    Raises:
        TypeError: `state_dict` is not a mapping.
        RuntimeError: a shape differs or an entry is no tensor; with `strict` also a missing or an
            unexpected key. The message lists all of them.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    entries = _upgraded(module, state_dict)
    slots = list(_slots(module, ""))
    missing = [slot.key for slot in slots if slot.key not in entries]
    expected = {slot.key for slot in slots}
    unexpected = [key for key in entries if key not in expected]

    problems = [_problem(slot, entries[slot.key]) for slot in slots if slot.key in entries]
    messages = [problem for problem in problems if problem is not None]
    if strict and unexpected:
        messages.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
    if strict and missing:
        messages.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    if messages:
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(messages))

    with lazygrad.no_grad():
        for slot in slots:
            if slot.key in entries:
                _fill(slot, entries[slot.key], assign)
    return IncompatibleKeys(missing, unexpected)


def _slots(module: Module, prefix: str) -> Iterator[Slot]:
    for name, tensor in module._persistent_tensors():
        yield Slot(module, name, prefix + name, tensor)
    for name, child in module.named_children_with_duplicates():
        yield from _slots(child, f"{prefix}{name}.")


def _upgraded(module: Module, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `state_dict` after each module has adapted its entries of an older version."""
    entries = dict(state_dict)
    metadata: Mapping[str, Mapping[str, Any]] = getattr(state_dict, "_metadata", None) or {}
    for name, child in module.named_modules(remove_duplicate=False):
        prefix = f"{name}." if name else ""
        child._upgrade_state_dict(entries, prefix, metadata.get(name, {}).get("version"))
    return entries


def _problem(slot: Slot, value: Any) -> str | None:
    if not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{slot.key}", expected a Tensor from the checkpoint '
            f"but received {type(value)}"
        )
    if tuple(value.shape) != tuple(slot.tensor.shape):
        return (
            f"size mismatch for {slot.key}: copying a param with shape {value.shape} from checkpoint, "
            f"the shape in current model is {slot.tensor.shape}."
        )
    return None


def _fill(slot: Slot, value: Tensor, assign: bool) -> None:
    if not assign:
        slot.tensor.copy_(value)
    elif isinstance(slot.tensor, Parameter):
        adopted = value if isinstance(value, Parameter) else Parameter(value)
        setattr(slot.module, slot.name, adopted.requires_grad_(slot.tensor.requires_grad))
    else:
        setattr(slot.module, slot.name, value)
    slot.module._state_is_pending()


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
