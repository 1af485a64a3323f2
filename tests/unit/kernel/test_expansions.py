"""Each expansion against a wider format: the stated error bound, the edges, and the shape of its expression.

With and without fused multiply-add, because compilers may contract a product and a sum, or not.
"""

import math

import mpmath
import numpy
import pytest

from lazygrad.ir.dtype import bool_, float32, float64
from lazygrad.ir.value import leaf
from lazygrad.kernel.expansions import EXPANSIONS
from lazygrad.kernel.expansions.two_over_pi import KNOWN_BITS, two_over_pi
from unit.kernel.evaluation import evaluate, inputs, topological

SAMPLES = 2000
TWO_ARGUMENTS = ("atan2", "floor_divide", "fmod", "pow", "remainder")
INF, NAN = math.inf, math.nan
WIDE = numpy.longdouble
# Where long double is no wider than double, the reference itself is off by about one.
REFERENCE_ERROR = 0.01 if numpy.finfo(WIDE).nmant >= 63 else 1.0
# Beyond this the documented result is nan.
QUOTIENT_LIMIT = 2.0**49
# Enough for the last bit of the fraction of the largest double over pi/2.
BITS_OF_PI = 1400


def sigmoid(x):
    small = numpy.exp(-abs(x))
    return numpy.where(x < 0, small, 1) / (1 + small)


def erf(x):
    return numpy.array([math.erf(v) for v in x], WIDE)


def remainder(x, y):
    rest = numpy.fmod(x, y)
    return numpy.where((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)


REFERENCES = {
    "acos": numpy.arccos,
    "asin": numpy.arcsin,
    "atan": numpy.arctan,
    "atan2": numpy.arctan2,
    "erf": erf,
    "pow": numpy.power,
    "remainder": remainder,
    "round": numpy.rint,
    "rsqrt": lambda x: 1 / numpy.sqrt(x),
    "sigmoid": sigmoid,
}


def run(name, *arguments, fuse=False):
    values, known = inputs(*arguments)
    return evaluate([EXPANSIONS[name].function(*values)], known, fuse)[0]


def one(name, *numbers, dtype="float32"):
    return float(run(name, *(numpy.array([number], dtype) for number in numbers))[0])


def edges(dtype):
    limits = numpy.finfo(dtype)
    positive = [
        0.0, 1.0, 0.5, 2.0, 3.0, 1.5, 2.5, 1e30, 1e-30, INF,
        limits.max, limits.tiny, limits.smallest_subnormal, 5 * limits.smallest_subnormal,
        1 - limits.epsneg, 1 + limits.eps, 87.5, 88.8, 89.3, 103.5, 709.5, 710.3, 745.0,
    ]  # fmt: skip
    with numpy.errstate(over="ignore"):
        return numpy.array([*positive, *(-v for v in positive), NAN], dtype)


def sample(dtype, seed):
    """Random bits of the format, ranges where the functions live, and the edges."""
    rng = numpy.random.default_rng(seed)
    bits = numpy.dtype(f"int{numpy.dtype(dtype).itemsize * 8}")
    signs = rng.choice([-1, 1], SAMPLES)
    largest = 110 if bits.itemsize == 4 else 750
    parts = [
        rng.integers(numpy.iinfo(bits).min, numpy.iinfo(bits).max, SAMPLES, bits).view(dtype),
        rng.uniform(-largest, largest, SAMPLES),
        rng.uniform(-10, 10, SAMPLES),
        rng.uniform(-1.2, 1.2, SAMPLES),
        1 + rng.uniform(-0.01, 0.01, SAMPLES),
        signs * numpy.exp2(rng.uniform(-30, 20, SAMPLES)),
        numpy.round(rng.uniform(0, 2**16, SAMPLES)) * math.pi / 4,
        edges(dtype),
    ]
    return numpy.concatenate([part.astype(dtype) for part in parts])


def argument_sample(name, dtype):
    x = sample(dtype, 1)
    if name not in TWO_ARGUMENTS:
        return (x,)
    rng = numpy.random.default_rng(3)
    y = sample(dtype, 2)
    corner = [grid.ravel() for grid in numpy.meshgrid(edges(dtype), edges(dtype))]
    base = numpy.exp(rng.uniform(-30, 30, SAMPLES)).astype(dtype)
    largest = 100 if x.itemsize == 4 else 740
    exponent = (rng.uniform(-largest, largest, SAMPLES) / numpy.log(base)).astype(dtype)
    x = numpy.concatenate([x, rng.permutation(x), corner[0], base, -base])
    y = numpy.concatenate([y, rng.permutation(y), corner[1], exponent, numpy.round(exponent)])
    if name in ("fmod", "remainder", "floor_divide"):
        with numpy.errstate(all="ignore"):
            quotient = abs(x.astype(WIDE) / y.astype(WIDE))
        keep = (quotient < QUOTIENT_LIMIT) | ~numpy.isfinite(quotient)
        x, y = x[keep], y[keep]
    return x, y


def errors(got, exact):
    """Units in the last place of the exact result; infinity where only one is nan."""
    limits = numpy.finfo(got.dtype)
    with numpy.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        exponent = numpy.maximum(numpy.frexp(abs(exact))[1] - 1, limits.minexp)
        unit = numpy.ldexp(WIDE(1), exponent - limits.nmant)
        # Infinity stands for the number that would follow the largest one.
        finite = numpy.where(numpy.isinf(got), numpy.copysign(WIDE(2) ** limits.maxexp, got), got)
        error = abs(finite - exact) / unit
    same = (got == rounded) | (numpy.isnan(got) & numpy.isnan(rounded))
    return numpy.where(same, 0, numpy.where(numpy.isnan(error), INF, error)).astype(float)


@pytest.mark.parametrize("fuse", [False, True], ids=["separate", "fused"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n for n in EXPANSIONS if not n.startswith("is") and n != "floor_divide"])
def test_error_is_within_the_stated_bound(name, dtype, fuse):
    arguments = argument_sample(name, dtype)
    with numpy.errstate(all="ignore"):
        exact = REFERENCES.get(name, getattr(numpy, name, None))(*(a.astype(WIDE) for a in arguments))
    got = run(name, *arguments, fuse=fuse)
    error = errors(got, exact)
    bound = EXPANSIONS[name].ulp[dtype]
    slack = 1.0 if name == "erf" and dtype == "float64" else REFERENCE_ERROR * (bound > 0)
    worst = int(error.argmax())
    place = [float(a[worst]) for a in arguments]
    assert error[worst] <= bound + slack, f"{name}{place} is {got[worst]!r}, exactly {exact[worst]!r}"
    wrong = (numpy.signbit(got) != numpy.signbit(exact)) & ~numpy.isnan(got)
    assert not wrong.any(), f"the sign of {name} at {[float(a[wrong.argmax()]) for a in arguments]}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite"])
