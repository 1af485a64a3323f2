"""Kernels as text: the same kernel gives the same text in every process, and different kernels different texts.

In: a kernel. Out: lines like

    kernel row_sum
      b0: float32[32]
      b1: float32[8] written
    body 0: i0 < 8
      stage 0: j0 < 4
        v0 = b0[4*i0 + j0]
        r0: float32 = sum(v0 * v0)
      stage 1:
        b1[i0] = r0

A value that is used more than once, or that would make a line too long, has a line and a name v0, v1, ... of its
own. Numbers without a suffix are float32 and int64.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir import value as kinds
from lazygrad.ir.dtype import bool_, float32, int64
from lazygrad.ir.index import Mask, Variable
from lazygrad.ir.value import Value
from lazygrad.kernel.kernel import (
    Access,
    Accumulator,
    Average,
    Body,
    Contraction,
    Kernel,
    Product,
    Reduction,
    Stage,
    Store,
)
from lazygrad.kernel.walk import ordered_values, stage_values

# A longer expression is cut into lines: for the reader, and so that printing takes linear time.
LONGEST_EXPRESSION = 100

# Python's operators and how tightly they bind.
_INFIX = {
    "lt": ("<", 1), "le": ("<=", 1), "eq": ("==", 1), "ne": ("!=", 1),
    "bitwise_or": ("|", 2), "bitwise_xor": ("^", 3), "bitwise_and": ("&", 4),
    "shift_left": ("<<", 5), "shift_right": (">>", 5), "add": ("+", 6), "sub": ("-", 6), "mul": ("*", 7),
    "div": ("/", 7), "floor_divide": ("//", 7), "remainder": ("%", 7),
}  # fmt: skip
_PREFIX = {"neg": "-", "bitwise_not": "~"}
_PREFIX_LEVEL = 8
_TIGHTEST = 9
_TRIVIAL = frozenset({kinds.CONSTANT, kinds.ARGUMENT, kinds.REDUCED, kinds.PRODUCT})


def print_kernel(kernel: Kernel) -> str:
    """The kernel's text, ending in a newline."""
    lines = [f"kernel {kernel.name}"]
    for number, buffer in enumerate(kernel.buffers):
        words = ("written",) * buffer.written + ("movable",) * buffer.movable
        lines.append(f"  b{number}: {' '.join((f'{buffer.dtype.name}[{buffer.size}]', *words))}")
    lines += [f"  s{number}: {dtype.name}" for number, dtype in enumerate(kernel.scalars)]
    for number, body in enumerate(kernel.bodies):
        lines += _BodyPrinter(body).lines(number)
    return "\n".join(lines) + "\n"


