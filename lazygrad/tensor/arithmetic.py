"""Arithmetic on two or three operands: promotion and broadcasting above the primitives.

In: tensors and numbers. Out: a new lazy tensor of the broadcast shape and the promoted dtype. Names, argument
names and results are torch's; ``f_`` is the in-place method of ``f``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lazygrad import ops
from lazygrad.ir.dtype import bool_, float32
from lazygrad.tensor.handle import Handle, is_tensor, wrap
from lazygrad.tensor.inplace import in_place
from lazygrad.tensor.operands import Number, Operand, as_float, pair, result_type, several

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

RoundingMode = Literal["trunc", "floor"] | None


def add(input: Operand, other: Operand, *, alpha: Number = 1) -> Tensor:
    """``input + alpha * other``.

    >>> import lazygrad as lg
    >>> lg.add(lg.tensor([1, 2]), lg.tensor([[10], [20]]), alpha=2)
    tensor([[21, 22],
            [41, 42]])
    """
    x, y = pair("add", input, other)
    if x.dtype is bool_:
        return wrap(ops.bitwise_or(x, y), input, other)
    return wrap(ops.add(x, y if alpha == 1 else ops.mul(y, alpha)), input, other)


def sub(input: Operand, other: Operand, *, alpha: Number = 1) -> Tensor:
    """``input - alpha * other``.

    >>> import lazygrad as lg
    >>> lg.sub(lg.tensor([5, 5]), lg.tensor([1, 2]), alpha=2)
    tensor([3, 1])
    """
    x, y = pair("sub", input, other)
    if x.dtype is bool_:
        raise RuntimeError("sub: subtraction of two bool tensors is not supported; use the ^ or logical_xor operator")
    return wrap(ops.sub(x, y if alpha == 1 else ops.mul(y, alpha)), input, other)


def rsub(input: Operand, other: Operand) -> Tensor:
    """``other - input``."""
    return sub(other, input)


def mul(input: Operand, other: Operand) -> Tensor:
    """``input * other``.

    >>> import lazygrad as lg
    >>> lg.mul(lg.tensor([[1], [2]]), lg.tensor([10, 20]))
    tensor([[10, 20],
            [20, 40]])
    """
    x, y = pair("mul", input, other)
    return wrap(ops.bitwise_and(x, y) if x.dtype is bool_ else ops.mul(x, y), input, other)


def div(input: Operand, other: Operand, *, rounding_mode: RoundingMode = None) -> Tensor:
    """``input / other``; integers are converted to float32 unless ``rounding_mode`` keeps them integers.

    Args:
        input: the dividend.
        other: the divisor.
        rounding_mode: None for true division, "trunc" to round to zero, "floor" to minus infinity.

    >>> import lazygrad as lg
    >>> lg.div(lg.tensor([-7, 7]), 2), lg.div(lg.tensor([-7, 7]), 2, rounding_mode="trunc")
    (tensor([-3.5000,  3.5000]), tensor([-3,  3]))
    """
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        return _truncated_division(input, other)
    if rounding_mode is not None:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    dtype = result_type(input, other)
    return wrap(ops.div(*pair("div", input, other, dtype if dtype.is_float else float32)), input, other)


def _truncated_division(input: Operand, other: Operand) -> Tensor:
    x, y = pair("div", input, other)
    if x.dtype.is_float:
        return wrap(ops.trunc(ops.div(x, y)), input, other, name="Div")
    down = ops.floor_divide(x, y)
    inexact = ops.bitwise_and(ops.ne(ops.remainder(x, y), 0), ops.lt(down, 0))
    return wrap(ops.where(inexact, ops.add(down, 1), down), input, other)


def floor_divide(input: Operand, other: Operand) -> Tensor:
    """``input / other`` rounded to minus infinity, in the operands' common dtype.

    >>> import lazygrad as lg
    >>> lg.floor_divide(lg.tensor([-7, 7]), 2)
    tensor([-4,  3])
    """
    return wrap(ops.floor_divide(*pair("floor_divide", input, other)), input, other)


def remainder(input: Operand, other: Operand) -> Tensor:
    """What ``floor_divide`` leaves: it has the sign of ``other``, as Python's ``%``.

    >>> import lazygrad as lg
    >>> lg.remainder(lg.tensor([-7, 7]), 3), lg.remainder(lg.tensor([-7, 7]), -3)
    (tensor([2, 1]), tensor([-1, -2]))
    """
    return wrap(ops.remainder(*pair("remainder", input, other)), input, other)


def fmod(input: Operand, other: Operand) -> Tensor:
    """What division rounded to zero leaves: it has the sign of ``input``.

    >>> import lazygrad as lg
    >>> lg.fmod(lg.tensor([-7, 7]), 3)
    tensor([-1,  1])
    """
    x, y = pair("fmod", input, other)
    left = ops.remainder(x, y)
    differs = ops.bitwise_and(ops.ne(left, 0), ops.ne(ops.lt(left, 0), ops.lt(x, 0)))
    return wrap(ops.where(differs, ops.sub(left, y), left), input, other, name="Fmod")


def pow(input: Operand, exponent: Operand) -> Tensor:
    """``input ** exponent``.

    >>> import lazygrad as lg
    >>> lg.tensor([2.0, 3.0]) ** 2
    tensor([4., 9.])
    """
    if isinstance(exponent, int) and exponent < 0 and is_tensor(input) and not input.is_floating_point():
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    name = "Pow/1" if isinstance(exponent, Handle) else "Pow"
    return wrap(ops.pow_(*pair("pow", input, exponent)), input, exponent, name=name)


def maximum(input: Operand, other: Operand) -> Tensor:
    """The larger of two values; NaN where one is NaN.

    >>> import lazygrad as lg
    >>> lg.maximum(lg.tensor([1.0, 5.0]), lg.tensor([3.0, float("nan")]))
    tensor([3., nan])
    """
    return wrap(ops.maximum(*pair("maximum", input, other)), input, other)


def minimum(input: Operand, other: Operand) -> Tensor:
    """The smaller of two values; NaN where one is NaN."""
    return wrap(ops.minimum(*pair("minimum", input, other)), input, other)


def clamp(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """``input``, but not below ``min`` and not above ``max``, which are numbers or tensors.

    At a bound that is a number the gradient is zero; a bound that is a tensor shares it, as in ``maximum``.

    >>> import lazygrad as lg
    >>> lg.tensor([-2.0, 0.5, 2.0]).clamp(-1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    given = [bound for bound in (min, max) if bound is not None]
    if not given:
        raise ValueError("clamp: At least one of 'min' or 'max' must not be None")
    x, *bounds = several("clamp", input, *given)
    if min is not None:
        low = bounds.pop(0)
        x = ops.maximum(x, low) if isinstance(min, Handle) else ops.where(ops.le(x, low), low, x)
    if max is not None:
        (high,) = bounds
        x = ops.minimum(x, high) if isinstance(max, Handle) else ops.where(ops.le(high, x), high, x)
    return wrap(x, input, min, max, name="Clamp")


def clamp_min(input: Tensor, min: Operand) -> Tensor:
    """``clamp`` from below."""
    return clamp(input, min)


def clamp_max(input: Tensor, max: Operand) -> Tensor:
    """``clamp`` from above."""
    return clamp(input, None, max)


def lerp(input: Tensor, end: Tensor, weight: Operand) -> Tensor:
    """``input + weight * (end - input)``.

    >>> import lazygrad as lg
    >>> lg.lerp(lg.tensor([0.0, 10.0]), lg.tensor([1.0, 20.0]), 0.25)
    tensor([ 0.2500, 12.5000])
    """
    start, stop, share = several("lerp", input, end, weight)
    return wrap(ops.add(start, ops.mul(share, ops.sub(stop, start))), input, end, weight, name="Lerp")


def addcmul(input: Tensor, tensor1: Operand, tensor2: Operand, *, value: Number = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``.

    >>> import lazygrad as lg
    >>> lg.addcmul(lg.zeros(2), lg.tensor([1.0, 2.0]), lg.tensor([3.0, 4.0]), value=0.5)
    tensor([1.5000, 4.0000])
    """
    x, a, b = several("addcmul", input, tensor1, tensor2)
    product = ops.mul(a, b)
    return wrap(
        ops.add(x, product if value == 1 else ops.mul(product, value)),
        input,
        tensor1,
        tensor2,
        name="Addcmul",
    )


def addcdiv(input: Tensor, tensor1: Operand, tensor2: Operand, *, value: Number = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``.

    >>> import lazygrad as lg
    >>> lg.addcdiv(lg.zeros(2), lg.tensor([1.0, 2.0]), lg.tensor([4.0, 4.0]))
    tensor([0.2500, 0.5000])
    """
    x, a, b = (as_float(node) for node in several("addcdiv", input, tensor1, tensor2))
    quotient = ops.div(a if value == 1 else ops.mul(a, value), b)
    return wrap(ops.add(x, quotient), input, tensor1, tensor2, name="Addcdiv")


def atan2(input: Operand, other: Operand) -> Tensor:
    """The angle of the point (other, input), in radians from -pi to pi."""
    dtype = result_type(input, other)
    return wrap(ops.atan2(*pair("atan2", input, other, dtype if dtype.is_float else float32)), input, other)


def hypot(input: Operand, other: Operand) -> Tensor:
    """``sqrt(input**2 + other**2)``.

    >>> import lazygrad as lg
    >>> lg.hypot(lg.tensor([3.0]), lg.tensor([4.0]))
    tensor([5.])
    """
    x, y = pair("hypot", input, other)
    return wrap(ops.sqrt(ops.add(ops.mul(x, x), ops.mul(y, y))), input, other, name="Hypot")


def logaddexp(input: Operand, other: Operand) -> Tensor:
    """``log(exp(input) + exp(other))`` without leaving the dtype's range.

    >>> import lazygrad as lg
    >>> lg.logaddexp(lg.tensor([1000.0]), lg.tensor([1000.0]))
    tensor([1000.6932])
    """
    x, y = pair("logaddexp", input, other)
    # One comparison decides both parts, so that their sum has its derivatives, of any order, also where x equals y.
    less = ops.lt(x, y)
    top = ops.where(less, y, x)
    gap = ops.where(less, ops.sub(x, y), ops.sub(y, x))
    # The difference of equal infinities is not a number.
    gap = ops.where(ops.bitwise_and(ops.eq(x, y), ops.ne(gap, gap)), 0.0, gap)
    return wrap(ops.add(top, ops.log1p(ops.exp(gap))), input, other, name="Logaddexp")


subtract, multiply, divide, true_divide, clip, arctan2 = sub, mul, div, div, clamp, atan2

add_, sub_, mul_, div_ = in_place(add), in_place(sub), in_place(mul), in_place(div)
floor_divide_, remainder_, fmod_, pow_ = (
    in_place(floor_divide),
    in_place(remainder),
    in_place(fmod),
    in_place(pow),
)
clamp_, clamp_min_, clamp_max_, lerp_ = (
    in_place(clamp),
    in_place(clamp_min),
    in_place(clamp_max),
    in_place(lerp),
)
addcmul_, addcdiv_, atan2_ = in_place(addcmul), in_place(addcdiv), in_place(atan2)
