"""Nested arguments and results: which tensors they hold, and what is around them.

In: any nesting of tuples, lists, dicts, named tuples and dataclasses. Out: the tensors in order, and a *form*, a
hashable description of all the rest. What is no container is a leaf: a tensor, a number or another plain value, which
belongs to the form, or any other object, which is known by its identity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator
from functools import cache
from typing import Any, TypeAlias

from lazygrad.ir.dtype import DType
from lazygrad.tensor import Tensor

Form: TypeAlias = Hashable
# Values that are compared and not watched: they never change.
PLAIN = (bool, int, float, complex, str, bytes, type(None), DType, type(Ellipsis))
_TENSOR = "tensor"


def flatten(value: Any, tensors: list[Tensor], others: list[Any]) -> Form:
    """The form of ``value``; its tensors and its other objects are appended, in order."""
    kind = type(value)
    if isinstance(value, Tensor):
        tensors.append(value)
        return _TENSOR
    if kind is tuple or kind is list:  # before all questions that nearly all arguments answer with no
        return kind, tuple([flatten(item, tensors, others) for item in value])
    if isinstance(value, PLAIN):
        return kind, value
    if isinstance(value, (tuple, list)):
        return kind, tuple([flatten(item, tensors, others) for item in value])
    if isinstance(value, dict):
        items = tuple([(_key(key), flatten(item, tensors, others)) for key, item in value.items()]) if value else ()
        return kind, items
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return kind, tuple([flatten(getattr(value, name), tensors, others) for name in names])
    others.append(value)
    return type(value), id(value)


@cache
def form_of_tensors(count: int) -> Form:
    """The form of a tuple of so many tensors and nothing else."""
    return tuple, (_TENSOR,) * count


def _key(key: Any) -> Hashable:
    return type(key), key


def rebuild(value: Any, leaf: Callable[[Any], Any], kinds: type | tuple[type, ...] = Tensor) -> Any:
    """The same nesting with everything of these kinds replaced."""
    if isinstance(value, kinds):
        return leaf(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[rebuild(item, leaf, kinds) for item in value])
    if isinstance(value, (tuple, list)):
        return type(value)([rebuild(item, leaf, kinds) for item in value])
    if isinstance(value, dict):
        made = value.copy()
        made.update({key: rebuild(item, leaf, kinds) for key, item in value.items()})
        return made
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: rebuild(getattr(value, field.name), leaf, kinds) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value


def names_of(form: Form, prefix: str) -> Iterator[str]:
    """A name for each tensor of a form, as a person would write it."""
    if form == _TENSOR:
        yield prefix
    elif isinstance(form, tuple) and len(form) == 2 and isinstance(form[1], tuple):
        kind, items = form
        for position, item in enumerate(items):
            if isinstance(kind, type) and issubclass(kind, dict):
                (_, key), inner = item
                yield from names_of(inner, f"{prefix}[{key!r}]")
            else:
                yield from names_of(item, f"{prefix}[{position}]")
