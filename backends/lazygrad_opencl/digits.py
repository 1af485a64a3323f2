"""A flat number's digits as axes: how work-items, and plain loops, find their points and elements."""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir.index import Variable
from lazygrad_opencl.emitter import OpenCLEmitter


def bind_digits(emitter: OpenCLEmitter, axes: Sequence[Variable], flat: str) -> None:
    """Binds axes at the innermost level to the digits of ``flat`` (a name or a cast), the last axis fastest."""
    step = 1
    lines = []
    for position, axis in reversed(list(enumerate(axes))):
        digit = f"{flat} / {step}" if step > 1 else flat
        if position:
            digit = f"{digit} % {axis.extent}"
        name = emitter.fresh("i")
        lines.append(f"const int {name} = (int)({digit}); // {axis} of {axis.extent}")
        emitter.bind(axis, name)
        step *= axis.extent
    for line in reversed(lines):
        emitter.line(line)
