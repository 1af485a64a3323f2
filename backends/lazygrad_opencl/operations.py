"""The expression table: each operation by name as OpenCL C, on one value or on vectors of lanes.

Only operators of the language stand in expressions for processors (their library functions are often not
inlined, see docs); what has no operator is done lane by lane on functions of the prelude.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazygrad.ir.dtype import DType, bfloat16, bool_, float16, float32, int32, int64
from lazygrad.ir.value import CONSTANT, Value
from lazygrad.kernel.emit import Operand
from lazygrad_opencl.types import LANE_NAMES, MASKS, UNSIGNED, register_type

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_BITS = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<="}
# Comparisons of truth values in terms of bits: x < y is (not x) and y.
_BOOL_COMPARE = {"eq": "~({x} ^ {y})", "ne": "{x} ^ {y}", "lt": "~{x} & {y}", "le": "~{x} | {y}"}
_INTEGER_FUNCTIONS = {"floor_divide": "floor_divide", "remainder": "remainder", "pow": "power"}


class Operations:
    """The table for one number of lanes; ``native`` lets it use the library's mathematical functions."""

    def __init__(self, lanes: int, native: bool) -> None:
        self.lanes = lanes
        self.native = native

    # ---- shapes

    def wide_type(self, dtype: DType, bits: int = 0) -> str:
        """The vector type of a value."""
        return register_type(dtype, self.lanes, bits)

    def broadcast(self, operand: Operand, bits: int = 32) -> Operand:
        """One value for all lanes as lanes; ``bits`` chooses a bool's width."""
        if operand.wide:
            return operand
        if operand.dtype is bool_:
            return operand._replace(text=f"({MASKS[bits]}{self.lanes})(-{operand.text})", wide=True, bits=bits)
        return operand._replace(text=f"({self.wide_type(operand.dtype)})({operand.text})", wide=True)

    def mask(self, operand: Operand, bits: int) -> Operand:
        """A bool as lanes of a given width."""
        if not operand.wide:
            return self.broadcast(operand, bits)
        if operand.bits == bits:
            return operand
        text = f"__builtin_convertvector({operand.text}, {MASKS[bits]}{self.lanes})"
        return operand._replace(text=text, bits=bits)

    def _by_lane(self, call: Callable[..., str], inputs: Sequence[Operand], dtype: DType) -> str:
        """A vector put together from calls on single lanes."""
        calls = (
            call(*(f"{i.text}.s{lane}" if i.wide else i.text for i in inputs)) for lane in LANE_NAMES[: self.lanes]
        )
        return f"({self.wide_type(dtype)})({', '.join(calls)})"

    # ---- operations

    def __call__(self, value: Value, inputs: Sequence[Operand]) -> Operand:
        """The expression of an operation on emitted inputs; not in parentheses, of no depth."""
        wide = any(i.wide for i in inputs)
        name, dtype = value.op, value.dtype
        bits = 0
        if name == "cast":
            text, bits = self._cast(inputs[0], dtype)
        elif name == "bitcast":
            text = self._bitcast(inputs[0], dtype)
        elif name == "where":
            text, bits = self._where(inputs, wide)
        elif name in _COMPARE:
            text, bits = self._compare(name, inputs, wide)
        elif dtype is bool_:
            text, bits = self._logic(name, inputs, wide)
        elif name in ("shift_left", "shift_right"):
            text = self._shift(value, inputs, wide)
        else:
            text = self._arithmetic(name, dtype, inputs, wide)
        return Operand(text, dtype, wide, bits=bits if wide else 0)

    def _arithmetic(self, name: str, dtype: DType, inputs: Sequence[Operand], wide: int) -> str:
        texts = [i.text for i in inputs]
        if wide and not (dtype.bits >= 32):
            texts = [self.broadcast(i).text for i in inputs]
        if name in _INFIX:
            return self.wrapping(_INFIX[name], dtype, texts, wide)
        if name in _BITS:
            return f"{texts[0]} {_BITS[name]} {texts[1]}"
        if name == "bitwise_not":
            return f"~{texts[0]}"
        if name == "neg":
            wraps = not wide and dtype in (int32, int64)
            return self.wrapping("-", dtype, ["0", *texts], wide) if wraps else f"-{texts[0]}"
        if name == "abs":
            return self._absolute(dtype, inputs[0])
        if name == "sqrt" and not self.native:
            if wide:
                return f"square_root_{self.wide_type(dtype)}({texts[0]})"
            return f"__builtin_sqrt{'f' if dtype is float32 else ''}({texts[0]})"
        if dtype.is_integer and name in _INTEGER_FUNCTIONS:
            function = f"{_INTEGER_FUNCTIONS[name]}_{'long' if dtype is int64 else 'int'}"
            if wide:
                return self._by_lane(lambda x, y: f"{function}({x}, {y})", inputs, dtype)
            return f"{function}({texts[0]}, {texts[1]})"
        return self._function(name, texts)

    def wrapping(self, sign: str, dtype: DType, texts: Sequence[str], wide: int) -> str:
        """Integers wrap around: C promises it for unsigned ones (and compilers keep it for vectors)."""
        if wide or dtype not in (int32, int64):
            return f"{texts[0]} {sign} {texts[1]}"
        unsigned, signed = UNSIGNED[dtype], register_type(dtype)
        return f"({signed})(({unsigned}){texts[0]} {sign} ({unsigned}){texts[1]})"

    def _absolute(self, dtype: DType, x: Operand) -> str:
        if dtype.is_float:
            integer, mask = ("int", "0x7fffffff") if dtype is float32 else ("long", "0x7fffffffffffffffL")
            lanes = str(self.lanes) if x.wide else ""
            return f"as_{register_type(dtype)}{lanes}(as_{integer}{lanes}({x.text}) & {mask})"
        zero = f"({self.wide_type(dtype)})(0)" if x.wide else "0"
        return f"{x.text} < {zero} ? -{x.text} : {x.text}" if dtype.is_signed else x.text

    def _function(self, name: str, texts: Sequence[str]) -> str:
        """The library's function; everything that has an expansion comes here on graphics processors only."""
        if name == "round":
            name = "rint"
        return f"{name}({', '.join(texts)})"

    def _compare(self, name: str, inputs: Sequence[Operand], wide: int) -> tuple[str, int]:
        if not wide:
            return f"{inputs[0].text} {_COMPARE[name]} {inputs[1].text}", 0
        if inputs[0].dtype is bool_:
            bits = max(i.bits for i in inputs)
            x, y = (self.mask(i, bits).text for i in inputs)
            return _BOOL_COMPARE[name].format(x=x, y=y), bits
        x, y = (self.broadcast(i).text for i in inputs)
        return f"{x} {_COMPARE[name]} {y}", inputs[0].dtype.bits

    def _logic(self, name: str, inputs: Sequence[Operand], wide: int) -> tuple[str, int]:
        if name == "bitwise_not":
            return (f"~{inputs[0].text}", inputs[0].bits) if wide else (f"!{inputs[0].text}", 0)
        if name not in _BITS:
            raise RuntimeError(f"the operation {name!r} has no meaning for bool")
        bits = max((i.bits for i in inputs if i.wide), default=0)
        x, y = (self.mask(i, bits).text for i in inputs) if wide else (i.text for i in inputs)
        return f"{x} {_BITS[name]} {y}", bits

    def both(self, left: Operand, right: Operand) -> Operand:
        """The conjunction of two bools."""
        wide = left.wide or right.wide
        text, bits = self._logic("bitwise_and", (left, right), wide)
        return Operand(text, bool_, wide, max(left.depth, right.depth), bits)

    def _where(self, inputs: Sequence[Operand], wide: int) -> tuple[str, int]:
        condition, yes, no = inputs
        if not wide:
            return f"{condition.text} ? {yes.text} : {no.text}", 0
        if yes.dtype is bool_:
            bits = max(i.bits for i in inputs)
            yes, no = self.mask(yes, bits), self.mask(no, bits)
        else:
            bits = yes.dtype.bits
            yes, no = self.broadcast(yes), self.broadcast(no)
        if condition.wide:
            condition = self.mask(condition, bits)
        return f"{condition.text} ? {yes.text} : {no.text}", bits if yes.dtype is bool_ else 0

    def _shift(self, value: Value, inputs: Sequence[Operand], wide: int) -> str:
        """A count outside the width gives what shifting one by one would; C leaves that open."""
        x, count = inputs
        bits = value.dtype.bits
        left = value.op == "shift_left"
        amount = value.inputs[1]
        if amount.op == CONSTANT and 0 <= amount.payload.number < bits:
            if wide:
                return f"{self.broadcast(x).text} {'<<' if left else '>>'} {self.broadcast(count).text}"
            if not left or value.dtype not in (int32, int64):
                return f"{x.text} {'<<' if left else '>>'} {count.text}"
            return f"({register_type(value.dtype)})(({UNSIGNED[value.dtype]}){x.text} << {count.text})"
        kind = self.wide_type(value.dtype) if wide else register_type(value.dtype)
        if wide:
            x, count = self.broadcast(x), self.broadcast(count)
        zero, last = f"({kind})(0)", f"({kind})({bits - 1})"
        inside = f"(({count.text} >= {zero}) & ({count.text} <= {last}))"
        safe = f"({count.text} & {last})"
        if not left:
            beyond = f"({x.text} >> {last})" if value.dtype.is_signed else zero
            return f"{inside} ? ({kind})({x.text} >> {safe}) : ({kind})({beyond})"
        shifted = f"{x.text} << {safe}" if wide else f"({UNSIGNED[value.dtype]}){x.text} << {safe}"
        return f"{inside} ? ({kind})({shifted}) : {zero}"

    # ---- conversions

    def _bitcast(self, x: Operand, dtype: DType) -> str:
        # An index may be wider than its type says.
        text = f"(int)({x.text})" if x.dtype is int32 and not x.wide else x.text
        return f"as_{register_type(dtype)}{self.lanes if x.wide else ''}({text})"

    def convert(self, x: Operand, dtype: DType) -> str:
        """A number as another type, as C converts; no bools and no half-width floats."""
        kind = self.wide_type(dtype) if x.wide else register_type(dtype)
        if x.dtype.is_float and dtype.is_integer and dtype.bits < 32:
            # Through int, as processors do it: 300.0 becomes the uint8 44, on all of them.
            return self._plain(f"({self._plain(x.text, self._kind(int32, x), x.wide)})", kind, x.wide)
        return self._plain(x.text, kind, x.wide)

    def _kind(self, dtype: DType, like: Operand) -> str:
        return self.wide_type(dtype) if like.wide else register_type(dtype)

    def _plain(self, text: str, kind: str, wide: int) -> str:
        return f"__builtin_convertvector({text}, {kind})" if wide else f"({kind}){text}"

    def _cast(self, x: Operand, dtype: DType) -> tuple[str, int]:
        if dtype is bool_:
            return self._to_bool(x)
        if x.dtype is bool_:
            return self.from_bool(x, dtype), 0
        lanes = str(self.lanes) if x.wide else ""
        if x.dtype in (float16, bfloat16):
            name = "half" if x.dtype is float16 else "bfloat"
            single = x._replace(text=f"{name}_to_float{lanes}({x.text})", dtype=float32)
            return (single.text if dtype is float32 else self._cast(single, dtype)[0]), 0
        if dtype in (float16, bfloat16):
            name = "half" if dtype is float16 else "bfloat"
            single_text = x.text if x.dtype is float32 else self.convert(x, float32)
            return f"float_to_{name}{lanes}({single_text})", 0
        return self.convert(x, dtype), 0

    def _to_bool(self, x: Operand) -> tuple[str, int]:
        if x.dtype in (float16, bfloat16):  # the sign of zero does not make it true
            zero = f"({self.wide_type(x.dtype)})(0)" if x.wide else "0"
            mask = f"({self.wide_type(x.dtype)})(0x7fff)" if x.wide else "0x7fff"
            return f"({x.text} & {mask}) != {zero}", x.dtype.bits
        zero = f"({self.wide_type(x.dtype)})(0)" if x.wide else "0"
        return f"{x.text} != {zero}", x.dtype.bits

    def from_bool(self, x: Operand, dtype: DType) -> str:
        """A bool as the number 0 or 1."""
        if dtype in (float16, bfloat16):
            one = "0x3c00" if dtype is float16 else "0x3f80"
        else:
            one = "1"
        if not x.wide:
            return f"{x.text} ? {one} : 0"
        kind = self.wide_type(dtype)
        return f"{self.mask(x, dtype.bits).text} ? ({kind})({one}) : ({kind})(0)"
