"""Named operations rewritten into what a target can compute: the pass before code generation.

In: a body whose values use operations by name (exp, tanh, pow, ...). Out: the same body in which each name
that the target lacks is replaced by its expansion into arithmetic, comparisons and bits. Values shared before
are shared after.
"""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.ir.value import Value, leaf
from lazygrad.kernel.expansions import EXPANSIONS
from lazygrad.kernel.kernel import Accumulator, Body, Contraction, Reduction, Stage, Store
from lazygrad.kernel.machine import Flavour

# What the compilers for graphics processors have as fast built-in functions of floats. Not tanh: OpenCL lets it
# miss 1 by some bits for large arguments, and then 1 - tanh(x) is not 0 and infinity times it not nan.
NATIVE = frozenset(
    {
        "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "erf", "exp", "exp2", "expm1", "floor",
        "fmod", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "pow", "round", "rsqrt",
        "sin", "sinh", "tan", "trunc",
    }
)  # fmt: skip


def native_names(flavour: Flavour) -> frozenset[str]:
    """The names that this flavour's targets compute themselves."""
    return frozenset() if flavour == "cpu" else NATIVE


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


def expand(body: Body, flavour: Flavour) -> Body:
    """The body with every value rewritten for the flavour."""
    return map_values(body, Expander(native_names(flavour)))


def map_values(body: Body, function: Callable[[Value], Value]) -> Body:
    """The body with ``function`` applied to every value that is reduced, stored or an address."""
    return Body(body.axes, tuple(_map_stage(stage, function) for stage in body.stages))


def _map_stage(stage: Stage, function: Callable[[Value], Value]) -> Stage:
    accumulators = tuple(_map_accumulator(accumulator, function) for accumulator in stage.accumulators)
    stores = tuple(
        Store(store.access, function(store.value), store.mode, tuple(function(v) for v in store.dynamic_values))
        for store in stage.stores
    )
    return Stage(stage.axes, accumulators, stores, stage.sequential)


def _map_accumulator(accumulator: Accumulator, function: Callable[[Value], Value]) -> Accumulator:
    if isinstance(accumulator, Contraction):
        return Contraction(function(accumulator.a), function(accumulator.b), accumulator.dtype)
    return Reduction(accumulator.op, function(accumulator.value), accumulator.dtype, accumulator.position)
