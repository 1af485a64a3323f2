"""How Triton writes indices, loads and stores: the block side of ``lazygrad.kernel.emit``.

A value is a scalar or a block of up to two dimensions. Rows have shape [R, 1] and columns [1, C], so that what
depends on both comes out as [R, C] by broadcasting; in one-dimensional code rows have the shape [R]. Loads and
stores are masked by what their access says and by the *guards*: conditions that keep a block that overhangs its
axes inside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from lazygrad.ir.dtype import DType, bool_, int32, int64
from lazygrad.ir.index import Variable
from lazygrad.ir.value import Value
from lazygrad.kernel.emit import Emitter, Operand
from lazygrad.kernel.kernel import Access, BufferDeclaration
from lazygrad.kernel.levels import Binding
from lazygrad_triton import operations
from lazygrad_triton.literals import typed
from lazygrad_triton.types import block_type

# The dimensions of a block, as bits of ``Operand.wide``.
ROWS = 1
COLUMNS = 2
BOTH = ROWS | COLUMNS
INT32_LIMIT = 2**31


class TritonEmitter(Emitter):
    """Emission of one body as a block program. ``used`` collects the library functions it calls."""

    comment = "#"
    constant_first = True

    def __init__(
        self, buffers: Sequence[BufferDeclaration], used: dict[str, None], names: Iterator[int], flat: bool = False
    ) -> None:
        super().__init__(lanes=1)
        self.buffers = buffers
        self.used = used
        self.names = names
        self.flat = flat
        self.guards: dict[int, Operand] = {}
        self.load_guards: dict[int, Operand] = {}
        self.extents: dict[int, int] = {}  # of the block's dimensions

    # ---- small things

    def use(self, name: str) -> str:
        """A library function's name; its definition will be in the file."""
        self.used.setdefault(name)
        return name

    def fresh(self, prefix: str = "t") -> str:
        """A name that no other body of the file has."""
        return f"{prefix}{next(self.names)}"

    def close(self, footer: str = "") -> None:
        """Python needs no footer."""
        super().close(footer)
        for guards in (self.guards, self.load_guards):
            for dimension in [d for d, guard in guards.items() if guard.depth > self.depth]:
                del guards[dimension]

    def term_order(self, wide: int, depth: int) -> tuple[int, int]:
        """What is known outside of loops first, so that it is added up there."""
        return depth, wide

    def declaration(self, operand: Operand, name: str) -> str:
        """An assignment."""
        return f"{name} = {_bare(operand.text)}"

    def integer(self, number: int, dtype: DType) -> str:
        """A Python literal: indices are never alone with it."""
        return str(number) if -INT32_LIMIT <= number < INT32_LIMIT or dtype is int32 else typed(number, dtype)

    def number(self, number: bool | int | float, dtype: DType) -> str:
        """A typed scalar, named once at the top."""
        return typed(number, dtype)

    def argument(self, position: int, dtype: DType) -> str:
        """``sN`` as the type it stands for."""
        return f"(s{position} != 0)" if dtype is bool_ else f"s{position}.to({block_type(dtype)})"

    def lane_numbers(self, dtype: DType, factor: int) -> str:
        """Blocks are bound with their numbers."""
        raise NotImplementedError("block programs have no lanes")

    def broadcast(self, operand: Operand) -> Operand:
        """Triton broadcasts by itself."""
        return operand

    def convert(self, operand: Operand, dtype: DType) -> str:
        """An index as another type."""
        return f"tl.cast({operand.text}, {block_type(dtype)})"

    def truncating_division(self, dividend: str, divisor: int) -> str:
        """Triton's division truncates."""
        return f"({dividend} // {divisor})"

    def floor_division(self, dividend: Operand, divisor: int, remainder: bool) -> str:
        """By a library function."""
        function = self.use("remainder" if remainder else "floor_divide")
        return f"{function}({dividend.text}, {typed(divisor, dividend.dtype)})"

    def both(self, left: Operand, right: Operand) -> Operand:
        """A conjunction."""
        return Operand(f"({left.text} & {right.text})", bool_, left.wide | right.wide, max(left.depth, right.depth))

    def operation(self, value: Value, inputs: Sequence[Operand]) -> Operand:
        """From the expression table."""
        wide = 0
        for operand in inputs:
            wide |= operand.wide
        return Operand(operations.operation(value, inputs, self.use), value.dtype, wide)

    # ---- blocks

    def range(self, start: str, count: int, dimension: int, dtype: DType = int32) -> Operand:
        """The numbers start, start + 1, ... along a dimension, as a named block at the innermost level."""
        self.extents[dimension] = count
        text = f"tl.arange(0, {count})"
        if not self.flat:
            text += "[:, None]" if dimension == ROWS else "[None, :]"
        if start != "0":
            text = f"{start} + {text}"
        return self.declare(Operand(text, dtype, dimension, self.depth), "i")

    def bind_digits(self, axes: Sequence[Variable], flat: Operand) -> None:
        """Binds axes to the digits of a flat number, the last axis fastest."""
        step = 1
        for position, axis in reversed(list(enumerate(axes))):
            text = f"{flat.text} // {step}" if step > 1 else flat.text
            if position:
                text = f"({text}) % {axis.extent}" if step > 1 else f"{text} % {axis.extent}"
            name, dtype = flat.text, flat.dtype
            if text != flat.text:
                name = self.fresh("i")
                if dtype is int64:
                    text, dtype = f"({text}).to(tl.int32)", int32
                self.line(f"{name} = {text}  # {axis} of {axis.extent}", flat.depth)
            self.bind_block(axis, flat._replace(text=name, dtype=dtype))
            step *= axis.extent

    def bind_block(self, axis: Variable, operand: Operand) -> None:
        """Binds an axis to a scalar or a block of numbers."""
        if axis in self.bindings:
            raise RuntimeError(f"the axis {axis} is bound already: what is remembered of it would be wrong")
        linear = not operand.wide
        self.bindings[axis] = Binding(operand.text, operand.dtype, operand.wide, operand.depth, linear, True)

    def bind_range(self, axes: Sequence[Variable], start: str, count: int, dimension: int) -> Operand:
        """Binds axes to a block of ``count`` flat numbers from ``start`` on. Returns the numbers."""
        total = prod(axis.extent for axis in axes)
        dtype = int32 if total + count < INT32_LIMIT else int64
        numbers = self.range(start, count, dimension, dtype)
        self.bind_digits(axes, numbers)
        return numbers

    def guard(self, dimension: int, numbers: Operand, limit: int, loads: bool = True) -> None:
        """From here on, rows or columns whose number is not below the limit neither load nor store."""
        live = self.declare(Operand(f"{numbers.text} < {limit}", bool_, dimension, numbers.depth), "live")
        self.guards[dimension] = live
        if loads:
            self.load_guards[dimension] = live

    def filled(self, operand: Operand, shape: str, dimensions: int = BOTH) -> Operand:
        """The operand with all elements of the shape."""
        if operand.wide == dimensions:
            return operand
        return operand._replace(text=f"tl.broadcast_to({operand.text}, {shape})", wide=dimensions)

    # ---- memory

    def load(self, access: Access, dtype: DType) -> Operand:
        """A masked load; 0 where the mask does not hold."""
        key = ("load", access)
        found: Operand | None = self.recall(key)
        if found is None:
            found = self._load(access, dtype)
            self.remember(key, found, found.depth)
        return found

    def _load(self, access: Access, dtype: DType) -> Operand:
        pointer, mask = self._place(access, self.load_guards)
        wide, depth = pointer.wide, pointer.depth
        options = ""
        if mask is not None:
            wide, depth = wide | mask.wide, max(depth, mask.depth)
            if mask.wide & ~pointer.wide:
                spread, held = self.fresh("p"), self.fresh("m")
                self.line(f"{spread}, {held} = tl.broadcast({pointer.text}, {mask.text})", depth)
                pointer, mask = pointer._replace(text=spread), mask._replace(text=held)
            options = f", mask={_bare(mask.text)}, other=0"
        text = f"tl.load({_bare(pointer.text)}{options})"
        if dtype is bool_:
            text += " != 0"
        return self.declare(Operand(text, dtype, wide, depth), "x")

    def _place(self, access: Access, guards: dict[int, Operand], dimensions: int = 0) -> tuple[Operand, Operand | None]:
        """The pointer, and the mask where there is any, for what spans at least these dimensions."""
        address = self.index(access.address)
        text = f"b{access.buffer}" if address.text == "0" else f"(b{access.buffer} + {address.text})"
        pointer = address._replace(text=text)
        uniform, wide = self.condition(access.mask)
        spans = dimensions | address.wide | (wide.wide if wide is not None else 0)
        parts = [part for part in (uniform, wide) if part is not None]
        parts += [guard for dimension, guard in guards.items() if dimension & spans]
        mask: Operand | None = None
        for part in parts:
            mask = part if mask is None else self.both(mask, part)
        if mask is not None and len(parts) > 1:
            key = ("guarded", mask.text)
            known: Operand | None = self.recall(key)
            if known is None:
                known = self.declare(mask, "m")
                self.remember(key, known, known.depth)
            mask = known
        return pointer, mask

    def write(self, access: Access, mode: str, value: Operand) -> None:
        """A masked store; "add" is atomic, once for each point of the block wherever it goes."""
        dimensions = ROWS * (ROWS in self.extents) | COLUMNS * (COLUMNS in self.extents) if mode == "add" else 0
        pointer, mask = self._place(access, self.guards, dimensions)
        options = f", mask={_bare(mask.text)}" if mask is not None else ""
        if mode == "add":
            text = self._stored(access, value)
            if dimensions & ~pointer.wide:
                shape = f"({', '.join(str(self.extents.get(d, 1)) for d in (ROWS, COLUMNS))})"
                if self.flat:
                    shape = f"({self.extents[ROWS]},)"
                pointer = pointer._replace(text=f"tl.broadcast_to({_bare(pointer.text)}, {shape})")
            self.line(f"tl.atomic_add({_bare(pointer.text)}, {text}{options})")
            return
        self.line(f"tl.store({_bare(pointer.text)}, {self._stored(access, value)}{options})")

    def write_in_order(self, access: Access, mode: str, value: Operand) -> None:
        """A store that later ones must not overtake: all threads wait for it."""
        pointer, mask = self._place(access, self.guards)
        text = self._stored(access, value)
        options = f", mask={_bare(mask.text)}" if mask is not None else ""
        if mode == "add":
            dtype = self.buffers[access.buffer].dtype
            there = self.declare(Operand(f"tl.load({_bare(pointer.text)}{options})", dtype, pointer.wide, self.depth))
            self.line("tl.debug_barrier()")
            text = f"{there.text} + {text}"
            if dtype.bits == 16 and dtype.is_float:
                kind = block_type(dtype)
                text = f"({there.text}.to(tl.float32) + {self._stored(access, value)}.to(tl.float32)).to({kind})"
            elif dtype is bool_:
                text = f"{there.text} | {self._stored(access, value)}"
        self.line(f"tl.store({_bare(pointer.text)}, {text}{options})")
        self.line("tl.debug_barrier()")

    def _stored(self, access: Access, value: Operand) -> str:
        if self.buffers[access.buffer].dtype is bool_:
            return f"{value.text}.to(tl.uint8)"
        return value.text


def _bare(text: str) -> str:
    """The expression without the parentheses around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    nesting = 0
    for position, letter in enumerate(text):
        nesting += {"(": 1, ")": -1}.get(letter, 0)
        if nesting == 0 and position < len(text) - 1:
            return text
    return text[1:-1]
