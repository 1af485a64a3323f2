"""What a function reaches besides its arguments: the object it is a method of, its closure, the globals it names.

A capture takes these for granted, so they are guarded: plain values and tensors themselves, and of other objects their
plain attributes and tensors.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from lazygrad.capture.trees import PLAIN
from lazygrad.tensor import Tensor
from lazygrad.tensor.recording import Recorder

_MISSING = object()
# Code does not change.
_CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)


def watch_surroundings(recorder: Recorder, function: Callable[..., Any]) -> None:
    """Guards what ``function`` reaches."""
    if isinstance(function, types.MethodType):
        recorder.watch(f"a {type(function.__self__).__name__}", function.__self__)
        function = function.__func__
    if not isinstance(function, types.FunctionType):
        recorder.watch(f"a {type(function).__name__}", function)
        return
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        _watch(recorder, name, partial(_content, cell))
    names = function.__globals__
    for name in code.co_names:
        if name in names:
            _watch(recorder, name, partial(names.get, name, _MISSING))


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return _MISSING


def _watch(recorder: Recorder, name: str, read: Callable[[], object]) -> None:
    value = read()
    if isinstance(value, _CODE):
        return
    recorder.guard(f"the variable {name}", lambda: _identity(read()))
    if not isinstance(value, (*PLAIN, Tensor)):
        recorder.watch(f"the variable {name}", value)


def _identity(value: object) -> Hashable:
    return (type(value), value) if isinstance(value, PLAIN) else id(value)
