"""Statements from expressions, for any target: each value is computed once, in the outermost loop that knows its inputs.

In: values, indices, masks and stores of a kernel, and loops that a skeleton opens and binds to axes. Out: lines of
source. A target adds how it writes things down (an ``Emitter`` subclass): names of types, operations, loads, stores.

Loops are levels. Level 0 is outside all loops; ``open`` adds one, ``close`` ends it. What is emitted is appended to
the level where its deepest input lives, which stands before the loops inside it, so hoisting and common
subexpressions come by themselves: the memory of a level ends with it.

Lanes: a variable may be bound ``wide``, meaning that lane k holds its text plus k. All that depends on it is wide.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from lazygrad.ir.dtype import DType, bool_, int32, int64
from lazygrad.ir.index import Atom, Bound, Index, Mask, Quotient, Substitution, Variable
from lazygrad.ir.value import ARGUMENT, CONSTANT, INDEX, LOAD, REDUCED, VALID, Value
from lazygrad.kernel.kernel import Access, Body, Reduction, Store
from lazygrad.kernel.walk import stage_values

INDENT = "    "
INT32_LIMIT = 2**31


class Operand(NamedTuple):
    """An expression of the target that may be used anywhere: a name, a literal, or in parentheses.

    ``wide``: one value for each lane. ``depth``: the level where it is known. ``bits``: of a wide bool, the width of
    the comparison's elements (targets whose masks are integers need it).
    """

    text: str
    dtype: DType
    wide: bool = False
    depth: int = 0
    bits: int = 0


class Condition(NamedTuple):
    """A mask: the part that is the same for all lanes, and the part that is not. None is always true."""

    uniform: Operand | None
    wide: Operand | None


class Address(NamedTuple):
    """``base + lane * stride`` when ``stride`` is a number; else ``base`` is wide itself (or uniform with 0)."""

    base: Operand
    stride: int | None


class _Binding(NamedTuple):
    text: str
    dtype: DType
    wide: bool
    depth: int
    linear: bool  # lane k is text + k; else the text is itself wide (or uniform)
    exact: bool  # stays inside the variable's extent


class _Level:
    __slots__ = ("header", "lines", "memory")

    def __init__(self, header: str) -> None:
        self.header = header
        self.lines: list[str] = []
        self.memory: dict[Any, Any] = {}


class Emitter(ABC):
    """One body's emission. ``lanes`` is how many values a wide operand holds."""

    comment = "//"

    def __init__(self, lanes: int, fused: frozenset[Value] = frozenset()) -> None:
        self.lanes = lanes
        self.fused = fused
        self.reduced: dict[int, Operand] = {}
        self._levels = [_Level("")]
        self._bindings: dict[Variable, _Binding] = {}
        self._count = 0

    # ---- levels

    @property
    def depth(self) -> int:
        """The innermost level's number."""
        return len(self._levels) - 1

    def line(self, text: str, depth: int | None = None) -> None:
        """One statement at the end of a level, the innermost unless told."""
        self._levels[-1 if depth is None else depth].lines.append(text)

    def note(self, text: str) -> None:
        self.line(f"{self.comment} {text}")

    def open(self, header: str = "{") -> None:
        """Starts a loop or a plain block."""
        self._levels.append(_Level(header))

    def close(self, footer: str = "}") -> None:
        """Ends the innermost level: its lines go to the end of the one around it."""
        level = self._levels.pop()
        depth = len(self._levels)
        for variable in [v for v, binding in self._bindings.items() if binding.depth >= depth]:
            del self._bindings[variable]
        for number in [n for n, operand in self.reduced.items() if operand.depth >= depth]:
            del self.reduced[number]
        outer = self._levels[-1].lines
        outer.append(level.header)
        outer.extend(INDENT + text for text in level.lines)
        if footer:
            outer.append(footer)

    def finish(self) -> tuple[str, ...]:
        """All lines, once every level is closed."""
        if len(self._levels) != 1:
            raise RuntimeError(f"{len(self._levels) - 1} levels of generated code were left open")
        return tuple(self._levels[0].lines)

    def fresh(self, prefix: str = "t") -> str:
        """A name that was not used before."""
        self._count += 1
        return f"{prefix}{self._count}"

    def bind(self, variable: Variable, text: str, wide: bool = False) -> None:
        """Gives a loop variable its (int) text at the innermost level; ``wide`` adds the lane's number to it."""
        self._bindings[variable] = _Binding(text, int32, wide and self.lanes > 1, self.depth, True, True)

    def declare(self, operand: Operand, prefix: str = "t") -> Operand:
        """Gives the expression a name at its level."""
        name = self.fresh(prefix)
        self.line(self.declaration(operand, name), operand.depth)
        return operand._replace(text=name)

    def recall(self, key: Any) -> Any:
        """What is remembered under the key at any open level."""
        for level in reversed(self._levels):
            found = level.memory.get(key)
            if found is not None:
                return found
        return None

    def remember(self, key: Any, found: Any, depth: int) -> None:
        """Remembers until the level ends."""
        self._levels[depth].memory[key] = found

    # ---- indices

    def index(self, index: Index) -> Operand:
        """The index as an int32 or int64 expression, whichever holds it; wide where it differs between lanes."""
        found: Operand | None = self.recall(("index", index))
        if found is None:
            found = self._sum(index, with_lanes=True)
            self.remember(("index", index), found, found.depth)
        return found

    def address(self, index: Index) -> Address:
        """The index as a base and a step from lane to lane, where it has one."""
        stride = 0
        for atom, coefficient in index.terms:
            if isinstance(atom, Variable):
                binding = self._binding(atom)
                if binding.wide and binding.linear:
                    stride += coefficient
                    continue
                wide = binding.wide
            else:
                wide = self._atom(atom).wide
            if wide:
                return Address(self.index(index), None)
        key = ("base", index)
        found: Operand | None = self.recall(key)
        if found is None:
            found = self._sum(index, with_lanes=False)
            self.remember(key, found, found.depth)
        return Address(found, stride)

    def _binding(self, variable: Variable) -> _Binding:
        found = self._bindings.get(variable)
        if found is None:
            raise RuntimeError(f"the axis {variable} (extent {variable.extent}) is used outside its loop")
        return found

    def _atom(self, atom: Atom) -> Operand:
        """A variable's base text, or a quotient's named value."""
        if isinstance(atom, Variable):
            binding = self._binding(atom)
            return Operand(binding.text, binding.dtype, binding.wide and not binding.linear, binding.depth)
        found: Operand | None = self.recall(("atom", atom))
        if found is None:
            found = self._quotient(atom)
            self.remember(("atom", atom), found, found.depth)
        return found

    def _quotient(self, atom: Quotient) -> Operand:
        inner = self.index(atom.index)
        divisor = atom.divisor
        power = divisor.bit_length() - 1
        if divisor == 1 << power:  # an arithmetic shift rounds to minus infinity by itself
            text = f"({inner.text} & {divisor - 1})" if atom.remainder else f"({inner.text} >> {power})"
            return self.declare(inner._replace(text=text), "q")
        shift = -(atom.index.low // divisor) if atom.index.low < 0 or not self._exact(atom.index) else 0
        if not self._exact(atom.index):
            return self.declare(inner._replace(text=self.floor_division(inner, divisor, atom.remainder)), "q")
        dividend = f"({inner.text} + {shift * divisor})" if shift else inner.text
        if atom.remainder:
            text = f"({dividend} % {divisor})"
        else:
            text = self.truncating_division(dividend, divisor)
            text = f"({text} - {shift})" if shift else text
        return self.declare(inner._replace(text=text), "q")

    def _exact(self, index: Index) -> bool:
        """Whether all that the index reads stays in the bounds it is known by (data may not)."""
        pending = [index]
        while pending:
            for atom, _ in pending.pop().terms:
                if isinstance(atom, Variable):
                    if not self._binding(atom).exact:
                        return False
                else:
                    pending.append(atom.index)
        return True

    def _bits(self, index: Index) -> int:
        """32 when every partial sum fits, in any order."""
        size = abs(index.constant)
        for atom, coefficient in index.terms:
            size += abs(coefficient) * max(abs(atom.low), abs(atom.high))
        return 32 if size < INT32_LIMIT and self._exact(index) else 64

    def _sum(self, index: Index, with_lanes: bool) -> Operand:
        """Adds the terms from the outermost level inwards, so that outer parts are computed in outer loops."""
        dtype = int32 if self._bits(index) == 32 else int64
        terms: list[tuple[bool, int, str]] = []  # wide, depth, text
        lane_factor = 0
        lane_depth = 0
        for atom, coefficient in index.terms:
            operand = self._atom(atom)
            if isinstance(atom, Variable):
                binding = self._bindings[atom]
                if binding.wide and binding.linear:
                    lane_factor += coefficient
                    lane_depth = max(lane_depth, binding.depth)
            text = operand.text
            if operand.dtype is not dtype:
                text = self.convert(operand, dtype)
            factor = abs(coefficient)
            product = text if factor == 1 else f"{text} * {self.integer(factor, dtype)}"
            terms.append((operand.wide, operand.depth, f"- {product}" if coefficient < 0 else f"+ {product}"))
        terms.sort(key=lambda term: term[:2])
        current = Operand("", dtype)
        parts: list[str] = []
        for wide, depth, text in terms:
            if parts and (wide, depth) != (current.wide, current.depth) and len(parts) > 1:
                current = self.declare(current._replace(text=_joined(parts)), "k")
                parts = [f"+ {current.text}"]
            parts.append(text)
            current = current._replace(wide=wide or current.wide, depth=max(depth, current.depth))
        if index.constant or not parts:
            number = self.integer(abs(index.constant), dtype)
            parts.append(f"- {number}" if index.constant < 0 else f"+ {number}")
        text = _joined(parts)
        if with_lanes and lane_factor:
            numbers = self.lane_numbers(dtype, lane_factor)
            if not current.wide:
                text = self.broadcast(Operand(f"({text})", dtype)).text
            return self.declare(Operand(f"{text} + {numbers}", dtype, True, max(current.depth, lane_depth)), "k")
        if len(parts) > 2:
            return self.declare(current._replace(text=text), "k")
        return current._replace(text=text if len(parts) == 1 and not text.startswith("-") else f"({text})")

    # ---- masks

    def condition(self, mask: Mask) -> Condition:
        """The mask's two parts, each a conjunction of its bounds."""
        if not mask:
            return Condition(None, None)
        found: Condition | None = self.recall(("mask", mask))
        if found is None:
            bounds = [self._bound(bound) for bound in mask]
            uniform = [operand for operand in bounds if not operand.wide]
            wide = [operand for operand in bounds if operand.wide]
            found = Condition(self._conjunction(uniform), self._conjunction(wide))
            depth = max(operand.depth for operand in bounds)
            self.remember(("mask", mask), found, depth)
        return found

    def _bound(self, bound: Bound) -> Operand:
        found: Operand | None = self.recall(("bound", bound))
        if found is None:
            operand = self.index(bound.index)
            exact = self._exact(bound.index)
            sides = []
            if not exact or bound.index.low < bound.low:
                sides.append(f"({operand.text} >= {self.integer(bound.low, operand.dtype)})")
            if not exact or bound.index.high >= bound.high:
                sides.append(f"({operand.text} < {self.integer(bound.high, operand.dtype)})")
            text = " & ".join(sides) or f"({operand.text} == {operand.text})"
            bits = operand.dtype.bits if operand.wide else 0
            found = self.declare(Operand(text, bool_, operand.wide, operand.depth, bits), "m")
            self.remember(("bound", bound), found, found.depth)
        return found

    def _conjunction(self, operands: list[Operand]) -> Operand | None:
        if not operands:
            return None
        if len(operands) == 1:
            return operands[0]
        result = operands[0]
        for operand in operands[1:]:
            result = self.both(result, operand)
        return self.declare(result, "m")

    # ---- values

    def value(self, value: Value) -> Operand:
        """Emits what is missing of the value's graph and returns where its result is."""
        pending = [value]
        while pending:
            current = pending[-1]
            if self.recall(current) is not None:
                pending.pop()
                continue
            missing = [i for i in current.inputs if self.recall(i) is None]
            if missing:
                pending.extend(reversed(missing))
                continue
            pending.pop()
            operand = self._emit(current, [self._operand(i) for i in current.inputs])
            self.remember(current, operand, operand.depth)
        return self._operand(value)

    def _operand(self, value: Value) -> Operand:
        operand: Operand = self.recall(value)
        return operand

    def _emit(self, value: Value, inputs: list[Operand]) -> Operand:
        if value.op == CONSTANT:
            return Operand(self.number(value.payload.number, value.dtype), value.dtype)
        if value.op == ARGUMENT:
            return Operand(self.argument(value.payload, value.dtype), value.dtype)
        if value.op == REDUCED:
            return self.reduced[value.payload]
        if value.op == INDEX:
            return self._integer_value(value)
        if value.op == VALID:
            return self._valid(value.payload)
        if value.op == LOAD:
            return self.load(self.resolve(value.payload, inputs), value.dtype)
        operand = self.operation(value, inputs)
        depth = max((i.depth for i in inputs), default=0)
        operand = operand._replace(depth=depth)
        if value in self.fused:
            return operand._replace(text=f"({operand.text})")
        return self.declare(operand)

    def _integer_value(self, value: Value) -> Operand:
        operand = self.index(value.payload)
        if operand.dtype is not value.dtype:
            operand = operand._replace(text=self.convert(operand, value.dtype), dtype=value.dtype)
            return self.declare(operand) if operand.wide else operand
        return operand

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
        """The access with its data variables replaced by variables of our own, bound to the values they stand for."""
        if not access.dynamic:
            return access
        values: dict[Variable, Index] = {}
        for variable, operand in zip(access.dynamic, inputs, strict=True):
            # Data may leave the variable's extent where there is a mask, and must not be trusted to fit 32 bits then.
            exact = not access.mask
            own = Variable(f"value {operand.text}{'' if exact else ' masked'}", variable.extent)
            if own not in self._bindings:
                self._bindings[own] = _Binding(
                    operand.text, operand.dtype, operand.wide, operand.depth, not operand.wide, exact
                )
            values[variable] = Index(0, ((own, 1),))
        replace = Substitution(values)
        mask = tuple(Bound(replace(bound.index), bound.low, bound.high) for bound in access.mask)
        return Access(access.buffer, replace(access.address), mask)

    def store(self, store: Store) -> None:
        """Emits the value and the statements that write it."""
        value = self.value(store.value)
        access = self.resolve(store.access, [self.value(v) for v in store.dynamic_values])
        self.write(access, store.mode, value)

    # ---- what a target writes

    @abstractmethod
    def declaration(self, operand: Operand, name: str) -> str:
        """A statement that names an expression."""

    @abstractmethod
    def integer(self, number: int, dtype: DType) -> str:
        """A literal of int32 or int64, not negative unless in parentheses."""

    @abstractmethod
    def number(self, number: bool | int | float, dtype: DType) -> str:
        """A literal of any type."""

    @abstractmethod
    def argument(self, position: int, dtype: DType) -> str:
        """A scalar argument's name."""

    @abstractmethod
    def lane_numbers(self, dtype: DType, factor: int) -> str:
        """0, 1, 2, ... times ``factor``, one for each lane."""

    @abstractmethod
    def broadcast(self, operand: Operand) -> Operand:
        """A uniform operand as a wide one."""

    @abstractmethod
    def convert(self, operand: Operand, dtype: DType) -> str:
        """The operand as another type."""

    @abstractmethod
    def truncating_division(self, dividend: str, divisor: int) -> str:
        """The quotient of a dividend that is not negative and a positive number."""

    @abstractmethod
    def floor_division(self, dividend: Operand, divisor: int, remainder: bool) -> str:
        """Quotient or remainder, rounded to minus infinity, of any dividend by a positive number."""

    @abstractmethod
    def both(self, left: Operand, right: Operand) -> Operand:
        """The conjunction of two bools, either of which may be wide."""

    @abstractmethod
    def operation(self, value: Value, inputs: Sequence[Operand]) -> Operand:
        """The expression of one operation by name; its depth does not matter."""

    @abstractmethod
    def load(self, access: Access, dtype: DType) -> Operand:
        """Emits a load and returns its (named) result."""

    @abstractmethod
    def write(self, access: Access, mode: str, value: Operand) -> None:
        """Emits a store of an emitted value at the innermost level."""


def _joined(parts: Sequence[str]) -> str:
    text = " ".join(parts)
    return text[2:] if text.startswith("+ ") else "-" + text[2:]


def fused_products(body: Body) -> frozenset[Value]:
    """Products used once, by an addition, a subtraction or a sum: written inside it, so that compilers may fuse them."""
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
