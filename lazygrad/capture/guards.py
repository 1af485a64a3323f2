"""Guards: what a captured function took for granted, and words for what is different now.

In: a way to read something, when it was captured. Out: whether it reads the same in a later call.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import repeat
from operator import is_
from typing import Any

from lazygrad import settings
from lazygrad.capture.trees import PLAIN
from lazygrad.tensor import Tensor
from lazygrad.tensor.autocast import active_regions
from lazygrad.tensor.devices import canonical
from lazygrad.tensor.grad_mode import SWITCH


class Guard:
    """``what``, as ``read`` gives it, was ``value`` when the function was captured (see ``Recorder.guard``)."""

    def __init__(self, what: str, read: Callable[[], Hashable], is_same: Callable[[], bool] | None = None) -> None:
        self.what = what
        self.read = read
        self.value = read()
        self._is_same = is_same
        self._held_last = True  # when it was read last

    def difference(self) -> str | None:
        """None when it still is; else words."""
        if self._held_last and self._is_same is not None and self._is_same():
            return None
        now = self.read()
        self._held_last = now == self.value
        return None if self._held_last else f"{self.what} changed{_between(self.value, now)}"


def _between(before: Hashable, now: Hashable) -> str:
    if isinstance(before, tuple) and isinstance(now, tuple):
        parts = [f"{_words(a)} became {_words(b)}" for a, b in zip(before, now, strict=False) if a != b]
        return f": {parts[0]}" if parts else ""
    return f": {_words(before)} became {_words(now)}"


def _words(value: Hashable) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# What ``modes`` gives.
MODES = (
    "gradients are recorded",
    "autocast",
    "float32 matmul precision",
    "deterministic algorithms",
    "default device",
)


def modes() -> tuple[Hashable, ...]:
    """The modes that decide what operations record and how they compute."""
    return SWITCH.enabled, active_regions(), *settings.bound(), canonical(None)


_MISSING = object()


class ObjectGuard:
    """The plain values and the tensors among an object's attributes are what they were.

    Attributes that its class names in ``_unguarded`` do not matter. ``values`` are the dicts that hold attributes, with
    the key and the value of each; ``sizes`` how many there are in a dict.
    """

    def __init__(self, what: str, of: Any) -> None:
        self.what = what
        unguarded = getattr(type(of), "_unguarded", ())
        self.sizes: list[tuple[dict[Any, Any], int]] = [(vars(of), len(vars(of)))]
        self.values: list[tuple[dict[Any, Any], Any, Any]] = []
        for name, value in vars(of).items():
            if name in unguarded:
                continue
            if isinstance(value, (*PLAIN, Tensor)):
                self.values.append((vars(of), name, value))
            elif type(value) is dict and any(isinstance(item, Tensor) for item in value.values()):
                self.sizes.append((value, len(value)))
                self.values.append((vars(of), name, value))
                self.values += [(value, key, item) for key, item in value.items() if isinstance(item, Tensor)]

    def difference(self) -> str | None:
        """None when they are; else words."""
        for holder, name, value in self.values:
            now = holder.get(name, _MISSING)
            if now is value:
                continue
            by_identity = isinstance(value, (Tensor, dict))
            if by_identity or type(now) is not type(value) or now != value:
                if by_identity or now is _MISSING:
                    return f"{self.what} changed: {name} is another object"
                return f"{self.what} changed: {name} was {_words(value)} and is {_words(now)}"
        for holder, size in self.sizes:
            if len(holder) != size:
                return f"{self.what} has other attributes than before"
        return None


class Guards:
    """All guards of a capture, in the order in which they came.

    Each replay asks every module of a model, and nearly always all attributes are the very objects that they were. So
    that is asked for all at once first, by functions that run in C; only if it is not so each object is asked.
    """

    def __init__(self, guards: Sequence[Guard | ObjectGuard]) -> None:
        self.guards = tuple(guards)
        objects = [guard for guard in guards if isinstance(guard, ObjectGuard)]
        values = [entry for guard in objects for entry in guard.values]
        self._others = [guard for guard in guards if isinstance(guard, Guard)]
        self._holders = [holder for holder, _, _ in values]
        self._names = [name for _, name, _ in values]
        self._values = [value for _, _, value in values]
        self._sized = [holder for guard in objects for holder, _ in guard.sizes]
        self._sizes = [size for guard in objects for _, size in guard.sizes]

    def difference(self) -> str | None:
        """None when everything is as it was; else words for the first that is not."""
        asked: Sequence[Guard | ObjectGuard] = self._others if self._are_same_objects() else self.guards
        for guard in asked:
            found = guard.difference()
            if found is not None:
                return found
        return None

    def _are_same_objects(self) -> bool:
        if not self._sized:
            return True
        now = map(dict.get, self._holders, self._names, repeat(_MISSING))
        return all(map(is_, now, self._values)) and list(map(len, self._sized)) == self._sizes
