"""Elementwise primitives: one value out for one value of each input, all of one shape.

Each declaration says everything there is to know: dtype, NumPy meaning, scalar expression, derivative. A rule
``lambda out, g: ...`` gives the cotangent of one input from the node ``out`` and its cotangent ``g``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy

from lazygrad.ir import value as scalar
from lazygrad.ir.dtype import DType, bool_
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Linearity, Op, ScalarRule, VjpRule
from lazygrad.ir.shape import Shape
from lazygrad.ir.value import Number, Value
from lazygrad.ops.source import constant, constant_value

Operand: TypeAlias = Node | Number


class CastAttributes(NamedTuple):
    dtype: DType


class LeafAttributes(NamedTuple):
    token: object


def _same_shape(inputs: tuple[Node, ...], attributes: Any) -> Shape:
    shape = inputs[0].shape
    for other in inputs[1:]:
        if other.shape != shape:
            shapes = ", ".join(str(list(i.shape)) for i in inputs)
            raise RuntimeError(f"an elementwise primitive needs inputs of one shape, got {shapes}")
    return shape


def _same_dtype(name: str, allowed: Callable[[DType], bool]) -> Callable[[tuple[Node, ...], Any], DType]:
    def rule(inputs: tuple[Node, ...], attributes: Any) -> DType:
        dtype = inputs[0].dtype
        if any(i.dtype is not dtype for i in inputs):
            names = ", ".join(i.dtype.name for i in inputs)
            raise RuntimeError(f"{name}: inputs must have one dtype, got {names}")
        if not allowed(dtype):
            raise RuntimeError(f"{name} is not defined for dtype {dtype.name}")
        return dtype

    return rule


def _any(dtype: DType) -> bool:
    return True


def _number(dtype: DType) -> bool:
    return dtype.kind != "bool"


def _float(dtype: DType) -> bool:
    return dtype.is_float


def _integral(dtype: DType) -> bool:
    return not dtype.is_float


def _elementwise(
    name: str,
    meaning: Callable[..., Any],
    scalar_rule: ScalarRule,
    *vjp: VjpRule | None,
    dtypes: Callable[[DType], bool] = _number,
    compares: bool = False,
    **fields: Any,
) -> Op:
    same = _same_dtype(name, dtypes)
    return Op(
        name=name,
        family=Family.ELEMENTWISE,
        shape=_same_shape,
        dtype=(lambda inputs, a: same(inputs, a) and bool_) if compares else same,
        numpy=lambda of, *arrays: meaning(*arrays),
        scalar=scalar_rule,
        vjp=vjp,
        dtypes=dtypes,
        **fields,
    )


def _named(name: str) -> ScalarRule:
    """The scalar expression of an operation that every code generator knows by name."""
    return lambda *inputs: scalar.apply(name, *inputs)


def _make(op: Op, *operands: Operand) -> Node:
    """Lifts numbers to constants beside the first node, then builds the node."""
    like = next(operand for operand in operands if isinstance(operand, Node))
    return node(
        op,
        tuple(o if isinstance(o, Node) else constant(o, like.shape, like.dtype, like.device) for o in operands),
    )


# ---- arithmetic


def _add_vjp(out: Node, g: Node) -> Node:
    return g


ADD = _elementwise(
    "add", numpy.add, lambda x, y: x + y, _add_vjp, _add_vjp,
    linearity=Linearity.JOINT, commutative=True, symbol="+",
)  # fmt: skip
SUB = _elementwise(
    "sub", numpy.subtract, lambda x, y: x - y, _add_vjp, lambda out, g: neg(g), linearity=Linearity.JOINT, symbol="-"
)
MUL = _elementwise(
    "mul", numpy.multiply, lambda x, y: x * y,
    lambda out, g: mul(g, out.inputs[1]), lambda out, g: mul(g, out.inputs[0]),
    linearity=Linearity.EACH, commutative=True, symbol="*",
)  # fmt: skip
DIV = _elementwise(
    "div", numpy.divide, lambda x, y: x / y,
    lambda out, g: div(g, out.inputs[1]), lambda out, g: neg(mul(g, div(out, out.inputs[1]))),
    dtypes=_float, symbol="/", cost=4,
)  # fmt: skip
NEG = _elementwise("neg", numpy.negative, lambda x: -x, lambda out, g: neg(g), linearity=Linearity.JOINT, symbol="-")


def _pow_base_vjp(out: Node, g: Node) -> Node:
    base, exponent = out.inputs
    number = constant_value(exponent)
    if number is not None:
        return mul(g, mul(number, pow_(base, number - 1))) if number != 0 else mul(g, 0.0)
    slope = mul(exponent, pow_(base, sub(exponent, 1.0)))
    return where(eq(exponent, 0.0), 0.0, mul(g, slope))


def _pow_exponent_vjp(out: Node, g: Node) -> Node:
    base, exponent = out.inputs
    flat = bitwise_and(eq(base, 0.0), le(0.0, exponent))
    return where(flat, 0.0, mul(g, mul(out, log(base))))


def _pow_numpy(x: Any, y: Any) -> Any:
    if x.dtype.kind in "iu":
        return numpy.where(y < 0, numpy.where(abs(x) == 1, x ** abs(y % 2), 0), x ** numpy.maximum(y, 0))
    return numpy.power(x, y)


POW = _elementwise("pow", _pow_numpy, _named("pow"), _pow_base_vjp, _pow_exponent_vjp, symbol="**", cost=30)


def _halved_where_equal(out: Node, g: Node, wins: Node) -> Node:
    """Torch's convention for maximum and minimum: a tie gives half the cotangent to each side."""
    return where(wins, g, where(eq(*out.inputs), mul(g, 0.5), 0.0))


