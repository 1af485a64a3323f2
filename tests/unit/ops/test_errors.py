"""Primitives refuse what has no meaning, at once, and say what was given."""

import pytest

from lazygrad import ops
from lazygrad.ir.dtype import bool_, float32, float64, int32, int64
from lazygrad.ir.op import Family, Op
from lazygrad.ops.movement import Padding, Range, Window


def x(*shape, dtype=float32):
    return ops.placeholder(shape, dtype, "numpy:0")


REFUSED = [
    (lambda: ops.add(x(2), x(3)), RuntimeError, r"needs inputs of one shape, got \[2\], \[3\]"),
    (lambda: ops.add(x(2), x(2, dtype=float64)), RuntimeError,
        "add: inputs must have one dtype, got float32, float64"),
    (lambda: ops.exp(x(2, dtype=int64)), RuntimeError, "exp is not defined for dtype int64"),
    (lambda: ops.bitwise_and(x(2), x(2)), RuntimeError, "bitwise_and is not defined for dtype float32"),
    (lambda: ops.shift_left(x(2, dtype=bool_), x(2, dtype=bool_)), RuntimeError, "not defined for dtype bool"),
    (lambda: ops.where(x(2), x(2), x(2)), RuntimeError, "where: needs a bool condition .* got float32"),
    (lambda: ops.where(x(2, dtype=bool_), 1, 2), TypeError, "at least one branch must be a node"),
    (lambda: ops.reshape(x(2, 3), (4,)), RuntimeError, r"reshape: shape \[4\] is invalid for input of size 6"),
    (lambda: ops.permute(x(2, 3), (0, 0)), RuntimeError, r"permute: \[0, 0\] is no permutation of the 2 axes"),
    (lambda: ops.expand(x(2, 3), (2, 4)), RuntimeError, r"expand: shape \[2, 3\] cannot be expanded to \[2, 4\]"),
    (lambda: ops.expand(x(3), (2, 3)), RuntimeError, "cannot be expanded"),
    (lambda: ops.pad(x(2), (Padding(-2, -1),)), RuntimeError, "cuts more than"),
    (lambda: ops.slice_(x(3), (Range(0, 4),)), RuntimeError, r"slice: \(0, 4, 1\) does not lie within"),
    (lambda: ops.slice_(x(3), (Range(-1, 2),)), RuntimeError, "does not lie within"),
    (lambda: ops.slice_(x(3), (Range(0, 2, 0),)), RuntimeError, "does not lie within"),
    (lambda: ops.windows(x(4), (Window(0, 3, 1, 2),)), RuntimeError, "a window of 3 with dilation 2 does not fit"),
    (lambda: ops.max_(x(0, 3), (0,)), IndexError, r"max: cannot reduce over an axis of extent 0 \(shape \[0, 3\]\)"),
    (lambda: ops.argmin(x(0), 0), IndexError, "argmin: cannot reduce over an axis of extent 0"),
    (lambda: ops.contract(x(2, 3), (0, 1), x(4, 5), (1, 2), (0, 2)), RuntimeError, "share has extents 3 and 4"),
    (lambda: ops.contract(x(2), (0,), x(2), (0,), (1,)), RuntimeError, r"result labels \[1\] are in neither operand"),
    (lambda: ops.contract(x(2, 2), (0, 0), x(2), (0,), ()), RuntimeError, "does not label each axis"),
    (lambda: ops.contract(x(2), (0,), x(2, dtype=float64), (0,), ()), RuntimeError,
        "one numeric dtype, got float32 and"),
    (lambda: ops.contract(x(2, dtype=bool_), (0,), x(2, dtype=bool_), (0,), ()), RuntimeError, "one numeric dtype"),
    (lambda: ops.gather(x(3), x(3, dtype=int32), 0), RuntimeError, "gather: index must be int64, got int32"),
    (lambda: ops.gather(x(3, 2), x(3, 4, dtype=int64), 0), RuntimeError,
        "all extents but that of axis 0 must be equal"),
    (lambda: ops.scatter(x(3), x(2, dtype=int64), x(4), 0, "add"), RuntimeError, "must have one shape"),
    (lambda: ops.scatter(x(3), x(2, dtype=int64), x(2, dtype=float64), 0, "set"), RuntimeError,
        "must have one dtype"),
    (lambda: ops.random_bits(x(2, dtype=int64), x(dtype=int64), (3,)), RuntimeError, "must be int64 scalars"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[message[:40] for _, _, message in REFUSED])
def test_refusals(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_what_changes_nothing_makes_no_node():
    a = x(2, 3)
    assert ops.reshape(a, (2, 3)) is a
    assert ops.permute(a, (0, 1)) is a
    assert ops.expand(a, (2, 3)) is a
    assert ops.pad(a, (Padding(0, 0), Padding(0, 0))) is a
    assert ops.slice_(a, (Range(0, 2), Range(0, 3))) is a
    assert ops.flip(a, ()) is a
    assert ops.windows(a, ()) is a
    assert ops.sum_(a, ()) is a
    assert ops.cast(a, float32) is a
    assert ops.detach(ops.detach(a)) is ops.detach(a)


def test_shapes():
    a = x(2, 3, 4)
    assert ops.sum_(a, (0, 2)).shape == (3,)
    assert ops.windows(a, (Window(1, 2), Window(2, 2, 2))).shape == (2, 2, 2, 2, 2)
    assert ops.pad(a, (Padding(1, 2, 1), Padding(0, 0), Padding(-1, 0))).shape == (6, 3, 3)
    assert ops.contract(x(5, 3), (0, 1), x(3, 7), (1, 2), (2, 0)).shape == (7, 5)
    assert ops.lt(a, 0.0).dtype is bool_
    assert ops.argmax(a, 1).dtype is int64


def test_an_operation_must_be_declared_completely():
    fields = {"shape": lambda i, a: (), "dtype": lambda i, a: float32, "numpy": lambda of: 0, "vjp": ()}
    with pytest.raises(TypeError, match="elementwise op 'half' is declared without its scalar expression"):
        Op(name="half", family=Family.ELEMENTWISE, **fields)
    with pytest.raises(TypeError, match="movement op 'half' is declared without its index map"):
        Op(name="half", family=Family.MOVEMENT, **fields)
    with pytest.raises(TypeError, match="op 'add' is declared twice"):
        Op(name="add", family=Family.SOURCE, **fields)
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'vjp'"):
        Op(name="half", family=Family.SOURCE, **{name: value for name, value in fields.items() if name != "vjp"})
