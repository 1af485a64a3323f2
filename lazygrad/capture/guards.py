"""Guards: what a captured function took for granted, and words for what is different now.

In: a way to read something, when it was captured. Out: whether it reads the same in a later call.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from lazygrad import settings
from lazygrad.capture.trees import PLAIN
from lazygrad.tensor import Tensor
from lazygrad.tensor.autocast import active_regions
from lazygrad.tensor.devices import canonical
from lazygrad.tensor.grad_mode import SWITCH


class Guard(NamedTuple):
    """``what`` was ``value`` when the function was captured."""

    what: str
    read: Callable[[], Hashable]
    value: Hashable

    def difference(self) -> str | None:
        """None when it still is; else words."""
        now = self.read()
        return None if now == self.value else f"{self.what} changed{_between(self.value, now)}"


def _between(before: Hashable, now: Hashable) -> str:
    if isinstance(before, tuple) and isinstance(now, tuple):
        parts = [f"{_words(a)} became {_words(b)}" for a, b in zip(before, now, strict=False) if a != b]
        return f": {parts[0]}" if parts else ""
    return f": {_words(before)} became {_words(now)}"


def _words(value: Hashable) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def modes() -> Hashable:
    """The modes that decide what operations record and how they compute."""
    return (
        ("gradients are recorded", SWITCH.enabled),
        ("autocast", active_regions()),
        ("float32 matmul precision", settings.get_float32_matmul_precision()),
        ("deterministic algorithms", settings.are_deterministic_algorithms_enabled()),
        ("default device", canonical(None)),
    )


def attributes(of: Any) -> Hashable:
    """The plain values and the tensors among an object's attributes; a tensor is known by its identity.

    A class may name attributes that do not matter in ``_unguarded``.
    """
    found: list[Hashable] = []
    unguarded = getattr(type(of), "_unguarded", ())
    for name, value in vars(of).items():
        if name in unguarded:
            continue
        if isinstance(value, PLAIN):
            found.append((name, value))
        elif isinstance(value, Tensor):
            found.append((name, id(value)))
        elif type(value) is dict:
            found += [(name, key, id(item)) for key, item in value.items() if isinstance(item, Tensor)]
    return tuple(found)
