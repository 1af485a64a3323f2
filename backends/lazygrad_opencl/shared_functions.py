"""Functions that bodies of many kernels call: a program compiles each once, and not once for each body.

In: a function's parameters and statements. Out: its text, which stands before every kernel that calls it and counts the
first time only, and a name that no function of other statements has. What differs from body to body (strides, lengths)
is an argument, so only what runs long enough for that to be free is such a function.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from lazygrad_opencl.outer_loops import hide_outer_indices
from lazygrad_opencl.single_runs import without_single_runs

_NAME_DIGITS = 8
_INDENTATION = "    "
_TEXT = re.compile(r"^#ifndef HAS_\w+\n.*?^#endif$", re.MULTILINE | re.DOTALL)


class SharedFunction(NamedTuple):
    """A function's name, and its text for programs in which it may stand several times."""

    name: str
    text: str


def shared_function(name: str, parameters: Sequence[str], lines: Sequence[str]) -> SharedFunction:
    """The function that returns nothing and is called like ``name`` with digits behind."""
    declared = ", ".join(parameters)
    digits = sha256("\n".join([declared, *lines]).encode()).hexdigest()[:_NAME_DIGITS]
    unique = f"{name}_{digits}"
    text = [
        f"#ifndef HAS_{unique}",
        f"#define HAS_{unique}",
        f"NOT_INLINE void {unique}({declared}) {{",
        *(_INDENTATION + line for line in hide_outer_indices(without_single_runs(lines))),
        "}",
        "#endif",
    ]
    return SharedFunction(unique, "\n".join(text))


def shared_texts(text: str) -> list[str]:
    """The texts of shared functions that stand in a kernel's."""
    return _TEXT.findall(text)
