"""The innermost loop of contractions: rows times vectors of columns, summed in registers.

In: the element type, the ``lanes`` of a vector, the ``vectors`` of a panel, and where rows are. Out: text that declares
and computes the sums c0_0, c0_1, ..., by row and vector; or a function of operands that both were packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lazygrad_opencl.shared_functions import SharedFunction, shared_function
from lazygrad_opencl.sum_loops import Text

# Steps that are written out, which share the loop's own additions and jumps.
UNROLLED = 2


class Row(NamedTuple):
    """Where a row begins: a pointer, and how many elements behind it."""

    pointer: str
    behind: int = 0


def declare_sums(text: Text, type_: str, lanes: int, vectors: int, height: int) -> list[str]:
    """Sums of zero; returns their names, row by row."""
    names = [f"c{r}_{v}" for r in range(height) for v in range(vectors)]
    text.line(f"{type_}{lanes} {', '.join(f'{name} = 0' for name in names)};")
    return names


def begin_sums(text: Text, sums: Sequence[str], is_first: str) -> None:
    """They begin at what ``partial`` holds, unless ``is_first``."""
    text.open(f"if (!{is_first}) {{")
    for number, name in enumerate(sums):
        text.line(f"{name} = partial[{number}];")
    text.close()


def end_sums(text: Text, sums: Sequence[str], is_last: str) -> None:
    """They go to ``tile``, or unless ``is_last`` to ``partial``."""
    for condition, target in ((f"if ({is_last}) {{", "tile"), ("else {", "partial")):
        text.open(condition)
        for number, name in enumerate(sums):
            text.line(f"{target}[{number}] = {name};")
        text.close()


def write_step(text: Text, type_: str, lanes: int, places: Sequence[str], values: Sequence[str]) -> None:
    """Adds one step's products: of the vectors at ``places``, and a value for each row."""
    vector = f"{type_}{lanes}"
    text.open("{")
    for v, place in enumerate(places):
        text.line(f"const {vector} w{v} = *(__global const unaligned_{vector}*)({place});")
    for r, value in enumerate(values):
        updates = " ".join(f"c{r}_{v} = x * w{v} + c{r}_{v};" for v in range(len(places)))
        text.line(f"{{ const {type_} x = {value}; {updates} }}")
    text.close()


def write_product(
    text: Text, type_: str, lanes: int, vectors: int, length: str, rows: Sequence[Row], row_step: int | str
) -> None:
    """Adds the products of ``length`` steps, each ``row_step`` elements further in the rows, a panel in ``columns``."""
    width = lanes * vectors

    def step(number: int) -> None:
        places = [f"columns + k * {width} + {number * width + v * lanes}" for v in range(vectors)]
        values = [f"{row.pointer}[(k + {number}) * {row_step} + {row.behind}]" for row in rows]
        write_step(text, type_, lanes, places, values)

    text.line("long k = 0;")
    text.open(f"for (; k < {length} - {UNROLLED - 1}; k += {UNROLLED}) {{")
    for number in range(UNROLLED):
        step(number)
    text.close()
    text.open(f"for (; k < {length}; k++) {{")
    step(0)
    text.close()


def packed_product(type_: str, lanes: int, vectors: int, height: int) -> SharedFunction:
    """``(a, columns, partial, tile, steps, is_first, is_last)``: ``a`` holds a tile's rows side by side for each step.

    The sums go to ``tile``, or unless ``is_last`` to ``partial``, where they begin unless ``is_first``.
    """
    text, vector = Text(), f"{type_}{lanes}"
    sums = declare_sums(text, type_, lanes, vectors, height)
    begin_sums(text, sums, "is_first")
    write_product(text, type_, lanes, vectors, "steps", [Row("a", r) for r in range(height)], height)
    end_sums(text, sums, "is_last")
    parameters = [
        f"__global const {type_}* restrict a",
        f"__global const {type_}* restrict columns",
        f"__global {vector}* restrict partial",
        f"{vector}* restrict tile",
        "const long steps",
        "const long is_first",
        "const long is_last",
    ]
    return shared_function("multiply_packed", parameters, text.lines)
