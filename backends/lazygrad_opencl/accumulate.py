"""Running results of reductions in C variables: how they start, take in values, and are joined.

NaN wins in max, min, argmax and argmin, and of equal extremes the first position wins, in whatever order
lanes and work-items are joined.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.ir.dtype import DType, bool_, int32, int64
from lazygrad.ir.index import Index
from lazygrad.kernel.emit import Emitter, Operand
from lazygrad.kernel.forms import identity_of
from lazygrad.kernel.kernel import Reduction
from lazygrad_opencl.literals import literal
from lazygrad_opencl.operations import Operations
from lazygrad_opencl.types import LANE_NAMES, register_type

# The width of a bool accumulator's lanes.
MASK_BITS = 32


class Running(NamedTuple):
    """The C variables of one reduction. ``position`` is there for argmax and argmin."""

    reduction: Reduction
    value: str
    position: str
    wide: bool

    @property
    def dtype(self) -> DType:
        """The value's type in the variable."""
        arg = self.reduction.position is not None
        return int32 if arg and self.reduction.dtype is bool_ else self.reduction.dtype

    @property
    def position_dtype(self) -> DType:
        """The position's type in the variable: int32 where it fits."""
        position = self.reduction.position
        return int32 if position is None or position.high < 2**31 else int64

    def operand(self, depth: int) -> Operand:
        """The value as an operand."""
        bits = MASK_BITS if self.wide and self.dtype is bool_ else 0
        return Operand(self.value, self.dtype, self.wide, depth, bits)


