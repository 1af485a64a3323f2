"""The structure of a graph, and what else decides its schedule, as text that is the same in every process.

In: a structure's steps, capabilities, any of the records they are made of. Out: text in which equal things are equal
and different things different. No identities, no hashes and no orders of sets get into it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from lazygrad.ir.dtype import DType
from lazygrad.ir.index import Bound, Index, Quotient, Variable
from lazygrad.ir.op import Op
from lazygrad.ir.value import Exact


class NoKeyError(TypeError):
    """Something has no text by which another process would know it."""


def stable_text(of: Any) -> str:
    """The text of a value made of numbers, strings, tuples, records, element types and index expressions.

    NoKeyError when anything else is in it.

    >>> stable_text((1, 1.0, True, frozenset("ba"), None))
    "(1,1.0,True,{'a','b'},None)"
    """
    write = _WRITERS.get(type(of))
    if write is not None:
        return write(of)
    if isinstance(of, tuple):  # a named tuple: its kind is part of what it says
        return type(of).__name__ + _tuple(of)
    if isinstance(of, Enum):
        return f"{type(of).__name__}.{of.name}"
    if is_dataclass(of) and not isinstance(of, type):
        inner = ",".join(f"{field.name}={stable_text(getattr(of, field.name))}" for field in fields(of))
        return f"{type(of).__name__}({inner})"
    raise NoKeyError(f"{of!r} of type {type(of).__name__} has no text that other processes would know")


def steps_text(steps: tuple[Any, ...]) -> str:
    """The text of a structure's steps (see ``structure.linearize``). Attributes that occur again are written once."""
    known: dict[Any, str] = {}
    lines: list[str] = []
    for step in steps:
        if isinstance(step, tuple) and step and isinstance(step[0], Op):
            attributes = known.get(step[1])
            if attributes is None:
                attributes = known[step[1]] = stable_text(step[1])
            lines.append(f"{step[0].name} {attributes} {step[2:]}")
        else:
            lines.append(stable_text(step))
    return "\n".join(lines)


def _tuple(of: tuple[Any, ...]) -> str:
    return f"({','.join([stable_text(each) for each in of])})"


def _index(of: Index) -> str:
    terms = "".join([f"{coefficient:+}*{stable_text(atom)}" for atom, coefficient in of.terms])
    return f"[{of.constant}{terms}]"


_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): repr,
    bool: repr,
    int: repr,
    float: repr,
    str: repr,
    tuple: _tuple,
    frozenset: lambda of: f"{{{','.join(sorted(map(stable_text, of)))}}}",
    DType: lambda of: of.name,
    Op: lambda of: of.name,
    Exact: repr,
    Index: _index,
    Variable: lambda of: f"{of.name}<{of.extent}",
    Quotient: lambda of: f"({_index(of.index)}{'%' if of.remainder else '/'}{of.divisor})",
    Bound: lambda of: f"({of.low}<={_index(of.index)}<{of.high})",
}
