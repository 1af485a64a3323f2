"""Bodies of one kernel that differ in buffers and sizes alone share a function, which gets these as arguments.

An optimizer's step or a model's first random numbers are kernels of dozens of such bodies. In: the statements of each
body. Out: functions, and for each body which one it calls and with what.

Only sizes that a processor can as well have in a register become arguments: numbers in the lines that declare scalar
indices and open loops. Divisors stay literals, because dividing by a literal is a multiplication.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

# What a body's statements may name of the kernel's; not a vector's element, as in x.s0.
_NAME = re.compile(r"(?<![\w.])(?:[bs]\d+|scratch|group)\b")
_INDEX_LINE = re.compile(r"\s*(?:for \(long|const long) ")
_SIZE = re.compile(r"(?<![\w.])(?<![/%] )(?<![/%])\d+(?![\w.])")
_COMMENT = re.compile(r"\s*//.*")


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
    """A body's statements with holes for sizes, its names in the order of their use, and the sizes."""

    lines: tuple[str, ...]
    names: tuple[str, ...]
    sizes: tuple[int, ...]


def share(
    bodies: Sequence[Sequence[str]], declaration: Callable[[str, str], str]
) -> tuple[list[BodyFunction], list[Call]]:
    """Functions for the bodies. ``declaration`` declares a parameter for one of the kernel's names, renamed."""
    forms = [_form(lines) for lines in bodies]
    groups: dict[object, list[int]] = {}
    for number, form in enumerate(forms):
        types = tuple(declaration(name, f"a{position}") for position, name in enumerate(form.names))
        groups.setdefault((form.lines, types), []).append(number)
    functions: list[BodyFunction] = []
    calls: dict[int, Call] = {}
    for members in groups.values():
        if len(members) == 1:
            (number,) = members
            names = forms[number].names
            own = tuple(declaration(name, name) for name in names)
            functions.append(BodyFunction(number, own, tuple(bodies[number])))
            calls[number] = Call(number, names)
            continue
        function, sizes = _shared(members, forms, declaration)
        functions.append(function)
        for number in members:
            calls[number] = Call(function.number, (*forms[number].names, *sizes[number]))
    return functions, [calls[number] for number in range(len(bodies))]


def _form(lines: Sequence[str]) -> _Form:
    names: dict[str, str] = {}
    sizes: list[int] = []

    def renamed(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"a{len(names)}")

    def hole(match: re.Match[str]) -> str:
        sizes.append(int(match[0]))
        return "?#"

    plain = []
    for line in lines:
        text = _COMMENT.sub("", line).replace("?", "??")
        text = _SIZE.sub(hole, text) if _INDEX_LINE.match(text) else text
        plain.append(_NAME.sub(renamed, text))
    return _Form(tuple(plain), tuple(names), tuple(sizes))


def _shared(
    members: Sequence[int], forms: Sequence[_Form], declaration: Callable[[str, str], str]
) -> tuple[BodyFunction, dict[int, tuple[str, ...]]]:
    """The function of bodies of one form, and the sizes that each passes: those that differ, equal ones once."""
    first = forms[members[0]]
    columns = list(zip(*(forms[number].sizes for number in members), strict=True))
    parameters: dict[tuple[int, ...], str] = {}
    texts = []
    for column in columns:
        if len(set(column)) == 1:
            texts.append(str(column[0]))
        else:
            texts.append(parameters.setdefault(column, f"n{len(parameters)}_size"))
    filled = iter(texts)
    lines = tuple(re.sub(r"\?([?#])", lambda m: "?" if m[1] == "?" else next(filled), line) for line in first.lines)
    declared = [declaration(name, f"a{position}") for position, name in enumerate(first.names)]
    declared += [f"const long {name}" for name in parameters.values()]
    passed = {number: tuple(str(column[at]) for column in parameters) for at, number in enumerate(members)}
    return BodyFunction(members[0], tuple(declared), lines), passed