MAXIMUM = _elementwise(
    "maximum", numpy.maximum, lambda x, y: scalar.where((x > y) | x.differs(x), x, y),
    lambda out, g: _halved_where_equal(out, g, lt(out.inputs[1], out.inputs[0])),
    lambda out, g: _halved_where_equal(out, g, lt(out.inputs[0], out.inputs[1])),
    dtypes=_any, commutative=True, cost=2,
)  # fmt: skip
MINIMUM = _elementwise(
    "minimum", numpy.minimum, lambda x, y: scalar.where((x < y) | x.differs(x), x, y),
    lambda out, g: _halved_where_equal(out, g, lt(out.inputs[0], out.inputs[1])),
    lambda out, g: _halved_where_equal(out, g, lt(out.inputs[1], out.inputs[0])),
    dtypes=_any, commutative=True, cost=2,
)  # fmt: skip
# Both round to minus infinity, as Python and torch do: a == b * floor_divide(a, b) + remainder(a, b).
REMAINDER = _elementwise(
    "remainder", numpy.remainder, _named("remainder"),
    lambda out, g: g, lambda out, g: neg(mul(g, floor(div(*out.inputs)))), symbol="%", cost=10,
)  # fmt: skip
FLOOR_DIVIDE = _elementwise(
    "floor_divide", numpy.floor_divide, _named("floor_divide"), None, None, symbol="//", cost=10
)
ABS = _elementwise("abs", numpy.abs, _named("abs"), lambda out, g: mul(g, sign(out.inputs[0])))


def _sign_scalar(x: Value) -> Value:
    positive = scalar.where(x > 0, 1, scalar.constant(0, x.dtype))
    return scalar.where(x < 0, -1, positive) if x.dtype.is_signed else positive


SIGN = _elementwise(
    "sign", lambda x: numpy.where(x != x, 0, numpy.sign(x)).astype(x.dtype), _sign_scalar,
    lambda out, g: mul(g, 0.0), cost=2,
)  # fmt: skip

# ---- transcendental


def _erf_numpy(x: Any) -> Any:
    return numpy.vectorize(math.erf, otypes=[numpy.float64])(x.astype(numpy.float64)).astype(x.dtype)


def _sigmoid_numpy(x: Any) -> Any:
    small = numpy.exp(-numpy.abs(x))
    return (numpy.where(x >= 0, 1, small) / (1 + small)).astype(x.dtype)


def _transcendental(name: str, meaning: Callable[..., Any], vjp: VjpRule, cost: float) -> Op:
    return _elementwise(name, meaning, _named(name), vjp, dtypes=_float, cost=cost)


