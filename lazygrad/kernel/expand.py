"""Named operations rewritten into what a target can compute: the pass before code generation.

In: a body whose values use operations by name (exp, tanh, pow, ...). Out: the same body in which each name
that the target lacks is replaced by its expansion into arithmetic, comparisons and bits. Values shared before
are shared after.
"""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.ir.value import Value, leaf
from lazygrad.kernel.expansions import EXPANSIONS
from lazygrad.kernel.kernel import Body
from lazygrad.kernel.mapping import map_stage


class Expander:
    """Rewrites values, each once."""

    def __init__(self, native: frozenset[str]) -> None:
        self.native = native
        self._done: dict[Value, Value] = {}

    def __call__(self, value: Value) -> Value:
        """The value in terms of what the target computes."""
        pending = [value]
        while pending:
            current = pending[-1]
            if current in self._done:
                pending.pop()
                continue
            missing = [i for i in current.inputs if i not in self._done]
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            self._done[current] = self._rewrite(current, tuple(self._done[i] for i in current.inputs))
        return self._done[value]

    def _rewrite(self, value: Value, inputs: tuple[Value, ...]) -> Value:
        if value.op in EXPANSIONS and value.op not in self.native and inputs[0].dtype.is_float:
            # An expansion may be written with the name of another one.
            return self(EXPANSIONS[value.op].function(*inputs))
        if inputs == value.inputs:
            return value
        return leaf(value.op, value.dtype, value.payload, inputs)


def expand(body: Body, native: frozenset[str]) -> Body:
    """The body with every value rewritten for a target that computes the ``native`` names itself."""
    if EXPANSIONS.keys().isdisjoint(value.op for stage in body.stages for value in stage.values):
        return body
    return map_values(body, Expander(native))


def map_values(body: Body, function: Callable[[Value], Value]) -> Body:
    """The body with ``function`` applied to every value that is multiplied, reduced, stored or an address."""
    return Body(body.axes, tuple(map_stage(stage, function) for stage in body.stages))
