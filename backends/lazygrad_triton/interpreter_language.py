"""The module ``triton.language`` as interpreted functions see it.

While a function runs in the interpreter, functions and methods of the language build on NumPy arrays. Triton's own
interpreter replaces them for every launch and in some versions never puts them back; here what it replaces is found
once, with the interpreter's builder and a few functions exchanged for ours, and is put in place and taken back within
microseconds, so that the compiler finds the language as it was.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from types import FunctionType
from typing import Any

import triton.language as tl

from lazygrad_triton import versions
from lazygrad_triton.interpreter_builder import BlockBuilder, uniform
from lazygrad_triton.interpreter_reductions import block, reduce, scan

_MISSING = object()
# Held while the language is changed.
_lock = RLock()
# What all of the interpreter's operations build on; it belongs to whoever has the language.
builder = BlockBuilder()


@contextmanager
def interpreted_language() -> Iterator[None]:
    """The language builds on arrays inside the block; one thread at a time."""
    with _lock:
        replacements = _replacements()
        for owner, name, _, new in replacements:
            setattr(owner, name, new)
        try:
            yield
        finally:
            _put_back(replacements)


def truth(value: Any) -> bool:
    """A condition's value; ``Divergence`` when programs differ in it."""
    return bool(uniform(value)) if isinstance(value, tl.tensor) else bool(value)


def _put_back(replacements: Iterable[tuple[Any, str, Any, Any]]) -> None:
    for owner, name, old, _ in replacements:
        if old is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, old)


@lru_cache(maxsize=1)
def _replacements() -> tuple[tuple[Any, str, Any, Any], ...]:
    """What is replaced: owner, name, what it is, what it becomes. Found by letting Triton do it and looking."""
    owners = [tl, tl.core, tl.math, *(value for value in vars(tl.core).values() if inspect.isclass(value))]
    before = [dict(vars(owner)) for owner in owners]
    versions.patch_language(FunctionType((lambda: None).__code__, {"tl": tl, "core": tl.core}))
    after = [dict(vars(owner)) for owner in owners]
    replaced = [
        (owner, name, old.get(name, _MISSING), value)
        for owner, old, new in zip(owners, before, after, strict=True)
        for name, value in new.items()
        if value is not old.get(name, _MISSING)
    ]
    _put_back(replaced)
    changes: dict[tuple[int, str], tuple[Any, str, Any, Any]] = {}
    for owner, name, old, value in replaced:
        original = getattr(owner, name, None)
        own = _bound(original) if original is not None and tl.core.is_builtin(original) else value
        changes[id(owner), name] = (owner, name, old, own)
    for owner, name, value in _own_replacements():
        changes[id(owner), name] = (owner, name, vars(owner).get(name, _MISSING), value)
    return tuple(changes.values())


def _bound(builtin: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the language with the interpreter's builder."""
    keyword, argument = versions.language_argument(builder)
    fixed = {keyword: argument}

    def call(*positional: Any, **named: Any) -> Any:
        return builtin(*positional, **(named | fixed) if named else fixed)

    return call


def _own_replacements() -> Iterator[tuple[Any, str, Any]]:
    yield tl.tensor, "__bool__", lambda _: True  # as for the compiler; conditions of functions ask for the value
    yield tl.tensor, "__index__", lambda tensor: int(uniform(tensor))
    yield tl.tensor, "T", property(_transposed)
    for module in (tl, tl.core):
        yield module, "reduce", reduce
        yield module, "associative_scan", scan


def _transposed(tensor: Any) -> Any:
    return block(tensor.handle.data.swapaxes(-1, -2), tensor.dtype)
