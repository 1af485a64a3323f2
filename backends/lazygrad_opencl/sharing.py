"""Bodies of one kernel that differ in buffers and numbers alone share a function, which gets these as arguments.

An optimizer's step or a model's first random numbers are kernels of dozens of such bodies. In: the statements of each
body. Out: functions, and for each body which one it calls and with what.

Only numbers that a processor can as well have in a register become arguments: *sizes*, in the lines that declare scalar
indices and open loops, and *values*, floats anywhere else, such as the bounds of a weight's first random numbers.
Divisors stay literals, because dividing by a literal is a multiplication.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

# What a body's statements may name of the kernel's; not a vector's element, as in x.s0.
_NAME = re.compile(r"(?<![\w.])(?:[bs]\d+|scratch|group)\b")
_INDEX_LINE = re.compile(r"\s*(?:for \(long|const long) ")
_SIZE = re.compile(r"(?<![\w.])(?<![/%] )(?<![/%])\d+(?![\w.])")
# A literal of a float that is no divisor, nor made a vector, as divisors may be.
_FLOAT = r"\d+\.?\d*(?:e[+-]?\d+)?f"
_VALUE = re.compile(rf"(?<!/ )(?<!\)\()(?<![\w.-])(?:\(-{_FLOAT}\)|{_FLOAT})(?!\w)")
# Where a form has a size, and a value.
_SIZE_HOLE, _VALUE_HOLE = "?#", "?~"


class BodyFunction(NamedTuple):
    """A function: declarations of its parameters, its statements, and the number of the first body that calls it."""

    number: int
    parameters: tuple[str, ...]
    lines: tuple[str, ...]


class Call(NamedTuple):
    """A body's call: the number of the function, and the arguments."""

    number: int
    arguments: tuple[str, ...]


class _Form(NamedTuple):
    """A body's statements with holes for numbers, its names in the order of their use, and the numbers as literals."""

    lines: tuple[str, ...]
    names: tuple[str, ...]
    numbers: tuple[str, ...]


def share(
    bodies: Sequence[Sequence[str]], declaration: Callable[[str, str], str]
) -> tuple[list[BodyFunction], list[Call]]:
    """Functions for the bodies. ``declaration`` declares a parameter for one of the kernel's names, renamed."""
    # Most bodies are told from all others by their length. Forms take a third of the time that it takes to write them.
    lengths = Counter(len(lines) for lines in bodies)
    forms = {number: _form(lines) for number, lines in enumerate(bodies) if lengths[len(lines)] > 1}
    groups: dict[object, list[int]] = {}
    for number in range(len(bodies)):
        form = forms.get(number)
        types = form and tuple(declaration(name, f"a{position}") for position, name in enumerate(form.names))
        groups.setdefault((form.lines, types) if form else number, []).append(number)
    functions: list[BodyFunction] = []
    calls: dict[int, Call] = {}
    for members in groups.values():
        if len(members) == 1:
            (number,) = members
            names = _names(bodies[number])
            own = tuple(declaration(name, name) for name in names)
            functions.append(BodyFunction(number, own, tuple(bodies[number])))
            calls[number] = Call(number, names)
            continue
        function, numbers = _shared(members, forms, declaration)
        functions.append(function)
        for number in members:
            calls[number] = Call(function.number, (*forms[number].names, *numbers[number]))
    return functions, [calls[number] for number in range(len(bodies))]


def _names(lines: Sequence[str]) -> tuple[str, ...]:
    """What a body's statements name of the kernel's, in the order of their use."""
    return tuple(dict.fromkeys(name for line in lines for name in _NAME.findall(_without_comment(line))))


def _without_comment(line: str) -> str:
    return line[: line.index("//")].rstrip() if "//" in line else line


def _form(lines: Sequence[str]) -> _Form:
    names: dict[str, str] = {}
    numbers: list[str] = []

    def renamed(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"a{len(names)}")

    def size(match: re.Match[str]) -> str:
        numbers.append(match[0])
        return _SIZE_HOLE

    def value(match: re.Match[str]) -> str:
        numbers.append(match[0])
        return _VALUE_HOLE

    plain = []
    for line in lines:
        text = _without_comment(line).replace("?", "??")
        text = _SIZE.sub(size, text) if _INDEX_LINE.match(text) else _VALUE.sub(value, text)
        plain.append(_NAME.sub(renamed, text))
    return _Form(tuple(plain), tuple(names), tuple(numbers))


def _shared(
    members: Sequence[int], forms: Mapping[int, _Form], declaration: Callable[[str, str], str]
) -> tuple[BodyFunction, dict[int, tuple[str, ...]]]:
    """The function of bodies of one form, and the numbers that each passes: those that differ, equal ones once."""
    first = forms[members[0]]
    columns: list[tuple[str, ...]] = list(zip(*(forms[number].numbers for number in members), strict=True))
    remaining = iter(columns)
    parameters: dict[tuple[str, ...], str] = {}
    declared = [declaration(name, f"a{position}") for position, name in enumerate(first.names)]

    def filled(match: re.Match[str]) -> str:
        if match[0] == "??":
            return "?"
        column = next(remaining)
        if len(set(column)) == 1:
            return column[0]
        if column not in parameters:
            kind, c_type = ("size", "long") if match[0] == _SIZE_HOLE else ("value", "float")
            parameters[column] = f"n{len(parameters)}_{kind}"
            declared.append(f"const {c_type} {parameters[column]}")
        return parameters[column]

    lines = tuple(re.sub(r"\?[?#~]", filled, line) for line in first.lines)
    passed = {number: tuple(column[at] for column in parameters) for at, number in enumerate(members)}
    return BodyFunction(members[0], tuple(declared), lines), passed
