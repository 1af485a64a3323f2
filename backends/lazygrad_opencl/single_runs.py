"""Loops that run once are blocks.

In: the statements of a body. Out: the same, in which a loop that begins and ends at literals, and takes one step from
the one to the other, is a block that declares its index. LLVM would find out, in time that grows with each loop around
and inside; where the index is hidden from it (``outer_loops.py``) it never would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LOOP = re.compile(r"( *)for \(long (\w+) = (\d+); \2 < (\d+); \2(?:\+\+| \+= (\d+))\) \{(.*)")
_INDENTATION = "    "


def without_single_runs(lines: Sequence[str]) -> list[str]:
    """The statements with a block for each such loop.

    >>> without_single_runs(["for (long v = 0; v < 8; v += 16) {", "    sum += x[v];", "}"])
    ['{', '    const long v = 0;', '    sum += x[v];', '}']
    """
    result = []
    for line in lines:
        loop = _LOOP.fullmatch(line)
        if loop is not None and int(loop[3]) < int(loop[4]) <= int(loop[3]) + int(loop[5] or 1):
            result += [f"{loop[1]}{{{loop[6]}", f"{loop[1]}{_INDENTATION}const long {loop[2]} = {loop[3]};"]
        else:
            result.append(line)
    return result
