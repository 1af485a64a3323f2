"""Indices of outer loops, hidden from the compiler.

In: the statements of a body. Out: the same, in which each loop that has loops inside begins with ``HIDE`` of its index
(``prelude.py``): an empty piece of assembler that may change it, as far as compilers know.

For each loop LLVM's scalar evolution follows whatever is computed of its index, through all loops inside, to find out
what cannot overflow, which addresses advance by equal steps, and how often it runs. In the innermost loop that pays. In
the others nothing follows from it, and finding nothing takes a fifth of the time for which a program compiles.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LOOP = re.compile(r"( *)for \(long (\w+) = .*\) \{")
_ANY_LOOP = re.compile(r" *for \(")
_INDENTATION = "    "


def hide_outer_indices(lines: Sequence[str]) -> list[str]:
    """The statements with hidden indices; what is in a loop's braces is indented deeper than the loop.

    >>> hide_outer_indices(["for (long i = 0; i < 2; i++) {", "    for (long j = 0; j < 2; j++) {", "    }", "}"])
    ['for (long i = 0; i < 2; i++) {', '    HIDE(i);', '    for (long j = 0; j < 2; j++) {', '    }', '}']
    """
    hidden = []
    for number, line in enumerate(lines):
        hidden.append(line)
        loop = _LOOP.match(line)
        if loop is not None and _has_loop(lines, number + 1, len(loop[1])):
            hidden.append(f"{loop[1]}{_INDENTATION}HIDE({loop[2]});")
    return hidden


def _has_loop(lines: Sequence[str], first: int, indentation: int) -> bool:
    """Whether there is a loop before the first line that is not indented deeper."""
    for line in lines[first:]:
        if len(line) - len(line.lstrip()) <= indentation:
            return False
        if _ANY_LOOP.match(line):
            return True
    return False
