"""Squares of elements turned in registers: loads whose lanes lie apart, but whose neighbours along another axis do not.

A gather moves elements one by one. Where a loop over the other axis surrounds it, ``lanes`` whole vectors along
that axis are loaded instead, and turned by log2(lanes) rounds of shuffles, which gives the gathers of ``lanes``
consecutive positions.
"""

from __future__ import annotations

from lazygrad.ir.dtype import bool_
from lazygrad.ir.index import Index, Variable, substitute
from lazygrad.ir.value import LOAD, Value
from lazygrad.kernel.axes import stride
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.kernel import Stage
from lazygrad_opencl.emitter import OpenCLEmitter


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


def load_turned(emitter: OpenCLEmitter, value: Value, inner: Variable, first: str) -> list[Operand]:
    """The value at ``lanes`` positions of ``inner`` from ``first`` on, each with lanes along the wide axis."""
    access, lanes = value.payload, emitter.lanes
    # A variable of its own for the first position: ``inner`` is bound anew at each of them.
    start = Variable(f"first {first}", inner.extent)
    if start not in emitter.bindings:
        emitter.bind(start, first)
    address = emitter.address(substitute(access.address, {inner: Index(0, ((start, 1),))}))
    assert address.stride is not None
    rows = []
    for lane in range(lanes):
        step = lane * address.stride
        text = f"({address.base.text} {'-' if step < 0 else '+'} {abs(step)})" if step else address.base.text
        place = address.base._replace(text=text)
        rows.append(Operand(emitter.vector_at(access.buffer, place, value.dtype), value.dtype, True, emitter.depth))
    rows = [emitter.declare(row, "x") for row in rows]
    apart = lanes // 2
    while apart:
        turned = list(rows)
        for position in range(lanes):
            if not position & apart:
                upper, lower = rows[position], rows[position + apart]
                low = _mixed(upper.text, lower.text, lanes, apart, 0)
                high = _mixed(upper.text, lower.text, lanes, apart, apart)
                turned[position] = emitter.declare(upper._replace(text=low), "x")
                turned[position + apart] = emitter.declare(upper._replace(text=high), "x")
        rows = turned
        apart //= 2
    return rows


def _mixed(first: str, second: str, lanes: int, apart: int, offset: int) -> str:
    """Runs of ``apart`` lanes from both vectors in turn, ``offset`` lanes further on.

    Not as a vector of elements, each of which would be an instruction until LLVM has seen what they are together.
    """
    runs = (start + run for run in range(offset, lanes, 2 * apart) for start in (0, lanes))
    numbers = ", ".join(str(number) for run in runs for number in range(run, run + apart))
    return f"__builtin_shufflevector({first}, {second}, {numbers})"