class Accumulate:
    """Writes the statements of running results with one emitter."""

    def __init__(self, emitter: Emitter, operations: Operations) -> None:
        self.emitter = emitter
        self.operations = operations

    def variables(self, reduction: Reduction, name: str, wide: bool) -> Running:
        """Names only; :meth:`start` declares them."""
        position = f"{name}_at" if reduction.position is not None else ""
        return Running(reduction, name, position, wide and self.emitter.lanes > 1)

    def types(self, running: Running) -> tuple[str, str]:
        """The C types of value and position."""
        lanes = self.emitter.lanes if running.wide else 1
        bits = MASK_BITS if running.dtype is bool_ else 0
        return register_type(running.dtype, lanes, bits), register_type(running.position_dtype, lanes)

    def initial(self, running: Running) -> tuple[str, str]:
        """The texts of the first value and position."""
        reduction = running.reduction
        number = identity_of(reduction)
        text = literal(int(number) if running.dtype is int32 else number, running.dtype)
        if running.dtype is bool_ and running.wide and number:
            text = "(-1)"
        low = literal(reduction.position.low if reduction.position is not None else 0, running.position_dtype)
        if not running.wide:
            return text, low
        value_type, position_type = self.types(running)
        return f"({value_type})({text})", f"({position_type})({low})"

    def start(self, reduction: Reduction, name: str, wide: bool) -> Running:
        """Declares the variables at the innermost level."""
        running = self.variables(reduction, name, wide)
        value_type, position_type = self.types(running)
        value, position = self.initial(running)
        self.emitter.line(f"{value_type} {running.value} = {value};")
        if running.position:
            self.emitter.line(f"{position_type} {running.position} = {position};")
        return running

    def take(self, running: Running, value: Operand, position: Index | None) -> None:
        """One more value, at the innermost level."""
        if running.position:
            assert position is not None
            self._take_position(running, value, self.emitter.index(position))
            return
        self.emitter.line(f"{running.value} = {self.combined(running, value)};")

    def combined(self, running: Running, value: Operand) -> str:
        """The expression of the running value with one more, for reductions without positions."""
        op, dtype, held = running.reduction.op, running.dtype, running.value
        if running.wide:
            value = self.operations.mask(value, MASK_BITS) if dtype is bool_ else self.operations.broadcast(value)
        new = value.text
        if op in ("sum", "prod"):
            if dtype is bool_:
                return f"{held} {'|' if op == 'sum' else '&'} {new}"
            sign = "+" if op == "sum" else "*"
            return self.operations.wrapping(sign, dtype, [held, new], running.wide)
        if dtype is bool_:
            return f"{held} {'|' if op == 'max' else '&'} {new}"
        sign = ">" if op == "max" else "<"
        if not dtype.is_float:
            return f"({new} {sign} {held}) ? {new} : {held}"
        new = self._named(value).text
        return f"(({new} {sign} {held}) | ({new} != {new})) ? {new} : {held}"

    def _named(self, operand: Operand) -> Operand:
        if operand.text.isidentifier():
            return operand
        return self.emitter.declare(operand._replace(depth=self.emitter.depth))

    def _take_position(self, running: Running, value: Operand, position: Operand) -> None:
        dtype = running.dtype
        if value.dtype is bool_ and dtype is int32:
            value = value._replace(text=f"({self.operations.from_bool(value, int32)})", dtype=int32)
        if running.wide:
            value = self.operations.broadcast(value)
        new, held = self._named(value).text, running.value
        sign = ">" if running.reduction.op == "argmax" else "<"
        better = f"{new} {sign} {held}"
        if dtype.is_float:
            better = f"({better}) | (({new} != {new}) & ({held} == {held}))"
        self._replace_where(running, better, new, position)

    def _replace_where(self, running: Running, better: str, value: str, position: Operand) -> None:
        """Takes the value and the position where the condition holds."""
        bits = running.dtype.bits if running.wide else 0
        better_operand = self.emitter.declare(Operand(better, bool_, running.wide, self.emitter.depth, bits), "m")
        if position.dtype is not running.position_dtype:
            position = position._replace(
                text=self.emitter.convert(position, running.position_dtype), dtype=running.position_dtype
            )
        choose = better_operand.text
        if running.wide:
            position = self.operations.broadcast(position)
            choose = self.operations.mask(better_operand, running.position_dtype.bits).text
        self.emitter.line(f"{running.value} = {better_operand.text} ? {value} : {running.value};")
        self.emitter.line(f"{running.position} = {choose} ? {position.text} : {running.position};")

    def merge(self, into: Running, other: Running) -> None:
        """Joins two running results of one shape."""
        depth = self.emitter.depth
        if not into.position:
            self.emitter.line(f"{into.value} = {self.combined(into, other.operand(depth))};")
            return
        sign = ">" if into.reduction.op == "argmax" else "<"
        new, held = other.value, into.value
        better = f"({new} {sign} {held})"
        same = f"({new} == {held})"
        if into.dtype.is_float:
            better = f"({better} | (({new} != {new}) & ({held} == {held})))"
            same = f"({same} | (({new} != {new}) & ({held} != {held})))"
        earlier = f"({other.position} < {into.position})"
        if into.wide and into.dtype.bits != into.position_dtype.bits:
            lanes = register_type(bool_, self.emitter.lanes, into.dtype.bits)
            earlier = f"__builtin_convertvector({earlier}, {lanes})"
        position = Operand(other.position, into.position_dtype, into.wide, depth)
        self._replace_where(into, f"{better} | ({same} & {earlier})", new, position)

    def across_lanes(self, running: Running, name: str) -> Running:
        """The lanes of a wide result joined into one."""
        emitter, reduction = self.emitter, running.reduction
        single = self.variables(reduction, name, wide=False)
        if running.position or running.dtype is bool_ or reduction.op not in ("sum", "prod"):
            value_type, position_type = self.types(single)
            low_bit = " & 1" if running.dtype is bool_ else ""
            emitter.line(f"{value_type} {single.value} = {running.value}.s0{low_bit};")
            if single.position:
                emitter.line(f"{position_type} {single.position} = {running.position}.s0;")
            for lane in LANE_NAMES[1 : emitter.lanes]:
                element = self.variables(reduction, emitter.fresh("lane"), wide=False)
                emitter.line(f"const {value_type} {element.value} = {running.value}.s{lane}{low_bit};")
                if element.position:
                    emitter.line(f"const {position_type} {element.position} = {running.position}.s{lane};")
                self.merge(single, element)
            return single
        sign = "+" if reduction.op == "sum" else "*"
        half, held = emitter.lanes // 2, running.value
        while half > 1:
            folded = emitter.fresh("fold")
            kind = register_type(running.dtype, half)
            emitter.line(f"const {kind} {folded} = {held}.lo {sign} {held}.hi;")
            held, half = folded, half // 2
        text = self.operations.wrapping(sign, running.dtype, [f"{held}.lo", f"{held}.hi"], wide=False)
        emitter.line(f"{register_type(running.dtype)} {single.value} = {text};")
        return single

    def result(self, running: Running, depth: int) -> Operand:
        """The reduction's result as later stages read it."""
        if not running.position:
            return running.operand(depth)
        operand = Operand(running.position, running.position_dtype, running.wide, depth)
        if operand.dtype is int64:
            return operand
        return operand._replace(text=self.emitter.convert(operand, int64), dtype=int64)
