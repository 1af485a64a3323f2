"""Scalar expressions: what one element of a kernel computes.

A ``Value`` is an operation's name on other values, or one of the leaves below, with its dtype. Values are
interned like nodes, so a shared subexpression is one object and is computed once in generated code. Operators
build new values, which is how operation declarations and expansions are written:

    where(x > 0, x, 0 * x)
"""

from __future__ import annotations

from typing import Any, TypeAlias

from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.interning import InternTable

Number: TypeAlias = bool | int | float

# Leaves. Every other ``op`` of a value is the name of an elementwise operation on its inputs.
CONSTANT = "constant"  # payload: the number as Exact
ARGUMENT = "argument"  # payload: the position of a scalar kernel argument
LOAD = "load"  # payload: a kernel Access; inputs: the values its dynamic variables stand for
INDEX = "index"  # payload: an Index; the integer itself
VALID = "valid"  # payload: a Mask; whether it holds here
REDUCED = "reduced"  # payload: the number of an accumulator of this kernel
PRODUCT = "product"  # payload: the number of a product of this kernel

_COMPARISONS = frozenset({"eq", "ne", "lt", "le"})


class Value:
    """One scalar expression. Build it with operators, :func:`where`, :func:`constant` or :func:`apply`."""

    __slots__ = ("__weakref__", "dtype", "inputs", "op", "payload")

    op: str
    inputs: tuple[Value, ...]
    dtype: DType
    payload: Any

    def _with(self, op: str, other: Value | Number, swapped: bool = False) -> Value:
        right = other if isinstance(other, Value) else constant(other, self.dtype)
        return apply(op, *((right, self) if swapped else (self, right)))

    def __add__(self, other: Value | Number) -> Value:
        return self._with("add", other)

    def __radd__(self, other: Number) -> Value:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: Value | Number) -> Value:
        return self._with("sub", other)

    def __rsub__(self, other: Number) -> Value:
        return self._with("sub", other, swapped=True)

    def __mul__(self, other: Value | Number) -> Value:
        return self._with("mul", other)

    def __rmul__(self, other: Number) -> Value:
        return self._with("mul", other, swapped=True)

    def __truediv__(self, other: Value | Number) -> Value:
        return self._with("div", other)

    def __rtruediv__(self, other: Number) -> Value:
        return self._with("div", other, swapped=True)

    def __neg__(self) -> Value:
        return apply("neg", self)

    def __and__(self, other: Value | Number) -> Value:
        return self._with("bitwise_and", other)

    def __or__(self, other: Value | Number) -> Value:
        return self._with("bitwise_or", other)

    def __xor__(self, other: Value | Number) -> Value:
        return self._with("bitwise_xor", other)

    def __invert__(self) -> Value:
        return apply("bitwise_not", self)

    def __lshift__(self, other: Value | Number) -> Value:
        return self._with("shift_left", other)

    def __rshift__(self, other: Value | Number) -> Value:
        return self._with("shift_right", other)

    def __lt__(self, other: Value | Number) -> Value:
        return self._with("lt", other)

    def __le__(self, other: Value | Number) -> Value:
        return self._with("le", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self._with("lt", other, swapped=True)

    def __ge__(self, other: Value | Number) -> Value:
        return self._with("le", other, swapped=True)

    # Equality of expressions is identity; these two build the comparison of the values instead.
    def equals(self, other: Value | Number) -> Value:
        return self._with("eq", other)

    def differs(self, other: Value | Number) -> Value:
        return self._with("ne", other)

    def cast(self, dtype: DType) -> Value:
        """C conversion: a float becomes an integer by truncation."""
        return self if dtype is self.dtype else _make("cast", (self,), dtype, None)

    def bitcast(self, dtype: DType) -> Value:
        """The same bits read as another type of the same width."""
        return self if dtype is self.dtype else _make("bitcast", (self,), dtype, None)

    def __repr__(self) -> str:
        if self.op == CONSTANT:
            return repr(self.payload)
        if self.op in (LOAD, INDEX, VALID, ARGUMENT, REDUCED, PRODUCT):
            inner = ", ".join(map(repr, self.inputs))
            return f"{self.op}[{self.payload!r}{'; ' + inner if inner else ''}]"
        suffix = f":{self.dtype.name}" if self.op in ("cast", "bitcast") else ""
        return f"{self.op}({', '.join(map(repr, self.inputs))}){suffix}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_rows, (_to_rows(self),)


_TABLE: InternTable[Value] = InternTable()


def _make(op: str, inputs: tuple[Value, ...], dtype: DType, payload: Any) -> Value:
    key = (op, inputs, dtype, payload)
    found = _TABLE.get(key)
    if found is None:
        found = Value.__new__(Value)
        found.op, found.inputs, found.dtype, found.payload = op, inputs, dtype, payload
        found = _TABLE.add(key, found)
    return found


# A value's op, dtype, payload and the rows of its inputs: how expressions of any depth are copied without recursion.
_Row: TypeAlias = tuple[str, DType, Any, tuple[int, ...]]


def _to_rows(value: Value) -> list[_Row]:
    """Everything that a value is made of, inputs first."""
    rows: list[_Row] = []
    numbers: dict[Value, int] = {}
    pending = [value]
    while pending:
        current = pending[-1]
        missing = [each for each in current.inputs if each not in numbers]
        if missing:
            pending += missing
            continue
        pending.pop()
        if current not in numbers:
            numbers[current] = len(rows)
            inputs = tuple(numbers[each] for each in current.inputs)
            rows.append((current.op, current.dtype, current.payload, inputs))
    return rows


def _from_rows(rows: list[_Row]) -> Value:
    """The value of the last row, interned in this process."""
    made: list[Value] = []
    for op, dtype, payload, inputs in rows:
        made.append(_make(op, tuple(made[number] for number in inputs), dtype, payload))
    return made[-1]


def apply(op: str, *inputs: Value) -> Value:
    """An elementwise operation by name. Comparisons give bool; the rest has the dtype of its last input."""
    return _make(op, inputs, bool_ if op in _COMPARISONS else inputs[-1].dtype, None)


def leaf(op: str, dtype: DType, payload: Any, inputs: tuple[Value, ...] = ()) -> Value:
    """A leaf of the given kind (see the names at the top of this file)."""
    return _make(op, inputs, dtype, payload)


def constant(number: Number, dtype: DType) -> Value:
    """A constant, keyed by dtype and bit pattern: 0.0 and -0.0 differ, nan equals itself."""
    number = float(number) if dtype.is_float else bool(number) if dtype is bool_ else int(number)
    return _make(CONSTANT, (), dtype, Exact(number))


class Exact(str):
    """A number that is equal only to the same bits of the same type: 1, 1.0 and True differ, nan equals nan.

    Python prints a float so that it reads back exactly, so the printed form decides. It *is* that text, because nodes
    are looked up by it, and Python compares texts faster than anything with methods of its own.
    """

    __slots__ = ("number",)

    number: Number

    def __new__(cls, number: Number) -> Exact:
        made = super().__new__(cls, repr(number))
        made.number = number
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Exact, (self.number,)

    def __repr__(self) -> str:
        return str(self)


def where(condition: Value, yes: Value | Number, no: Value | Number) -> Value:
    """``yes`` where the condition holds, else ``no``; a number adopts the other branch's dtype."""
    if not isinstance(yes, Value):
        if not isinstance(no, Value):
            raise TypeError("where needs a value in at least one branch to know its dtype")
        yes = constant(yes, no.dtype)
    if not isinstance(no, Value):
        no = constant(no, yes.dtype)
    return apply("where", condition, yes, no)
