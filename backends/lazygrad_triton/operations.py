"""The expression table: each operation by name as Triton, on scalars and blocks alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazygrad.ir.dtype import DType, bfloat16, bool_, float32, float64, int32
from lazygrad.ir.value import CONSTANT, Value
from lazygrad.kernel.emit import Operand
from lazygrad.settings import Precision
from lazygrad_triton.literals import plain, typed
from lazygrad_triton.types import HALVES, block_type

# Names that Triton computes itself, as accurately as our own expansions do. Its exp, log and tanh are fast
# approximations or missing, so they are expanded.
NATIVE = frozenset({"cos", "erf", "sin"})
# Fast approximations that streams use: weights are products of many roundings anyway.
FAST = frozenset({"exp", "exp2"})

_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=",
}  # fmt: skip
_BOOL_COMPARE = {"eq": "(x ^ y) == False", "ne": "x ^ y", "lt": "(x == False) & y", "le": "(x == False) | y"}
_INTEGER_FUNCTIONS = {"floor_divide": "floor_divide", "remainder": "remainder", "pow": "power"}
# How float32 is multiplied by matrix units; for "medium" it is rounded to bfloat16 before.
_DOT: dict[Precision, str] = {"highest": "ieee", "high": "tf32", "medium": "ieee"}
# Types whose Python literals keep their value and type next to a value of the type.
_LITERALS = (int32, float32)


def operation(value: Value, inputs: Sequence[Operand], use: Callable[[str], str]) -> str:
    """The expression of an operation on emitted inputs; ``use`` asks for a library function and returns its name."""
    name, dtype = value.op, value.dtype
    texts = [operand.text for operand in inputs]
    if name == "cast":
        return cast(texts[0], inputs[0].dtype, dtype)
    if name == "bitcast":
        return f"{texts[0]}.to({block_type(dtype)}, bitcast=True)"
    if name == "where":
        return f"tl.where({', '.join(texts)})"
    of = inputs[0].dtype
    if of is bool_:
        return _logic(name, texts)
    if name in _INFIX:
        return f" {_INFIX[name]} ".join(_literals(value, texts))
    if name in ("shift_left", "shift_right"):
        return _shift(value, texts)
    if name == "neg":  # 0 - x would lose the sign of zero
        return f"{texts[0]} * -1.0" if dtype.is_float else f"0 - {texts[0]}"
    if name == "bitwise_not":
        return f"~{texts[0]}"
    if name == "abs":
        return f"tl.abs({texts[0]})"
    if name == "div":
        return f"tl.div_rn({texts[0]}, {texts[1]})" if dtype is float32 else f"{texts[0]} / {texts[1]}"
    if name == "sqrt":
        return f"tl.sqrt_rn({texts[0]})" if dtype is float32 else f"tl.sqrt({texts[0]})"
    if dtype.is_integer and name in _INTEGER_FUNCTIONS:
        function = _INTEGER_FUNCTIONS[name] + ("" if dtype.is_signed else "_unsigned")
        return f"{use(function)}({', '.join(texts)})"
    if name in NATIVE or name in FAST:
        return f"tl.{name}({', '.join(texts)})"
    raise RuntimeError(f"the operation {name!r} has no meaning for {dtype.name} in Triton")


def _literals(value: Value, texts: Sequence[str]) -> Sequence[str]:
    """Constants next to other values as Python literals, which read better."""
    x, y = value.inputs
    if (x.op == CONSTANT) == (y.op == CONSTANT) or x.dtype not in _LITERALS:
        return texts
    return [plain(i.payload.number, i.dtype) if i.op == CONSTANT else t for i, t in zip((x, y), texts, strict=True)]


def _logic(name: str, texts: Sequence[str]) -> str:
    if name == "bitwise_not":
        return f"{texts[0]} == False"
    if name in _BOOL_COMPARE:
        x, y = texts
        return _BOOL_COMPARE[name].replace("x", "{x}").replace("y", "{y}").format(x=x, y=y)
    if name not in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        raise RuntimeError(f"the operation {name!r} has no meaning for bool")
    return f" {_INFIX[name]} ".join(texts)


def _shift(value: Value, texts: Sequence[str]) -> str:
    """A count outside the width gives what shifting one by one would; hardware leaves that open."""
    x, count = texts
    bits = value.dtype.bits
    left = value.op == "shift_left"
    amount = value.inputs[1]
    sign = "<<" if left else ">>"
    if amount.op == CONSTANT and 0 <= amount.payload.number < bits:
        return f"{x} {sign} {amount.payload.number if value.dtype is int32 else count}"
    inside = f"({count} >= 0) & ({count} <= {bits - 1})"
    beyond = f"{x} >> {typed(bits - 1, value.dtype)}" if not left and value.dtype.is_signed else "0"
    return f"tl.where({inside}, {x} {sign} ({count} & {typed(bits - 1, value.dtype)}), {beyond})"


def dot(left: str, right: str, dtype: DType, precision: Precision, sums: str = "") -> str:
    """A product of blocks as matrices in the accumulator's type, added to ``sums``."""
    added = f"{sums}, " if sums else ""
    return f'tl.dot({left}, {right}, {added}input_precision="{_DOT[precision]}", out_dtype={block_type(dtype)})'


def cast(text: str, source: DType, target: DType) -> str:
    """A C conversion; floats become small integers through int32, as processors do it."""
    if target is bool_:
        return f"{text} != 0"
    kind = block_type(target)
    if source.is_float and target.is_integer and target.bits < 32:
        return f"{text}.to(tl.int32).to({kind})"
    if (source is float64 and target is bfloat16) or (source is bfloat16 and target is float64):
        return f"{text}.to(tl.float32).to({kind})"
    if (source in HALVES and target.is_integer) or (source.is_integer and target in HALVES):
        return f"{text}.to(tl.float32).to({kind})"
    return f"{text}.to({kind})"
