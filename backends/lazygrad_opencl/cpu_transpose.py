"""Squares of elements turned in registers: loads whose lanes lie apart, but whose neighbours along another axis do not.

A gather moves elements one by one. Where a loop over the other axis surrounds it, a square of ``lanes`` rows along
that axis is loaded instead, and turned into the gathers of ``lanes`` consecutive positions. Loads do the first half of
the work: 16 bytes at a time, of rows that lie 16 bytes' elements apart, side by side in one vector. What is left are
small squares within 16 bytes, turned by rounds of zips, for which processors have an instruction; shuffles of whole
vectors across such parts took three times as long.
"""

from __future__ import annotations

from lazygrad.ir.dtype import bool_
from lazygrad.ir.index import Index, Variable, substitute
from lazygrad.ir.value import LOAD, Value
from lazygrad.kernel.axes import stride
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.kernel import Stage
from lazygrad_opencl.emitter import OpenCLEmitter
from lazygrad_opencl.types import memory_type

# Bytes that shuffles move elements within at no cost; vectors are rows of them.
PART = 16


def turnable_loads(stage: Stage, vector: Variable, inner: Variable) -> list[Value]:
    """The stage's loads that can be loaded along ``inner`` and turned to lie along ``vector``."""
    found = []
    for value in stage.values:
        if value.op != LOAD or value.dtype is bool_ or value.payload.mask or value.payload.dynamic:
            continue
        address = value.payload.address
        if stride(address, inner) == 1 and stride(address, vector) not in (None, 0, 1):
            found.append(value)
    return found


def load_turned(emitter: OpenCLEmitter, value: Value, inner: Variable, first: str, count: int) -> list[Operand]:
    """The value at ``count`` positions of ``inner`` from ``first`` on, each with lanes along the wide axis.

    If they are not a multiple of a part's elements, some behind the last are read and not used (``MOST_PANEL_BYTES``).
    """
    access, lanes = value.payload, emitter.lanes
    # A variable of its own for the first position: ``inner`` is bound anew at each of them.
    start = Variable(f"first {first}", inner.extent)
    if start not in emitter.bindings:
        emitter.bind(start, first)
    address = emitter.address(substitute(access.address, {inner: Index(0, ((start, 1),))}))
    assert address.stride is not None
    stride, base = address.stride, address.base
    if not base.text.isidentifier():
        base = emitter.declare(base, "k")
    part = min(PART // value.dtype.itemsize, lanes)

    def row(column: int, number: int) -> Operand:
        """Parts of every ``part``-th row from ``number`` on, side by side."""
        parts = (
            emitter.vector_at(access.buffer, _behind(base, lane * stride + column), value.dtype, part)
            for lane in range(number, lanes, part)
        )
        kind = f"{memory_type(value.dtype)}{lanes}"
        text = ", ".join(parts)
        return emitter.declare(
            Operand(text if part == lanes else f"({kind})({text})", value.dtype, True, emitter.depth), "x"
        )

    turned = []
    for column in range(0, count, part):
        square = [row(column, number) for number in range(part)]
        for _ in range(part.bit_length() - 1):
            zipped = []
            for upper, lower in zip(square[: part // 2], square[part // 2 :], strict=True):
                for offset in (0, part // 2):
                    text = _zipped(upper.text, lower.text, lanes, part, offset)
                    zipped.append(emitter.declare(upper._replace(text=text), "x"))
            square = zipped
        turned += square
    return turned[:count]


def _behind(base: Operand, step: int) -> Operand:
    return base._replace(text=f"({base.text} {'-' if step < 0 else '+'} {abs(step)})") if step else base


def _zipped(first: str, second: str, lanes: int, part: int, offset: int) -> str:
    """In each ``part`` of the lanes, half of both vectors' elements in turn, from ``offset`` on: one instruction.

    Not as a vector of elements, each of which would be an instruction until LLVM has seen what they are together.
    """
    places = (start + offset + step for start in range(0, lanes, part) for step in range(part // 2))
    numbers = ", ".join(f"{place}, {lanes + place}" for place in places)
    return f"__builtin_shufflevector({first}, {second}, {numbers})"