EXP = _transcendental("exp", numpy.exp, lambda out, g: mul(g, out), 12)
EXPM1 = _transcendental("expm1", numpy.expm1, lambda out, g: mul(g, add(out, 1.0)), 16)
LOG = _transcendental("log", numpy.log, lambda out, g: div(g, out.inputs[0]), 14)
LOG1P = _transcendental("log1p", numpy.log1p, lambda out, g: div(g, add(out.inputs[0], 1.0)), 18)
SQRT = _transcendental("sqrt", numpy.sqrt, lambda out, g: div(mul(g, 0.5), out), 6)
RSQRT = _transcendental(
    "rsqrt", lambda x: 1 / numpy.sqrt(x), lambda out, g: mul(g, mul(-0.5, mul(out, mul(out, out)))), 10
)
SIN = _transcendental("sin", numpy.sin, lambda out, g: mul(g, cos(out.inputs[0])), 16)
COS = _transcendental("cos", numpy.cos, lambda out, g: neg(mul(g, sin(out.inputs[0]))), 16)
ASIN = _transcendental("asin", numpy.arcsin, lambda out, g: mul(g, rsqrt(sub(1.0, _square(out.inputs[0])))), 20)
ACOS = _transcendental("acos", numpy.arccos, lambda out, g: neg(mul(g, rsqrt(sub(1.0, _square(out.inputs[0]))))), 20)
ATAN = _transcendental("atan", numpy.arctan, lambda out, g: div(g, add(1.0, _square(out.inputs[0]))), 20)
TANH = _transcendental("tanh", numpy.tanh, lambda out, g: mul(g, sub(1.0, _square(out))), 16)
ERF = _transcendental(
    "erf", _erf_numpy, lambda out, g: mul(g, mul(2 / math.sqrt(math.pi), exp(neg(_square(out.inputs[0]))))), 20
)
SIGMOID = _transcendental("sigmoid", _sigmoid_numpy, lambda out, g: mul(g, mul(out, sub(1.0, out))), 16)
ATAN2 = _elementwise(
    "atan2", numpy.arctan2, _named("atan2"),
    lambda out, g: mul(g, div(out.inputs[1], add(_square(out.inputs[0]), _square(out.inputs[1])))),
    lambda out, g: neg(mul(g, div(out.inputs[0], add(_square(out.inputs[0]), _square(out.inputs[1]))))),
    dtypes=_float, cost=24,
)  # fmt: skip

# A primitive, so that its derivative needs the output only and the input need not be kept.
RELU = _elementwise(
    "relu", lambda x: numpy.where(x <= 0, numpy.zeros((), x.dtype), x), lambda x: scalar.where(x <= 0, 0, x),
    lambda out, g: where(lt(0.0, out), g, 0.0), cost=2,
)  # fmt: skip

# ---- rounding


def _zero(out: Node, g: Node) -> Node:
    return mul(g, 0.0)


FLOOR = _elementwise("floor", numpy.floor, _named("floor"), _zero, dtypes=_float, cost=3)
CEIL = _elementwise("ceil", numpy.ceil, _named("ceil"), _zero, dtypes=_float, cost=3)
TRUNC = _elementwise("trunc", numpy.trunc, _named("trunc"), _zero, dtypes=_float, cost=3)
ROUND = _elementwise("round", numpy.rint, _named("round"), _zero, dtypes=_float, cost=3)

# ---- comparison, logic, bits

EQ = _elementwise(
    "eq", numpy.equal, lambda x, y: x.equals(y), None, None, dtypes=_any, compares=True, commutative=True, symbol="=="
)
NE = _elementwise(
    "ne", numpy.not_equal, lambda x, y: x.differs(y), None, None,
    dtypes=_any, compares=True, commutative=True, symbol="!=",
)  # fmt: skip
LT = _elementwise("lt", numpy.less, lambda x, y: x < y, None, None, dtypes=_any, compares=True, symbol="<")
LE = _elementwise("le", numpy.less_equal, lambda x, y: x <= y, None, None, dtypes=_any, compares=True, symbol="<=")
BITWISE_AND = _elementwise(
    "bitwise_and", numpy.bitwise_and, lambda x, y: x & y, None, None, dtypes=_integral, commutative=True, symbol="&"
)
BITWISE_OR = _elementwise(
    "bitwise_or", numpy.bitwise_or, lambda x, y: x | y, None, None, dtypes=_integral, commutative=True, symbol="|"
)
BITWISE_XOR = _elementwise(
    "bitwise_xor", numpy.bitwise_xor, lambda x, y: x ^ y, None, None, dtypes=_integral, commutative=True, symbol="^"
)
BITWISE_NOT = _elementwise("bitwise_not", numpy.bitwise_not, lambda x: ~x, None, dtypes=_integral, symbol="~")


