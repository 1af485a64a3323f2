"""Winograd's transforms as text: a transform of one direction applied to the columns and then the rows of a square.

In: the expressions of one direction (``lazygrad.kernel.winograd``), and what loads an element and stores a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazygrad_opencl.sum_loops import Text


def write_transform(
    text: Text,
    type_: str,
    side: int,
    expressions: Sequence[str],
    load: Callable[[int, int], str],
    store: Callable[[int, int, str], None],
) -> None:
    """``load(i, j)`` gives an element of the side x side square; ``store(i, j, value)`` is called for each result."""
    for j in range(side):
        names = [f"x{i}{j}" for i in range(side)]
        text.line(f"const {type_} {', '.join(f'{name} = {load(i, j)}' for i, name in enumerate(names))};")
        results = [f"y{i}{j} = {each.format(*names)}" for i, each in enumerate(expressions)]
        text.line(f"const {type_} {', '.join(results)};")
    for i in range(len(expressions)):
        names = [f"y{i}{j}" for j in range(side)]
        for j, each in enumerate(expressions):
            store(i, j, each.format(*names))