def test_classification(name, dtype):
    x = sample(dtype, 1)
    numpy.testing.assert_array_equal(run(name, x), getattr(numpy, name)(x))


@pytest.mark.parametrize(
    ("x", "y", "power"),
    [
        (1, NAN, 1), (NAN, 0, 1), (-1, INF, 1), (-1, -INF, 1), (0, 0, 1),
        (-0.0, 3, -0.0), (-0.0, 2, 0.0), (-0.0, -3, -INF), (0, -2, INF), (0, -INF, INF),
        (-INF, 3, -INF), (-INF, -3, -0.0), (-INF, 0.5, INF), (INF, -1, 0.0),
        (0.5, INF, 0.0), (0.5, -INF, INF), (2, INF, INF), (2, -INF, 0.0), (-2, 3, -8), (-2, 0.5, NAN),
        (NAN, 1, NAN), (2, NAN, NAN), (0, NAN, NAN), (INF, NAN, NAN), (-8, 2**24, INF), (2, -149, 2.0**-149),
    ],
)  # fmt: skip
def test_pow_has_the_values_of_c99(x, y, power):
    numpy.testing.assert_array_equal(one("pow", x, y), power)
    assert math.copysign(1, one("pow", x, y)) == math.copysign(1, power) or math.isnan(power)


@pytest.mark.parametrize(
    ("x", "y", "quotient"),
    [
        (7, 2, 3), (-7, 2, -4), (7, -2, -4), (-7, -2, 3), (1, INF, 0), (-1, INF, -1), (1, 0, INF),
        (-1, 0, -INF), (0, 0, NAN), (INF, 2, NAN), (0, -3, -0.0), (1, 0.1, 9),
        (1127747712, -205.27325439453125, -5493887),
    ],
)  # fmt: skip
def test_floor_divide_has_the_values_of_torch(x, y, quotient):
    numpy.testing.assert_array_equal(one("floor_divide", x, y), quotient)


def test_overflow_and_underflow_happen_where_they_should():
    assert one("exp", 88.72283) < INF
    assert one("exp", 88.72284) == INF
    assert one("exp", -103.97208) == 2.0**-149
    assert one("exp", -103.97209) == 0
    assert one("exp", 709.782712893384, dtype="float64") < INF
    assert one("exp", 709.7827128933841, dtype="float64") == INF
    assert one("exp2", -149) == 2.0**-149
    assert one("sinh", 89.4) < INF
    assert one("sinh", 89.42) == INF
    assert one("sigmoid", -100) == pytest.approx(math.exp(-100), rel=1e-4)


def test_sin_is_right_at_the_float32_worst_for_reduction():
    # Of all float32 numbers one of the closest to a multiple of pi/2, and the largest one.
    assert one("cos", 16367173.0 * 2.0**72) == pytest.approx(math.cos(16367173.0 * 2.0**72), rel=2e-7)
    assert one("sin", 3.4028234663852886e38) == pytest.approx(-0.5218765, rel=2e-7)


def convergents(numerator, denominator, limit):
    """The denominators below the limit of a fraction's convergents: p/q comes nearest to it for these q."""
    last, current = 1, 0
    while denominator:
        whole = numerator // denominator
        numerator, denominator = denominator, numerator - whole * denominator
        last, current = current, whole * current + last
        if current >= limit:
            return
        yield current