class _BodyPrinter:
    """Prints one body; names of values count through all its stages."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.names = 0
        self.products = 0
        self.accumulators = 0
        self.text: dict[Value, tuple[str, int]] = {}  # and how tightly its outermost operator binds

    def lines(self, number: int) -> list[str]:
        lines = [f"body {number}:{_axes(self.body.axes)}"]
        for position, stage in enumerate(self.body.stages):
            order = " in order" if stage.sequential else ""
            lines.append(f"  stage {position}:{_axes(stage.axes)}{order}")
            lines += [f"    {line}" for line in self._stage(stage)]
        return lines

    def _stage(self, stage: Stage) -> list[str]:
        lines: list[str] = []
        self.text.clear()
        roots = list(stage_values(stage))
        order = ordered_values(roots)
        uses = dict.fromkeys(order, 0)
        for used in (*roots, *(i for value in order for i in value.inputs)):
            uses[used] += 1
        products = iter(stage.products)  # printed once their operands are, before what uses them
        for value in order:
            if value.op == kinds.PRODUCT:
                lines += [self._product(product) for product in products]
            text, level = self._expression(value)
            if (uses[value] > 1 and value.op not in _TRIVIAL) or len(text) > LONGEST_EXPRESSION:
                name = f"v{self.names}"
                self.names += 1
                lines.append(f"{name} = {text}")
                text, level = name, _TIGHTEST
            self.text[value] = text, level
        lines += [self._product(product) for product in products]
        for accumulator in stage.accumulators:
            own = f" for{_axes(accumulator.axes)}" if accumulator.axes else ""
            lines.append(f"r{self.accumulators}: {accumulator.dtype.name}{own} = {self._accumulator(accumulator)}")
            self.accumulators += 1
        lines += [self._store(store) for store in stage.stores]
        return lines

    def _expression(self, value: Value) -> tuple[str, int]:
        inputs = [self.text[i] for i in value.inputs]
        texts = [text for text, _ in inputs]
        match value.op:
            case kinds.CONSTANT:
                return _constant(value)
            case kinds.ARGUMENT:
                return f"s{value.payload}", _TIGHTEST
            case kinds.REDUCED:
                return f"r{value.payload}", _TIGHTEST
            case kinds.PRODUCT:
                return f"p{value.payload}", _TIGHTEST
            case kinds.LOAD:
                return self._access(value.payload, texts), _TIGHTEST
            case kinds.INDEX:
                return f"index({value.payload!r}){'' if value.dtype is int64 else ':' + value.dtype.name}", _TIGHTEST
            case kinds.VALID:
                return f"valid({_mask(value.payload)})", _TIGHTEST
            case "cast":
                return f"{value.dtype.name}({texts[0]})", _TIGHTEST
            case "bitcast":
                return f"bitcast_{value.dtype.name}({texts[0]})", _TIGHTEST
        infix = _INFIX.get(value.op)
        if infix is not None and len(inputs) == 2:
            symbol, level = infix
            (left, left_level), (right, right_level) = inputs
            # Comparisons do not chain, and the rest groups to the left.
            left = f"({left})" if left_level < level or left_level == level == 1 else left
            right = f"({right})" if right_level <= level else right
            return f"{left} {symbol} {right}", level
        if value.op in _PREFIX:
            text, level = inputs[0]
            return f"{_PREFIX[value.op]}{text if level > _PREFIX_LEVEL else f'({text})'}", _PREFIX_LEVEL
        return f"{value.op}({', '.join(texts)})", _TIGHTEST

    def _access(self, access: Access, dynamic: Sequence[str]) -> str:
        parts = [repr(access.address)]
        parts += [f"{v.name} < {v.extent} = {text}" for v, text in zip(access.dynamic, dynamic, strict=True)]
        if access.mask:
            parts.append(f"where {_mask(access.mask)}")
        return f"b{access.buffer}[{'; '.join(parts)}]"

    def _product(self, product: Product) -> str:
        number = self.products
        self.products += 1
        over = f" over{_axes(product.axes)}" if product.axes else ""
        return f"p{number}: {product.dtype.name} = {self._multiplied('contract', product)}{over}"

    def _accumulator(self, accumulator: Accumulator) -> str:
        match accumulator:
            case Contraction():
                return self._multiplied("contract", accumulator)
            case Average():
                return self._multiplied("average", accumulator)
            case Reduction():
                position = "" if accumulator.position is None else f" at {accumulator.position!r}"
                return f"{accumulator.op}({self.text[accumulator.value][0]}{position})"

    def _multiplied(self, name: str, of: Contraction | Average | Product) -> str:
        operands = ", ".join(self.text[operand][0] for operand in of.operands)
        notes = [] if of.precision == "highest" else [f"{of.precision} precision"]
        if isinstance(of, Contraction) and of.lower is not None:
            notes.append(f"where {of.lower!r} >= 0")
        return f"{name}({'; '.join([operands, *notes])})"

    def _store(self, store: Store) -> str:
        target = self._access(store.access, [self.text[value][0] for value in store.dynamic_values])
        return f"{target} {'=' if store.mode == 'set' else '+='} {self.text[store.value][0]}"


def _axes(axes: Sequence[Variable]) -> str:
    return f" {', '.join(f'{axis.name} < {axis.extent}' for axis in axes)}" if axes else ""


def _mask(mask: Mask) -> str:
    return " and ".join(map(repr, mask))


def _constant(value: Value) -> tuple[str, int]:
    text = repr(value.payload)
    suffix = "" if value.dtype in (float32, int64, bool_) else f":{value.dtype.name}"
    return text + suffix, _PREFIX_LEVEL if text.startswith("-") else _TIGHTEST
