"""How OpenCL C writes declarations, loads and stores: the C side of ``lazygrad.kernel.emit``.

A vector of lanes is loaded and stored through a pointer to a vector type that needs no alignment. Lanes that
do not lie side by side, and lanes behind a mask, are moved one by one; a masked lane touches no memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lazygrad.ir.dtype import DType, bfloat16, bool_, float16, int32
from lazygrad.ir.index import Variable
from lazygrad.ir.value import Value
from lazygrad.kernel.emit import Address, Condition, Emitter, Operand, fused_products
from lazygrad.kernel.emit_index import INDEX_NAMES
from lazygrad.kernel.kernel import Access
from lazygrad.kernel.uncached import SMALLEST_VECTOR, is_aligned
from lazygrad_opencl.literals import integral, literal
from lazygrad_opencl.operations import Operations
from lazygrad_opencl.skeleton import BodyContext
from lazygrad_opencl.types import LANE_NAMES, memory_type, register_type


class OpenCLEmitter(Emitter):
    """Emission of one body as OpenCL C.

    ``uncached`` are the buffers that may be stored to around the caches, if lanes start at multiples of their number
    (see ``lazygrad.kernel.uncached``).
    """

    aligned_lanes = True

    def __init__(
        self, context: BodyContext, lanes: int, uncached: Mapping[int, Sequence[int]] = MappingProxyType({})
    ) -> None:
        super().__init__(lanes, fused_products(context.body))
        self.buffers = context.kernel.buffers
        self.operations = Operations(lanes, native=context.machine.flavour != "cpu")
        self.uncached = uncached

    # ---- small things

    def declaration(self, operand: Operand, name: str) -> str:
        """A constant of the register type; an index, on processors, of a type as wide as addresses.

        Compilers spend much of their time on proving that the sum of two ints may be widened before it is added.
        """
        lanes = self.lanes if operand.wide else 1
        if name.startswith(INDEX_NAMES) and lanes == 1 and not self.operations.native:
            return f"const long {name} = {_bare(operand.text)};"
        return f"const {register_type(operand.dtype, lanes, operand.bits)} {name} = {_bare(operand.text)};"

    def narrow(self, index: Operand) -> Operand:
        """As an int; a literal is one."""
        if index.wide or index.dtype is not int32 or index.text.isdigit() or self.operations.native:
            return index
        return index._replace(text=f"((int){index.text})")

    def integer(self, number: int, dtype: DType) -> str:
        """A C literal."""
        return integral(number, dtype)

    def number(self, number: bool | int | float, dtype: DType) -> str:
        """A C literal."""
        return literal(number, dtype)

    def argument(self, position: int, dtype: DType) -> str:
        """``sN``, rounded to the half-width types, and a bool as 0 or 1."""
        if dtype is float16:
            return f"float_to_half(s{position})"
        if dtype is bfloat16:
            return f"float_to_bfloat(s{position})"
        return f"(s{position} != 0)" if dtype is bool_ else f"s{position}"

    def lane_numbers(self, dtype: DType, factor: int) -> str:
        """A constant vector."""
        numbers = ", ".join(str(lane * factor) for lane in range(self.lanes))
        return f"({register_type(dtype, self.lanes)})({numbers})"

    def broadcast(self, operand: Operand) -> Operand:
        """All lanes the same."""
        return self.operations.broadcast(operand)

    def convert(self, operand: Operand, dtype: DType) -> str:
        """A C conversion."""
        return f"({self.operations.convert(operand, dtype)})"

    def truncating_division(self, dividend: str, divisor: int) -> str:
        """C's division."""
        return f"({dividend} / {divisor})"

    def floor_division(self, dividend: Operand, divisor: int, remainder: bool) -> str:
        """By C's division, corrected where it rounded up."""
        quotient = f"({dividend.text} / {divisor} - ({dividend.text} % {divisor} < 0 ? 1 : 0))"
        if dividend.wide:  # a comparison of vectors gives -1
            quotient = f"({dividend.text} / {divisor} + ({dividend.text} % {divisor} < 0))"
        return f"({dividend.text} - {quotient} * {divisor})" if remainder else quotient

    def both(self, left: Operand, right: Operand) -> Operand:
        """A conjunction of bits."""
        return self.operations.both(left, right)

    def operation(self, value: Value, inputs: Sequence[Operand]) -> Operand:
        """From the expression table."""
        return self.operations(value, inputs)

    # ---- loads

    def load(self, access: Access, dtype: DType) -> Operand:
        """One value, a vector, or lanes gathered one by one."""
        address = self.address(access.address)
        condition = self.condition(access.mask)
        inside = self.inside(access.mask) if condition.wide is not None and address.stride == 1 else None
        return self._load(access.buffer, address, condition, inside, dtype)

    def _load(
        self, buffer: int, address: Address, condition: Condition, inside: Operand | None, dtype: DType
    ) -> Operand:
        """``inside``: whether a mask that differs between lanes holds for all of them, so that a vector will do."""
        depth = max([address.base.depth, *(part.depth for part in (*condition, inside) if part is not None)])
        wide = address.stride != 0 or condition.wide is not None
        lanes = self.lanes if wide else 1
        kind = f"{memory_type(dtype)}{lanes if lanes > 1 else ''}"
        if not wide:
            text = f"b{buffer}[{_bare(address.base.text)}]"
        elif address.stride == 1 and condition.wide is None:
            text = self.vector_at(buffer, address.base, dtype)
        elif address.stride == -1 and condition.wide is None:
            first = address.base._replace(text=f"({address.base.text} - {lanes - 1})")
            text = f"({self.vector_at(buffer, first, dtype)}).s{LANE_NAMES[lanes - 1 :: -1]}"
        elif address.stride == 2 and condition.wide is None and lanes > 1 and not self.operations.native:
            text = self._every_second(buffer, address.base, dtype)
        else:
            text = self._gathered(buffer, address, condition.wide, kind)
            if inside is not None:
                text = f"({inside.text} ? {self.vector_at(buffer, address.base, dtype)} : {text})"
        if condition.uniform is not None:
            text = f"{condition.uniform.text} ? {text} : ({kind})(0)"
        if dtype is bool_:
            zero = f"({kind})(0)" if wide else "0"
            text = f"({text}) != {zero}"
        return self.declare(Operand(text, dtype, wide, depth, 8 if wide and dtype is bool_ else 0), "x")

    def vector_at(self, buffer: int, base: Operand, dtype: DType, lanes: int = 0) -> str:
        """The vector of neighbours that starts at an address, of ``lanes`` or all."""
        qualifier = "" if self.buffers[buffer].written else "const "
        pointer = f"__global {qualifier}unaligned_{memory_type(dtype)}{lanes or self.lanes}*"
        return f"*({pointer})(b{buffer} + {base.text})"

    def _every_second(self, buffer: int, base: Operand, dtype: DType) -> str:
        """Two vectors, of which the second ends with the last element that is wanted, shuffled into one."""
        behind = base._replace(text=f"({base.text} + {self.lanes - 1})")
        halves = f"{self.vector_at(buffer, base, dtype)}, {self.vector_at(buffer, behind, dtype)}"
        numbers = (2 * lane + (2 * lane >= self.lanes) for lane in range(self.lanes))
        return f"__builtin_shufflevector({halves}, {', '.join(map(str, numbers))})"

    def fetch(self, access: Access, to_store: bool = False) -> None:
        """Asks for the line of an address that may be outside of its buffer; ``to_store``: for this core alone."""
        place = f"b{access.buffer} + {self.address(access.address).base.text}"
        self.line(f"FETCH_TO_STORE({place});" if to_store else f"FETCH({place});")

    def _gathered(self, buffer: int, address: Address, mask: Operand | None, kind: str) -> str:
        elements = []
        for lane, name in enumerate(LANE_NAMES[: self.lanes]):
            text = f"b{buffer}[{self._lane_address(address, lane, name)}]"
            elements.append(text if mask is None else f"{mask.text}.s{name} ? {text} : 0")
        return f"({kind})({', '.join(elements)})"

    def _lane_address(self, address: Address, lane: int, name: str) -> str:
        if address.stride is None and address.base.wide:
            return f"{address.base.text}.s{name}"
        step = lane * (address.stride or 0)
        if step == 0:
            return _bare(address.base.text)
        return f"{address.base.text} + {step}" if step > 0 else f"{address.base.text} - {-step}"

    # ---- stores

    def write(self, access: Access, mode: str, value: Operand) -> None:
        """One value, a vector, or lanes one by one."""
        address = self.address(access.address)
        condition = self.condition(access.mask)
        dtype = self.buffers[access.buffer].dtype
        if address.stride == 0 and condition.wide is None:
            target = f"b{access.buffer}[{_bare(address.base.text)}]"
            self._assign(target, value, dtype, mode, condition.uniform)
            return
        value = self.operations.broadcast(value)
        if address.stride == 1 and condition.wide is None:
            if mode == "set" and condition.uniform is None and self._goes_around_caches(access, dtype):
                self._assign_around_caches(access.buffer, address.base, value, dtype)
                return
            target = self.vector_at(access.buffer, address.base, dtype)
            self._assign(target, value, dtype, mode, condition.uniform)
            return
        if not value.text.isidentifier():
            value = self.declare(value._replace(depth=self.depth))
        for lane, name in enumerate(LANE_NAMES[: self.lanes]):
            target = f"b{access.buffer}[{self._lane_address(address, lane, name)}]"
            single = value._replace(text=f"{value.text}.s{name}", wide=False)
            if dtype is bool_:
                single = single._replace(text=f"({single.text} & 1)")
            guards = [condition.uniform.text] if condition.uniform is not None else []
            guards += [f"{condition.wide.text}.s{name}"] if condition.wide is not None else []
            self._assign(target, single, dtype, mode, Operand(" && ".join(guards), bool_) if guards else None)

    def _goes_around_caches(self, access: Access, dtype: DType) -> bool:
        if access.buffer not in self.uncached or dtype is bool_ or self.lanes * dtype.itemsize < SMALLEST_VECTOR:
            return False
        (vector,) = (
            atom
            for atom, _ in access.address.terms
            if isinstance(atom, Variable) and self.bindings[atom].wide and self.bindings[atom].linear
        )
        return is_aligned(access.address, vector, self.lanes)

    def _assign_around_caches(self, buffer: int, base: Operand, value: Operand, dtype: DType) -> None:
        """Around the caches, unless the elements lie where some were just read."""
        place = f"(__global {memory_type(dtype)}{self.lanes}*)(b{buffer} + {base.text})"
        around = f"STORE_AROUND_CACHES({_bare(value.text)}, {place});"
        shared = [f"b{buffer} == b{read}" for read in self.uncached[buffer]]
        if not shared:
            self.line(around)
            return
        self.line(f"if ({' || '.join(shared)}) {self.vector_at(buffer, base, dtype)} = {_bare(value.text)};")
        self.line(f"else {around}")

    def _assign(self, target: str, value: Operand, dtype: DType, mode: str, guard: Operand | None) -> None:
        text = value.text
        if dtype is bool_:
            one = f"({register_type(bool_, self.lanes, value.bits)})(1)" if value.wide else ""
            text = f"__builtin_convertvector({text} & {one}, uchar{self.lanes})" if value.wide else f"(uchar){text}"
        if mode == "add":
            text = self._increased(target, value, dtype)
        prefix = f"if ({_bare(guard.text)}) " if guard is not None else ""
        self.line(f"{prefix}{target} = {_bare(text)};")

    def _increased(self, target: str, value: Operand, dtype: DType) -> str:
        """What is there plus the value; half-width floats are added in float."""
        if dtype not in (float16, bfloat16):
            return f"{target} + {value.text}"
        name = "half" if dtype is float16 else "bfloat"
        lanes = str(self.lanes) if value.wide else ""
        there, added = (f"{name}_to_float{lanes}({text})" for text in (target, value.text))
        return f"float_to_{name}{lanes}({there} + {added})"


def _bare(text: str) -> str:
    """The expression without the parentheses around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    inner = text[1:-1]
    open_here = 0
    for part in inner.split(")")[:-1]:  # up to each closing parenthesis
        open_here += part.count("(") - 1
        if open_here < 0:
            return text
    return inner