def nearest_to_multiples_of_half_pi():
    """For each power of two the doubles m * 2**e, m integer, that come nearest to multiples of pi/2; from 1/2 on."""
    with mpmath.workprec(BITS_OF_PI):
        two_over_pi = int(mpmath.floor(2 / mpmath.pi * mpmath.mpf(2) ** (BITS_OF_PI - 10)))
    found = set()
    for exponent in range(-53, 972):
        shifted = two_over_pi << (exponent + 53)
        for integer in list(convergents(shifted, 1 << (BITS_OF_PI - 10 + 53), 1 << 53))[-4:]:
            found.add(math.ldexp(integer, exponent))
    return numpy.array(sorted(angle for angle in found if angle >= 0.5))


def doubles_of_all_exponents(count, seed):
    """Random bits, then every exponent about equally often, then multiples of pi/2, rounded and their neighbours."""
    rng = numpy.random.default_rng(seed)
    bits = rng.integers(numpy.iinfo("int64").min, numpy.iinfo("int64").max, count, "int64").view("float64")
    signs = rng.choice([-1, 1], count)
    spread = signs * numpy.ldexp(rng.uniform(0.5, 1, count), rng.integers(-2, 1025, count))
    multiples = numpy.rint(numpy.exp2(rng.uniform(0, 60, count))) * (math.pi / 2)
    neighbours = numpy.nextafter(multiples, rng.choice([-INF, INF], count))
    angles = numpy.concatenate([bits, spread, multiples, neighbours, edges("float64")])
    return angles[numpy.isfinite(angles)]


def error_in_ulp(got, exact):
    """Of a finite float64 against an mpmath number."""
    unit = max(mpmath.frexp(exact)[1] - 53, -1074)
    return 0.0 if exact == got else float(mpmath.ldexp(abs(mpmath.mpf(got) - exact), -unit))


@pytest.mark.parametrize("fuse", [False, True], ids=["separate", "fused"])
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_float64_angles_of_any_size(name, fuse):
    hardest = nearest_to_multiples_of_half_pi()
    assert 6381956970095103.0 * 2.0**797 in hardest
    windows = 2.0 ** numpy.arange(-2, 1024)  # where one window of 2/pi is followed by another, and all between
    below = numpy.nextafter(windows, 0)
    angles = numpy.concatenate([hardest, windows, below, doubles_of_all_exponents(400, 5)])
    got = run(name, angles, fuse=fuse)
    with mpmath.workprec(BITS_OF_PI):
        exact = [getattr(mpmath, name)(mpmath.mpf(float(angle))) for angle in angles]
        found = [error_in_ulp(float(g), e) for g, e in zip(got, exact, strict=True)]
    worst = int(numpy.argmax(found))
    assert found[worst] <= EXPANSIONS[name].ulp["float64"], f"{name}({float(angles[worst]).hex()}): {found[worst]} ulp"


def test_no_double_is_nearer_to_a_multiple_of_half_pi_than_the_reduction_is_made_for():
    with mpmath.workprec(BITS_OF_PI):
        quarters = [mpmath.mpf(float(angle)) * 2 / mpmath.pi for angle in nearest_to_multiples_of_half_pi()]
        nearest = min(abs(quarter - mpmath.nint(quarter)) for quarter in quarters)
        assert -61.54 < mpmath.log(nearest, 2) < -61.53


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_infinite_angles_have_no_sine(name):
    for dtype in ("float32", "float64"):
        assert numpy.isnan(run(name, numpy.array([INF, -INF, NAN], dtype))).all()


def test_two_over_pi_is_right_to_its_last_bit():
    with mpmath.workprec(KNOWN_BITS + 64):
        assert two_over_pi(KNOWN_BITS) == mpmath.floor(2 / mpmath.pi * mpmath.mpf(2) ** KNOWN_BITS)
    with pytest.raises(ValueError, match=r"known here to 1216 bits, got 1217"):
        two_over_pi(KNOWN_BITS + 1)


def test_narrow_floats_compute_in_float32():
    x = numpy.linspace(-3, 3, 50).astype("float16")
    numpy.testing.assert_array_equal(run("exp", x), numpy.exp(x.astype("float32")).astype("float16"))
    assert run("isnan", x).dtype == bool


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("name", EXPANSIONS)
def test_masks_are_as_wide_as_what_they_select(name, dtype):
    """So that vector targets, where a mask is an integer vector, never convert one."""
    arguments = [leaf("argument", dtype, i) for i in range(1 + (name in TWO_ARGUMENTS))]
    width = {}
    for value in topological(EXPANSIONS[name].function(*arguments)):
        if value.dtype is bool_:
            widths = {width.get(i, i.dtype.bits) for i in value.inputs}
            assert len(widths) == 1, value
            width[value] = widths.pop()
        elif value.op == "where":
            assert width[value.inputs[0]] == value.dtype.bits, value
