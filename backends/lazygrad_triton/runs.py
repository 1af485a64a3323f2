"""Which steps a tile of rows runs through: those that a row of it may see, as loops over blocks.

In: a stream and an emitter that has bound the tile's rows. Out: ``Run`` objects, whose ranges are scalars computed
before the loops. A causal mask hides all steps behind (or before) the tile's last (first) row, which are left out. In
long streams, those that every row sees have a loop of their own, without masks.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.ir.dtype import int32
from lazygrad.ir.index import Bound, Index, Variable, variables
from lazygrad.kernel.block_streaming import BlockStreaming
from lazygrad.kernel.emit import Operand
from lazygrad.kernel.kernel import Stage
from lazygrad.kernel.visibility import assuming, visible
from lazygrad_triton.emitter import TritonEmitter

# With fewer blocks of steps than these a second loop costs more than the masks that it saves.
LONG_RUN = 8


class Run(NamedTuple):
    """A loop ``for start in range(low, high, steps)`` and what happens in it; ``whole``: its blocks are full."""

    low: str
    high: str
    stage: Stage
    whole: bool


def runs(emitter: TritonEmitter, stage: Stage, form: BlockStreaming) -> list[Run]:
    """The loops of a stream, in order."""
    return _Runs(emitter, stage, form).loops()


def later_rows_see_more(stage: Stage, form: BlockStreaming) -> bool:
    """Whether the steps that a row sees end the later, the later the row is, as in causal attention."""
    ends = [_interval(bound, form.step_axes[0])[1] for bound in _ranges(stage, form)]
    return any(end is not None and end.coefficient(form.row_axes[-1]) > 0 for end in ends if form.row_axes)


class _Runs:
    def __init__(self, emitter: TritonEmitter, stage: Stage, form: BlockStreaming) -> None:
        self.emitter = emitter
        self.stage = stage
        self.form = form
        self.bounds = _ranges(stage, form)

    def loops(self) -> list[Run]:
        steps, count = self.form.steps, self.form.step_count
        even = count % steps == 0
        firsts, ends = self._limits(by_all=False)
        low = self._aligned(_nested("maximum", [*firsts, "0"])) if firsts else "0"
        high = self._named(_nested("minimum", [*ends, str(count)])) if ends else str(count)
        if count < LONG_RUN * steps or (even and not self.bounds):
            return [Run(low, high, self.stage, even)]
        # From inner_low to inner_high all rows see all steps.
        firsts, ends = self._limits(by_all=True)
        inner_low, inner_high = low, high
        if firsts:
            inner_low = self._aligned(f"{_nested('maximum', [*firsts, low])} + {steps - 1}")
        if ends:
            inner_high = self._aligned(_nested("maximum", [_nested("minimum", [*ends, str(count)]), inner_low]))
        elif not even:
            whole = str(count // steps * steps)
            inner_high = whole if inner_low == "0" else self._named(_nested("maximum", [inner_low, whole]))
        found = [Run(inner_low, inner_high, assuming(self.stage, tuple(self.bounds)), True)]
        if inner_low != low:
            found.insert(0, Run(low, self._named(_nested("minimum", [inner_low, high])), self.stage, even))
        if inner_high != high:
            found.append(Run(inner_high, high, self.stage, even))
        return found

    def _limits(self, by_all: bool) -> tuple[list[str], list[str]]:
        """Where the steps that any row sees, or all rows see, begin and end: a number for each side of each bound."""
        firsts, ends = [], []
        for bound in self.bounds:
            first, end = _interval(bound, self.form.step_axes[0])
            if first is not None:
                firsts.append(self._extreme(first, "larger" if by_all else "smaller"))
            if end is not None:
                ends.append(self._extreme(end, "smaller" if by_all else "larger"))
        return firsts, ends

    def _extreme(self, index: Index, which: str) -> str:
        """The largest or smallest value of an index among the tile's rows."""
        operand = self.emitter.index(index)
        if not operand.wide:
            return operand.text
        function = self.emitter.use(which)
        return self._named(f"tl.reduce(tl.reduce({operand.text}, 1, {function}), 0, {function})")

    def _aligned(self, text: str) -> str:
        """The first step of the block that a step is in."""
        steps = self.form.steps
        return self._named(f"({text}) // {steps} * {steps}")

    def _named(self, text: str) -> str:
        return self.emitter.declare(Operand(text, int32, 0, self.emitter.depth), "step").text


def _interval(bound: Bound, axis: Variable) -> tuple[Index | None, Index | None]:
    """The first value of the axis for which a bound holds, and the one after the last; None where it has no limit."""
    index, step = bound.index, bound.index.coefficient(axis)
    rest = index - Index(0, ((axis, step),))
    below = index.low < bound.low  # whether the limits matter
    above = index.high >= bound.high
    if step > 0:  # low - rest <= axis < high - rest
        return -rest + bound.low if below else None, -rest + bound.high if above else None
    return rest + (1 - bound.high) if above else None, rest + (1 - bound.low) if below else None


def _ranges(stage: Stage, form: BlockStreaming) -> list[Bound]:
    """The bounds that say from which step to which a row sees."""
    if len(form.step_axes) != 1:
        return []
    (axis,) = form.step_axes

    def is_range(bound: Bound) -> bool:
        step = bound.index.coefficient(axis)
        return abs(step) == 1 and axis not in variables(bound.index - Index(0, ((axis, step),)))

    return [bound for bound in visible(stage) if is_range(bound)]


def _nested(function: str, texts: list[str]) -> str:
    """``f(a, f(b, c))``."""
    *rest, text = texts
    for other in reversed(rest):
        text = f"tl.{function}({other}, {text})"
    return text
