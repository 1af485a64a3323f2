"""Elementwise functions: values and gradients against torch."""

import math

import numpy
import pytest

import lazygrad as lg
from unit.tensor.against_torch import agree, agree_to_order, numbers, torch

ANYWHERE = "abs neg sign square exp exp2 expm1 sin cos tan atan sinh cosh tanh asinh erf erfc sigmoid relu floor ceil"
ANYWHERE += " trunc frac round positive isnan isinf isfinite logical_not"
POSITIVE = "log log2 log10 log1p sqrt rsqrt reciprocal"
BETWEEN = "asin acos atanh"
BINARY = "add sub mul div maximum minimum atan2 hypot logaddexp eq ne lt le gt ge"
INTEGER = "add sub mul div floor_divide remainder fmod maximum minimum bitwise_and bitwise_or bitwise_xor logical_and"
INTEGER += " logical_or logical_xor eq lt"


@pytest.mark.parametrize("name", ANYWHERE.split())
def test_functions_of_any_number(name):
    agree(lambda lib, x: getattr(lib, name)(x), numbers(3, 4))


@pytest.mark.parametrize("name", POSITIVE.split())
def test_functions_of_positive_numbers(name):
    agree(lambda lib, x: getattr(lib, name)(x), numbers(3, 4, low=0.1, high=5))


@pytest.mark.parametrize("name", BETWEEN.split())
def test_functions_of_small_numbers(name):
    agree(lambda lib, x: getattr(lib, name)(x), numbers(3, 4, low=-0.9, high=0.9))


def test_acosh():
    agree(lambda lib, x: lib.acosh(x), numbers(5, low=1.1, high=4))


@pytest.mark.parametrize("name", ["sinh", "asinh", "atanh", "expm1", "log1p", "erf", "tanh"])
def test_functions_are_exact_near_zero(name):
    x = numpy.array([1e-12, -1e-9, 0.0])
    agree(lambda lib, x: getattr(lib, name)(x), x, gradients=False, tolerance=1e-15)


@pytest.mark.parametrize("name", BINARY.split())
@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 3)), ((2, 1, 3), (4, 1))])
def test_functions_of_two_tensors_broadcast(name, shapes):
    agree(lambda lib, x, y: getattr(lib, name)(x, y), numbers(*shapes[0], seed=1), numbers(*shapes[1], seed=2))


@pytest.mark.parametrize("name", INTEGER.split())
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_functions_of_integers(name, dtype):
    low = 0 if dtype == "uint8" else -9
    x = numpy.random.default_rng(0).integers(low, 9, (4, 5)).astype(dtype)
    y = numpy.where((other := numpy.random.default_rng(1).integers(low, 9, (4, 5))) == 0, 3, other).astype(dtype)
    agree(lambda lib, x, y: getattr(lib, name)(x, y), x, y)


@pytest.mark.parametrize("mode", [None, "trunc", "floor"])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_division_with_rounding(mode, dtype):
    x = numpy.array([-7, 7, -8, 8, 0], dtype)
    y = numpy.array([2, -2, 2, -2, 3], dtype)
    agree(lambda lib, x, y: lib.div(x, y, rounding_mode=mode), x, y, gradients=False)


def test_remainders_have_the_sign_of_divisor_or_dividend():
    x, y = numpy.array([-7.5, 7.5, -8.0, 8.0]), numpy.array([2.0, -2.0, 2.0, -2.0])
    agree(lambda lib, x, y: (lib.remainder(x, y), lib.fmod(x, y)), x, y, gradients=False)
    agree(lambda lib, x: (x % 3, 3 % x, x // 2, 7 // x), x, gradients=False)
    agree(lambda lib, x: x % 3, x)


def test_operators_and_reflected_operators():
    agree(lambda lib, x: (x + 1, 1 + x, x - 1, 1 - x, x * 2, 2 * x, x / 2, 2 / x, -x, +x, abs(x)), numbers(3))
    agree(lambda lib, x: (x**2, x**3, x**-1, 2**x, x**0), numbers(4))
    agree(lambda lib, x: (x & 3, 3 | x, x ^ 5, ~x, x << 1, x >> 1), numpy.arange(-4, 5))
    agree(lambda lib, x: (x < 0, x > 0, x >= 1, x == 2, x != 2), numbers(3))


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1.5, 0, 1, 2.0])
def test_powers(exponent):
    agree(lambda lib, x: x**exponent, numbers(5, low=0.2, high=3))
    agree(lambda lib, x, y: lib.pow(x, y), numbers(5, low=0.2, high=3), numbers(5, seed=3))


def test_powers_of_integers():
    agree(lambda lib, x: (x**2, x**3, 2 ** x.abs()), numpy.arange(-3, 4))
    with pytest.raises(RuntimeError, match="Integers to negative integer powers"):
        lg.arange(3) ** -1