def _in_range(shift: Callable[[Any, Any], Any], overflow: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Shifts by the width or more give what shifting one by one would, on every backend."""

    def meaning(x: Any, y: Any) -> Any:
        bits = x.dtype.itemsize * 8
        inside = (y >= 0) & (y < bits)
        return numpy.where(inside, shift(x, numpy.where(inside, y, 0)), overflow(x)).astype(x.dtype)

    return meaning


SHIFT_LEFT = _elementwise(
    "shift_left", _in_range(numpy.left_shift, lambda x: 0 * x), _named("shift_left"), None, None,
    dtypes=lambda d: d.is_integer, symbol="<<",
)  # fmt: skip
SHIFT_RIGHT = _elementwise(
    "shift_right", _in_range(numpy.right_shift, lambda x: numpy.where(x < 0, -1, 0) if x.dtype.kind == "i" else 0 * x),
    _named("shift_right"), None, None, dtypes=lambda d: d.is_integer, symbol=">>",
)  # fmt: skip


def _where_dtype(inputs: tuple[Node, ...], attributes: Any) -> DType:
    condition, yes, no = inputs
    if condition.dtype is not bool_ or yes.dtype is not no.dtype:
        raise RuntimeError(
            f"where: needs a bool condition and two branches of one dtype, got {condition.dtype.name}, "
            f"{yes.dtype.name}, {no.dtype.name}"
        )
    return yes.dtype


WHERE = Op(
    name="where",
    family=Family.ELEMENTWISE,
    shape=_same_shape,
    dtype=_where_dtype,
    numpy=lambda of, c, x, y: numpy.where(c, x, y),
    scalar=lambda c, x, y: scalar.where(c, x, y),
    vjp=(
        None,
        lambda out, g: where(out.inputs[0], g, 0.0),
        lambda out, g: where(out.inputs[0], 0.0, g),
    ),
)

# ---- conversion and identity


def _cast_numpy(of: Node, x: Any) -> Any:
    return x.astype(of.dtype.numpy)


CAST = Op(
    name="cast",
    family=Family.ELEMENTWISE,
    shape=_same_shape,
    dtype=lambda inputs, a: a.dtype,
    numpy=_cast_numpy,
    scalar=lambda x: x,  # the code generator reads the node's dtype: a cast has no expression but its own
    vjp=(lambda out, g: cast(g, out.inputs[0].dtype),),
    linearity=Linearity.JOINT,
)
# The two identities mean something to differentiation only; simplification removes them.
DETACH = _elementwise("detach", lambda x: x, lambda x: x, None, dtypes=_any, cost=0)
LEAF = Op(
    name="leaf",
    family=Family.ELEMENTWISE,
    shape=_same_shape,
    dtype=lambda inputs, a: inputs[0].dtype,
    numpy=lambda of, x: x,
    scalar=lambda x: x,
    vjp=(lambda out, g: g,),
    linearity=Linearity.JOINT,
    cost=0,
)


def add(x: Operand, y: Operand) -> Node:
    return _make(ADD, x, y)


def sub(x: Operand, y: Operand) -> Node:
    return _make(SUB, x, y)


def mul(x: Operand, y: Operand) -> Node:
    return _make(MUL, x, y)


def div(x: Operand, y: Operand) -> Node:
    return _make(DIV, x, y)


def neg(x: Node) -> Node:
    return node(NEG, (x,))


def pow_(x: Operand, y: Operand) -> Node:
    return _make(POW, x, y)


def _square(x: Node) -> Node:
    return mul(x, x)


def maximum(x: Operand, y: Operand) -> Node:
    return _make(MAXIMUM, x, y)


def minimum(x: Operand, y: Operand) -> Node:
    return _make(MINIMUM, x, y)


def remainder(x: Operand, y: Operand) -> Node:
    return _make(REMAINDER, x, y)


def floor_divide(x: Operand, y: Operand) -> Node:
    return _make(FLOOR_DIVIDE, x, y)


def abs_(x: Node) -> Node:
    return node(ABS, (x,))


def sign(x: Node) -> Node:
    return node(SIGN, (x,))


def exp(x: Node) -> Node:
    return node(EXP, (x,))


def expm1(x: Node) -> Node:
    return node(EXPM1, (x,))


def log(x: Node) -> Node:
    return node(LOG, (x,))


def log1p(x: Node) -> Node:
    return node(LOG1P, (x,))


def sqrt(x: Node) -> Node:
    return node(SQRT, (x,))


def rsqrt(x: Node) -> Node:
    return node(RSQRT, (x,))


def sin(x: Node) -> Node:
    return node(SIN, (x,))


def cos(x: Node) -> Node:
    return node(COS, (x,))


def asin(x: Node) -> Node:
    return node(ASIN, (x,))


def acos(x: Node) -> Node:
    return node(ACOS, (x,))


def atan(x: Node) -> Node:
    return node(ATAN, (x,))


def atan2(y: Operand, x: Operand) -> Node:
    return _make(ATAN2, y, x)


def tanh(x: Node) -> Node:
    return node(TANH, (x,))


def erf(x: Node) -> Node:
    return node(ERF, (x,))


def sigmoid(x: Node) -> Node:
    return node(SIGMOID, (x,))


def relu(x: Node) -> Node:
    return node(RELU, (x,))


def floor(x: Node) -> Node:
    return node(FLOOR, (x,))


def ceil(x: Node) -> Node:
    return node(CEIL, (x,))


def trunc(x: Node) -> Node:
    return node(TRUNC, (x,))


def round_(x: Node) -> Node:
    """To the nearest integer, halves to the even one."""
    return node(ROUND, (x,))


def eq(x: Operand, y: Operand) -> Node:
    return _make(EQ, x, y)


def ne(x: Operand, y: Operand) -> Node:
    return _make(NE, x, y)


def lt(x: Operand, y: Operand) -> Node:
    return _make(LT, x, y)


def le(x: Operand, y: Operand) -> Node:
    return _make(LE, x, y)


def bitwise_and(x: Operand, y: Operand) -> Node:
    return _make(BITWISE_AND, x, y)


def bitwise_or(x: Operand, y: Operand) -> Node:
    return _make(BITWISE_OR, x, y)


def bitwise_xor(x: Operand, y: Operand) -> Node:
    return _make(BITWISE_XOR, x, y)


def bitwise_not(x: Node) -> Node:
    """Bits inverted; logical not for bool."""
    return node(BITWISE_NOT, (x,))


def shift_left(x: Operand, y: Operand) -> Node:
    return _make(SHIFT_LEFT, x, y)


def shift_right(x: Operand, y: Operand) -> Node:
    """Arithmetic for signed integers: the sign moves in."""
    return _make(SHIFT_RIGHT, x, y)


def where(condition: Node, x: Operand, y: Operand) -> Node:
    like = x if isinstance(x, Node) else y
    if not isinstance(like, Node):
        raise TypeError("where: at least one branch must be a node")
    lifted = tuple(o if isinstance(o, Node) else constant(o, like.shape, like.dtype, like.device) for o in (x, y))
    return node(WHERE, (condition, *lifted))


def cast(x: Node, dtype: DType) -> Node:
    """The values converted to ``dtype``; floats become integers by truncation."""
    return x if x.dtype is dtype else node(CAST, (x,), CastAttributes(dtype))


def detach(x: Node) -> Node:
    """The same value, through which no derivative passes."""
    return x if x.op is DETACH else node(DETACH, (x,))


def leaf(x: Node) -> Node:
    """The same value as a new node, unique by identity: a parameter is never merged with an equal tensor."""
    return node(LEAF, (x,), LeafAttributes(object()))
