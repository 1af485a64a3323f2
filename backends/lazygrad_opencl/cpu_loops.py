"""Loops of tasks on a processor: a work-group's run of points, plain loops, and loops in steps of vectors.

Every ``open_...`` opens exactly one level of the emitter and binds its axes there.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.ir.index import Variable
from lazygrad.kernel.tiling import Partition
from lazygrad_opencl.emitter import OpenCLEmitter


class Span(NamedTuple):
    """The part of an axis that is walked: C texts of its two ends."""

    begin: str
    end: str


def whole(axis: Variable) -> Span:
    """All of an axis."""
    return Span("0", str(axis.extent))


def open_tasks(emitter: OpenCLEmitter, partition: Partition, alike: bool = False) -> dict[Variable, Span]:
    """This work-group's points: binds axes split into single positions, returns the spans of others.

    ``alike``: the text is the same whether or not the last block is as long as the others, for bodies that may share it
    (``sharing.py``).
    """
    count, chunk = partition.count, partition.chunk
    if count == 1:
        emitter.open()
    elif chunk == 1:
        emitter.open()
        emitter.line("const long point = group;")
    else:
        emitter.line(f"const long first = group * {chunk};")
        emitter.line(f"const long last = {_smaller(f'first + {chunk}', count, count % chunk == 0)};")
        emitter.open("for (long point = first; point < last; point++) {")
    spans: dict[Variable, Span] = {}
    step = count
    for position, split in enumerate(partition.splits):
        step //= split.count
        digit = f"point / {step}" if step > 1 else "point"
        if position and split.count > 1:
            digit = f"{digit} % {split.count}"
        if split.count == 1:
            digit = "0"
        name = emitter.fresh("i")
        axis, block = split.axis, split.block
        if block == 1:
            emitter.line(f"const long {name} = {digit}; // {axis} of {axis.extent}")
            emitter.bind(axis, name)
            continue
        begin = f"({digit}) * {block}" if digit != "0" else "0"
        emitter.line(f"const long {name} = {begin}; // {axis} of {axis.extent}, in blocks of {block}")
        end = f"{name}_end"
        limit = _smaller(f"{name} + {block}", axis.extent, axis.extent % block == 0 and not alike)
        emitter.line(f"const long {end} = {limit};")
        spans[axis] = Span(name, end)
    return spans


def _smaller(text: str, limit: int, never: bool) -> str:
    return text if never else f"{text} < {limit} ? {text} : {limit}"


def open_loop(emitter: OpenCLEmitter, axis: Variable, span: Span | None = None) -> str:
    """A loop over single positions, whose variable it returns."""
    begin, end = span or whole(axis)
    name = emitter.fresh("i")
    emitter.open(f"for (long {name} = {begin}; {name} < {end}; {name}++) {{ // {axis} of {axis.extent}")
    emitter.bind(axis, name)
    return name


def open_vectors(emitter: OpenCLEmitter, axis: Variable, span: Span | None = None, exactly: bool = False) -> str:
    """A loop in steps of vectors, whose variable it returns.

    The last vector may repeat lanes, unless the span is said to be ``exactly`` a number of vectors.
    """
    name, place = _open_steps(emitter, axis, emitter.lanes, span, exactly)
    emitter.bind(axis, place, wide=True)
    return name


def split_span(emitter: OpenCLEmitter, axis: Variable, span: Span | None) -> tuple[Span, Span]:
    """The part of a span that is whole vectors, and the rest."""
    begin, end = span or whole(axis)
    even = emitter.fresh("v")
    emitter.line(f"const long {even} = {end} - ({end} - {begin}) % {emitter.lanes};")
    return Span(begin, even), Span(even, end)


def open_steps(emitter: OpenCLEmitter, axis: Variable, step: int, span: Span | None = None) -> str:
    """A loop in steps; returns the text of a step's first position. Binds nothing; the last step may repeat some."""
    return _open_steps(emitter, axis, step, span)[1]


def _open_steps(
    emitter: OpenCLEmitter, axis: Variable, step: int, span: Span | None, exactly: bool = False
) -> tuple[str, str]:
    begin, end = span or whole(axis)
    name = emitter.fresh("v")
    emitter.open(
        f"for (long {name} = {begin}; {name} < {end}; {name} += {step}) {{ // {axis} of {axis.extent}, {step} lanes"
    )
    if exactly or axis.extent % step == 0:
        return name, name
    place, last = emitter.fresh("i"), axis.extent - step
    emitter.line(f"const long {place} = {name} < {last} ? {name} : {last};")
    return name, place


def open_block(emitter: OpenCLEmitter, axis: Variable, block: int, span: Span | None = None) -> Span:
    """A loop over blocks of the axis; returns the span of one block. Binds nothing."""
    begin, end = span or whole(axis)
    start, stop = emitter.fresh("v"), emitter.fresh("v")
    emitter.open(f"for (long {start} = {begin}; {start} < {end}; {start} += {block}) {{ // {axis} in blocks of {block}")
    limit = f"{start} + {block}"
    even = axis.extent % block == 0 and span is None
    emitter.line(f"const long {stop} = {limit if even else f'{limit} < {end} ? {limit} : {end}'};")
    return Span(start, stop)
