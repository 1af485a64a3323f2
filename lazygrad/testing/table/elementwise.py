"""Elementwise rows: every function in every dtype, on odd sizes, views, broadcasts and edge values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy

from lazygrad import ops
from lazygrad.ir.dtype import DType, bool_, float32, float64, int32, int64
from lazygrad.ir.node import topological
from lazygrad.ops.identity import LEAF
from lazygrad.ops.recomputation import Region
from lazygrad.testing import values
from lazygrad.testing.row import (
    ALL,
    EXACT,
    FLOATS,
    INTEGERS,
    NUMBERS,
    ROUNDED,
    TRANSCENDENTAL,
    Case,
    Look,
    Row,
    Tolerance,
    case,
    data,
    mask,
    tensor,
)
from lazygrad.testing.values import Domain, between, edge_pairs, nonzero, normal, positive

# 0 dimensions, nothing, one, and sizes around the widths of vectors.
SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (7,), (8,), (9,), (17,), (33,), (3, 1, 5), (0, 4), (2, 129))


def _transposed(m: Any, x: Any) -> Any:
    return x.permute(1, 0)


def _every_second(m: Any, x: Any) -> Any:
    return x[1::2]


def _flipped(m: Any, x: Any) -> Any:
    return x.flip(0)


def _expanded(m: Any, x: Any) -> Any:
    return x.expand(4, 9)


_VIEWS: tuple[tuple[tuple[int, ...], Look], ...] = (
    ((5, 7), _transposed), ((19,), _every_second), ((9, 3), _flipped), ((1, 9), _expanded),
)  # fmt: skip
_BROADCASTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3, 5), (5,)), ((4, 1), (1, 7)), ((2, 3, 9), (3, 1)), ((8,), ()), ((), (2, 2)), ((0, 3), (1,)),
)  # fmt: skip


def unary_cases(domain: Domain, name: str = "") -> tuple[Case, ...]:
    """One input: every shape and view for the function whose name is empty, two of them for each other one.

    How elements are reached does not depend on the function, and each shape is one more kernel to compile; so the
    functions take turns.
    """
    cases = tuple(case(tensor(*shape, domain=domain)) for shape in SHAPES)
    cases += tuple(case(tensor(*shape, domain=domain, look=look)) for shape, look in _VIEWS)
    return cases if not name else (case(tensor(33, domain=domain)), cases[crc32(name.encode()) % len(cases)])


def binary_cases(left: Domain, right: Domain, name: str = "") -> tuple[Case, ...]:
    """Two inputs: all shapes, broadcasts and views, or two of them; see :func:`unary_cases`."""
    pairs = (*((shape, shape) for shape in SHAPES), *_BROADCASTS)
    cases = (
        *(case(tensor(*a, domain=left), tensor(*b, domain=right)) for a, b in pairs),
        case(tensor(5, 7, domain=left, look=_transposed), tensor(7, 5, domain=right)),
        case(tensor(19, domain=left, look=_every_second), tensor(9, domain=right, look=_flipped)),
    )
    if not name:
        return cases
    chosen = cases[crc32(name.encode()) % len(cases)]
    return (case(tensor(3, 11, domain=left), tensor(11, domain=right)), chosen)


def _edges(dtype: DType) -> tuple[Case, ...]:
    return (case(data(values.edges(dtype))),)


# Where an argument's reduction by pi/2 needs another part of 2/pi each time. Not the numbers nearest to multiples of
# pi/2: the reference itself is off by several units in the last place at the worst.
_LARGE_ANGLES = tuple(10.0**exponent for exponent in range(15, 309, 21))


def _angles(dtype: DType) -> tuple[Case, ...]:
    """All edge values, and large numbers between them."""
    large = [angle for angle in _LARGE_ANGLES if angle < values.limits_of(dtype).max]
    return (case(data(numpy.concatenate([values.edges(dtype), numpy.array(large).astype(dtype.numpy)]))),)


def _pairs(dtype: DType) -> tuple[Case, ...]:
    left, right = edge_pairs(dtype)
    return (case(data(left), data(right)),)


def _divisor_pairs(dtype: DType) -> tuple[Case, ...]:
    """Without division of an integer by zero, or of the smallest by -1, which have no answer."""
    left, right = edge_pairs(dtype)
    if dtype.is_integer:
        fine = (right != 0) & ~((right == -1) & (left == dtype.minimum))
        left, right = left[fine], right[fine]
    return (case(data(left), data(right)),)


def unary(name: str, domain: Domain = normal, tolerance: Tolerance = TRANSCENDENTAL, **fields: Any) -> Row:
    """A row for a function of one tensor, by its name in the namespace."""
    function: Callable[..., Any] = fields.pop("function", lambda m, x: getattr(m, name)(x))
    fields.setdefault("edge_cases", _edges)
    return Row(name=name, function=function, cases=unary_cases(domain, name), tolerance=tolerance, **fields)


def binary(
    name: str,
    function: Callable[..., Any],
    left: Domain = normal,
    right: Domain = normal,
    tolerance: Tolerance = ROUNDED,
    **fields: Any,
) -> Row:
    """A row for a function of two tensors."""
    fields.setdefault("edge_cases", _pairs)
    return Row(name=name, function=function, cases=binary_cases(left, right, name), tolerance=tolerance, **fields)


_UNIT = between(-0.9, 0.9)
_TRANSCENDENTAL = (
    unary("exp"), unary("expm1"), unary("log", positive), unary("log1p", positive), unary("sin", edge_cases=_angles),
    unary("cos", edge_cases=_angles),
    unary("tan", _UNIT, Tolerance(16, tiny=True), edge_cases=_angles),
    unary("asin", _UNIT), unary("acos", _UNIT), unary("atan"),
    unary("sinh", _UNIT, Tolerance(16, tiny=True)), unary("cosh", _UNIT, Tolerance(16, tiny=True)),
    unary("tanh"), unary("erf"), unary("sigmoid"),
    unary("log2", positive, Tolerance(16, 16)), unary("exp2", normal, Tolerance(1024, tiny=True)),
    unary("log10", positive, Tolerance(16, 16)), unary("erfc", _UNIT, Tolerance(16, 16, tiny=True)),
)  # fmt: skip
_ALGEBRAIC = (
    unary("sqrt", positive, ROUNDED), unary("rsqrt", positive, Tolerance(3, tiny=True)),
    unary("reciprocal", nonzero, ROUNDED), unary("square", normal, ROUNDED),
    unary("abs", nonzero, EXACT, dtypes=NUMBERS), unary("neg", normal, EXACT, dtypes=NUMBERS),
    unary("sign", nonzero, EXACT, dtypes=NUMBERS, gradients=False, signed_zeros=False),
    unary("relu", nonzero, EXACT, dtypes=NUMBERS, function=lambda m, x: m.relu(x), second_order=False),
    *(unary(name, values.apart, EXACT, gradients=False) for name in ("floor", "ceil", "trunc", "round")),
)  # fmt: skip
_LOGIC = (
    unary("isnan", tolerance=EXACT, gradients=False), unary("isinf", tolerance=EXACT, gradients=False),
    unary("isfinite", tolerance=EXACT, gradients=False),
    unary("logical_not", tolerance=EXACT, gradients=False, dtypes=ALL),
    unary("bitwise_not", tolerance=EXACT, gradients=False, dtypes=(bool_, *INTEGERS)),
)  # fmt: skip


def _compare(name: str) -> Row:
    return binary(
        name, lambda m, x, y: getattr(m, name)(x, y), values.ties, values.ties, EXACT, dtypes=ALL, gradients=False
    )  # fmt: skip


def _bitwise(name: str) -> Row:
    return binary(
        f"bitwise_{name}", lambda m, x, y: getattr(m, f"bitwise_{name}")(x, y), tolerance=EXACT,
        dtypes=(bool_, *INTEGERS), gradients=False,
    )  # fmt: skip


_BINARY = (
    binary("add", lambda m, x, y: x + y, dtypes=ALL),
    binary("sub", lambda m, x, y: x - y, dtypes=NUMBERS),
    binary("mul", lambda m, x, y: x * y, dtypes=ALL),
    binary("div", lambda m, x, y: x / y, normal, nonzero),
    binary(
        "pow", lambda m, x, y: x**y, positive, between(0, 3), Tolerance(16, tiny=True), dtypes=NUMBERS,
        edge_cases=lambda dtype: _pairs(dtype) if dtype.is_float else (),
    ),
    binary("maximum", lambda m, x, y: m.maximum(x, y), tolerance=EXACT, dtypes=ALL, second_order=False,
           signed_zeros=False),
    binary("minimum", lambda m, x, y: m.minimum(x, y), tolerance=EXACT, dtypes=ALL, second_order=False,
           signed_zeros=False),
    binary("remainder", lambda m, x, y: m.remainder(x, y), nonzero, nonzero, Tolerance(4, 4), dtypes=NUMBERS,
           edge_cases=lambda dtype: () if dtype.is_float else _divisor_pairs(dtype), second_order=False),
    binary("floor_divide", lambda m, x, y: m.floor_divide(x, y), nonzero, nonzero, EXACT, dtypes=NUMBERS,
           edge_cases=lambda dtype: () if dtype.is_float else _divisor_pairs(dtype), gradients=False),
    binary("atan2", lambda m, x, y: m.atan2(x, y), nonzero, nonzero, TRANSCENDENTAL),
    *map(_compare, ("eq", "ne", "lt", "le", "gt", "ge")),
    *map(_bitwise, ("and", "or", "xor")),
    binary("shift_left", lambda m, x, y: x << y, between(0, 9), between(0, 6), EXACT, dtypes=INTEGERS,
        gradients=False,
           edge_cases=lambda dtype: ()),
    binary("shift_right", lambda m, x, y: x >> y, normal, between(0, 6), EXACT, dtypes=INTEGERS, gradients=False,
           edge_cases=lambda dtype: ()),
    *(binary(name, lambda m, x, y, name=name: getattr(m, name)(x, y), tolerance=EXACT, dtypes=ALL, gradients=False)
      for name in ("logical_and", "logical_or", "logical_xor")),
)  # fmt: skip


def _cast(target: DType) -> Row:
    """From every dtype to one; floats stay in the range of integers, outside of which there is no answer."""
    name = target.name
    return Row(
        name=f"to_{name}",
        function=lambda m, x: x.to(getattr(m, name)),
        cases=unary_cases(between(0, 100) if target.is_integer else normal, name),
        edge_cases=lambda dtype: _edges(dtype) if not (dtype.is_float and target.is_integer) else (
            case(data([0.0, -0.0, 0.5, 0.999, 1.5, 100.75] + ([-0.5, -1.5, -100.75] if target.is_signed else []))),
        ),
        dtypes=ALL,
        tolerance=EXACT,
        gradients=target is float64,
    )  # fmt: skip


def _where_edges(dtype: DType) -> tuple[Case, ...]:
    left, right = edge_pairs(dtype)
    return (case(data([True, False] * (len(left) // 2) + [True] * (len(left) % 2), bool_), data(left), data(right)),)


_OTHER = (
    Row(name="shapes and views", function=lambda m, x: x * 2 + 1, cases=unary_cases(normal), dtypes=(float32, int64)),
    Row(name="shapes and broadcasts", function=lambda m, x, y: x * y - x, cases=binary_cases(normal, normal),
        dtypes=(float32, int32), tolerance=Tolerance(2, 2)),
    Row(
        name="where",
        function=lambda m, c, x, y: m.where(c, x, y),
        cases=(
            case(mask(7), tensor(7), tensor(7)), case(mask(3, 1), tensor(5), tensor(3, 5)),
            case(mask(), tensor(4), tensor(1)), case(mask(0, 3), tensor(3), tensor(0, 3)),
        ),
        edge_cases=_where_edges, dtypes=ALL, tolerance=EXACT,
    ),
    Row(
        name="clamp",
        function=lambda m, x, **limits: x.clamp(**limits),
        cases=tuple(
            case(tensor(*shape, domain=values.apart), **limits)
            for shape in ((3, 5),) for limits in ({"min": 0}, {"max": 1}, {"min": -1, "max": 1})
        ),
        edge_cases=lambda dtype: (case(data(values.edges(dtype)), min=-1 if dtype.is_signed else 0, max=2),),
        dtypes=tuple(d for d in NUMBERS if d.is_signed), tolerance=EXACT, second_order=False, signed_zeros=False,
    ),
    Row(
        name="numbers beside tensors",
        function=lambda m, x: (2 * x + 1, x - 3, 1 - x, x * 2, 2.5 * x, x + True),
        cases=(case(tensor(9)), case(tensor())),
        dtypes=tuple(d for d in NUMBERS if d.is_signed),
    ),
    Row(
        name="powers by numbers",
        function=lambda m, x: (x**2, x**3, x**0.5, x**-1.0, 2.0**x),
        cases=(case(tensor(9, domain=positive)),), tolerance=Tolerance(16),
    ),
    Row(
        name="dtypes that meet",
        function=lambda m, x, i, c: (x + i, x * c, i + c, x > i, i / 2),
        cases=(case(tensor(5), data([1, -2, 3, 0, 5], int64), mask(5)),),
        dtypes=FLOATS,
    ),
    Row(
        name="a chain with shared parts",
        function=lambda m, x: m.tanh(2 * x + 1) * m.sigmoid(x) - 0.01 * m.exp(x) * m.sigmoid(x),
        cases=(case(tensor(33)), case(tensor(3, 17, domain=normal))),
        dtypes=(float32, float64), tolerance=Tolerance(16, 16),
    ),
    Row(
        name="detach", function=lambda m, x: x * x.detach(), cases=(case(tensor(9)),), dtypes=NUMBERS,
        gradients=False,
    ),
    Row(
        name="checkpoint", function=lambda m, x, y: _checkpointed(m, m.tanh(x * y).exp() * x),
        cases=(case(tensor(33), tensor(33)), case(tensor(3, 17), tensor(3, 17))),
        dtypes=(float32, float64), torch=False, tolerance=Tolerance(16, 16),
    ),
)  # fmt: skip


def _checkpointed(m: Any, result: Any) -> Any:
    """A result as that of a region, also where nothing is differentiated."""
    from lazygrad.tensor.handle import wrap

    node = result._enter()
    inside = [each for each in topological([node]) if each.inputs and each.op is not LEAF]
    return wrap(ops.checkpoint(node, Region(inside)), result)


ROWS: tuple[Row, ...] = (
    *_TRANSCENDENTAL,
    *_ALGEBRAIC,
    *_LOGIC,
    *_BINARY,
    *map(_cast, ALL),
    *_OTHER,
)