def test_clamp():
    x = numpy.array([-2.0, -1.0, 0.3, 1.0, 5.0, numpy.nan])
    agree(lambda lib, x: (x.clamp(-1, 1), x.clamp(min=0), x.clamp(max=0.5), x.clip(-1, 1)), x, gradients=False)
    agree(lambda lib, x: (x.clamp(-1, 1), x.clamp(min=0), x.clamp(max=0.5), x.clip(-1, 1)), numbers(7))
    agree(lambda lib, x, low: x.clamp(min=low), numbers(4), numbers(4, seed=5))
    agree(lambda lib, x: x.clamp(-1, 2), numpy.arange(-3, 4))
    with pytest.raises(ValueError, match="At least one of"):
        lg.ones(2).clamp()


def test_three_operands():
    a, b, c = numbers(3, 4), numbers(4, seed=1), numbers(3, 1, seed=2)
    agree(lambda lib, a, b, c: lib.addcmul(a, b, c, value=0.5), a, b, c)
    agree(lambda lib, a, b, c: lib.addcdiv(a, b, c, value=2), a, b, c)
    agree(lambda lib, a, b: lib.lerp(a, b, 0.3), a, a + 1)
    agree(lambda lib, a, b, c: lib.where(a > 0, b, c), a, b, c)
    agree(lambda lib, a: (lib.where(a > 0, a, 0.0), lib.where(a > 0, 1, 2)), a)
    agree(lambda lib, a, b: (lib.add(a, b, alpha=2), lib.sub(a, b, alpha=3)), a, b)


def test_rounding_to_decimals():
    agree(lambda lib, x: (x.round(decimals=1), x.round(decimals=-1), x.round()), numbers(20) * 20, gradients=False)
    agree(lambda lib, x: (x.round(), x.floor(), x.trunc()), numpy.arange(5))


def test_bools():
    x, y = numpy.array([True, True, False, False]), numpy.array([True, False, True, False])
    agree(
        lambda lib, x, y: (x + y, x * y, x & y, x | y, x ^ y, ~x, x == y, x + 1, x * 2.5, x / y), x, y, gradients=False
    )
    with pytest.raises(RuntimeError, match="logical_xor"):
        lg.tensor([True]) - lg.tensor([True])
    with pytest.raises(RuntimeError, match="bool"):
        -lg.tensor([True])


def test_infinities_and_nan():
    x = numpy.array([numpy.inf, -numpy.inf, numpy.nan, 0.0, -0.0, 1.0])
    for name in [
        "exp",
        "log",
        "abs",
        "sign",
        "sqrt",
        "relu",
        "sigmoid",
        "tanh",
        "isnan",
        "isinf",
        "isfinite",
        "floor",
        "reciprocal",
    ]:
        agree(lambda lib, x, name=name: getattr(lib, name)(x), x, gradients=False)
    agree(
        lambda lib, x: (lib.logaddexp(x, x), lib.maximum(x, x.flip(0)), lib.minimum(x, x.flip(0))), x, gradients=False
    )


def test_derivatives_of_logaddexp_at_equals_and_far_from_them():
    x = numpy.array([0.0, 0.0, 1.5, -3, 7, 40, 300, 5])
    y = numpy.array([0.0, -0.0, 1.5, -3, 7, -40, -300, 5 + 1e-9])
    agree_to_order(3, lambda lib, x, y: lib.logaddexp(x, y), x, y)


def test_closeness():
    x, y = numpy.array([1.0, 2.0, numpy.nan, numpy.inf]), numpy.array([1.0 + 1e-7, 2.1, numpy.nan, numpy.inf])
    agree(lambda lib, x, y: (lib.isclose(x, y), lib.isclose(x, y, equal_nan=True)), x, y, gradients=False)
    agree(
        lambda lib, x, y: (lib.allclose(x, y), lib.allclose(x[:1], y[:1]), lib.equal(x, y), lib.equal(x, y[:1])), x, y
    )
    agree(lambda lib, x: lib.allclose(x, x + 1), numpy.arange(3))


def test_a_numpy_scalar_counts_as_a_python_number():
    assert (lg.ones(2) * numpy.float64(2)).dtype is lg.float32
    assert (lg.ones(2, dtype=lg.int64) + numpy.int32(2)).dtype is lg.int64


def test_float_functions_convert_integers():
    agree(lambda lib, x: (x.exp(), x.sqrt(), x.sin(), x.sigmoid()), numpy.arange(4), tolerance=1e-6)
    assert lg.tensor([1, 2]).sqrt().dtype is lg.float32


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError, match="without overflow"):
        lg.ones(2, dtype=lg.uint8) + 300
    assert (lg.ones(2, dtype=lg.uint8) + -1).tolist() == [0, 0]


def test_other_operands_are_refused():
    with pytest.raises(TypeError):
        lg.ones(2) + "1"
    with pytest.raises(TypeError):
        lg.ones(2) @ 2
    assert (lg.ones(2) == None) is False  # noqa: E711
    assert math.isclose(float(torch.tensor(1.0)), float(lg.tensor(1.0)))
