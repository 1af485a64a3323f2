"""Statements from expressions, for any target: each value once, in the outermost loop that knows its inputs.

In: values and stores of a kernel, and loops that a skeleton opens and binds to axes. Out: lines of source. A
target adds how it writes things down, in a subclass of ``Emitter``: names of types, operations, loads, stores.

Lanes: a variable may be bound ``wide``, meaning that lane k holds its text plus k. All that depends on it is wide.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.index import Bound, Index, Mask, Substitution, Variable
from lazygrad.ir.value import ARGUMENT, CONSTANT, INDEX, LOAD, PRODUCT, REDUCED, VALID, Value
from lazygrad.kernel.emit_index import Address, Condition, IndexEmitter
from lazygrad.kernel.kernel import Access, Body, Reduction, Store
from lazygrad.kernel.levels import INDENT, Binding, Operand
from lazygrad.kernel.walk import stage_values

__all__ = ["INDENT", "Address", "Condition", "Emitter", "Operand", "fused_products"]


class Emitter(IndexEmitter):
    """One body's emission. ``lanes`` is how many values a wide operand holds.

    ``fused`` are products to be written inside the sums that use them (see :func:`fused_products`).
    """

    def __init__(self, lanes: int, fused: frozenset[Value] = frozenset()) -> None:
        super().__init__(lanes)
        self.fused = fused

    @abstractmethod
    def number(self, number: bool | int | float, dtype: DType) -> str:
        """A literal of any type."""

    @abstractmethod
    def argument(self, position: int, dtype: DType) -> str:
        """A scalar argument's name."""

    @abstractmethod
    def operation(self, value: Value, inputs: Sequence[Operand]) -> Operand:
        """The expression of one operation by name; its depth does not matter."""

    @abstractmethod
    def load(self, access: Access, dtype: DType) -> Operand:
        """Emits a load and returns its (named) result."""

    @abstractmethod
    def write(self, access: Access, mode: str, value: Operand) -> None:
        """Emits a store of an emitted value at the innermost level."""

    # ---- values

    def value(self, value: Value) -> Operand:
        """Emits what is missing of the value's graph and returns where its result is."""
        known = self._memory
        pending = [value]
        while pending:
            current = pending[-1]
            if current in known:
                pending.pop()
                continue
            inputs: list[Any] = [known.get(i) for i in current.inputs]
            missing = [i for i, found in zip(current.inputs, inputs, strict=True) if found is None]
            if missing:
                pending.extend(reversed(missing))
                continue
            pending.pop()
            operand = self._emit(current, inputs)
            self.remember(current, operand, operand.depth)
        result: Operand = known[value]
        return result

    def _emit(self, value: Value, inputs: list[Operand]) -> Operand:
        if value.op == CONSTANT:
            return Operand(self.number(value.payload.number, value.dtype), value.dtype)
        if value.op == ARGUMENT:
            return Operand(self.argument(value.payload, value.dtype), value.dtype)
        if value.op == REDUCED:
            return self.reduced[value.payload]
        if value.op == PRODUCT:
            return self.products[value.payload]
        if value.op == INDEX:
            return self._integer_value(value)
        if value.op == VALID:
            return self._valid(value.payload)
        if value.op == LOAD:
            return self.load(self.resolve(value.payload, inputs), value.dtype)
        text, dtype, wide, _, bits = self.operation(value, inputs)
        depth = max([i.depth for i in inputs], default=0)
        if value in self.fused:
            return Operand(f"({text})", dtype, wide, depth, bits)
        return self.declare(Operand(text, dtype, wide, depth, bits))

    def _integer_value(self, value: Value) -> Operand:
        operand = self.index(value.payload)
        if operand.dtype is not value.dtype:
            operand = operand._replace(text=self.convert(operand, value.dtype), dtype=value.dtype)
            return self.declare(operand) if operand.wide else operand
        return self.narrow(operand)

    def _valid(self, mask: Mask) -> Operand:
        uniform, wide = self.condition(mask)
        if uniform is None and wide is None:
            return Operand(self.number(True, bool_), bool_)
        if uniform is None or wide is None:
            either = uniform or wide
            assert either is not None
            return either
        return self.declare(self.both(wide, uniform), "m")

    def resolve(self, access: Access, inputs: Sequence[Operand]) -> Access:
        """The access with its data variables replaced by variables bound to the values they stand for."""
        if not access.dynamic:
            return access
        values: dict[Variable, Index] = {}
        for variable, operand in zip(access.dynamic, inputs, strict=True):
            # Data may leave the variable's extent where there is a mask, and must not be trusted to fit 32 bits then.
            exact = not access.mask
            own = Variable(f"value {operand.text}{'' if exact else ' masked'}", variable.extent)
            if own not in self.bindings:
                self.bindings[own] = Binding(
                    operand.text, operand.dtype, operand.wide, operand.depth, not operand.wide, exact
                )
            values[variable] = Index(0, ((own, 1),))
        replace = Substitution(values)
        mask = tuple(Bound(replace(bound.index), bound.low, bound.high) for bound in access.mask)
        return Access(access.buffer, replace(access.address), mask)

    def stores(self, stores: Sequence[Store]) -> None:
        """Emits all values, then the statements that write them.

        A load behind a store waits until that is done where their addresses differ by a multiple of 4 KiB, which those
        of a parameter, its gradient and its state often do.
        """
        for store in stores:
            for value in (store.value, *store.dynamic_values):
                self.value(value)
        for store in stores:
            access = self.resolve(store.access, [self.value(v) for v in store.dynamic_values])
            self.write(access, store.mode, self.value(store.value))


def fused_products(body: Body) -> frozenset[Value]:
    """Products used once, by an addition, subtraction or sum: written inside it so that compilers fuse."""
    uses: dict[Value, int] = {}
    adders: list[Value] = []
    pending = [value for stage in body.stages for value in stage_values(stage)]
    summed = [
        accumulator.value
        for stage in body.stages
        for accumulator in stage.accumulators
        if isinstance(accumulator, Reduction) and accumulator.op == "sum"
    ]
    for root in pending:
        uses[root] = uses.get(root, 0) + 1
    seen: set[Value] = set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current.op in ("add", "sub"):
            adders.append(current)
        for i in current.inputs:
            uses[i] = uses.get(i, 0) + 1
            pending.append(i)
    candidates = [*summed, *(i for adder in adders for i in adder.inputs)]
    return frozenset(v for v in candidates if v.op == "mul" and v.dtype.is_float and uses[v] == 1)
