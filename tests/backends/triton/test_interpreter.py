"""What generated functions mean in the interpreter: against NumPy, for many programs at once and for each alone."""

from __future__ import annotations

import ml_dtypes
import numpy
import pytest

from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

import triton.language as tl

from lazygrad_triton import interpreter
from lazygrad_triton.interpreter import Buffer, InterpretedFile, Number

TYPES = {
    "bool": "u8", "uint8": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "float16": "fp16",
    "bfloat16": "bf16", "float32": "fp32", "float64": "fp64",
}  # fmt: skip
GENERATOR = numpy.random.default_rng(0)


def file(body, arguments, library=""):
    lines = "\n".join(f"    {line}" for line in body.strip("\n").split("\n"))
    text = f"import triton\nimport triton.language as tl\n{library}\n@triton.jit\ndef f({', '.join(arguments)}):\n{lines}\n"
    return InterpretedFile(text, "<f>")


def run(body, arrays, numbers=(), programs=1, library="", written=None):
    """Runs a function of b0, b1, ... and s0, s1, ...; the arrays hold what it writes. Returns the last array."""
    names = [f"b{n}" for n in range(len(arrays))] + [f"s{n}" for n in range(len(numbers))]
    arguments = [
        Buffer(array.reshape(-1).view(numpy.uint8), f"*{TYPES[array.dtype.name]}", 0, array.nbytes, written is None or n in written)
        for n, array in enumerate(arrays)
    ]  # fmt: skip
    made = file(body, names, library)
    made.launch("f", programs, [*arguments, *(Number(*number) for number in numbers)])
    return arrays[-1]


def values(shape, dtype=numpy.float32):
    return GENERATOR.uniform(-4, 4, shape).astype(dtype)


# ---- programs


@pytest.mark.parametrize("programs", [1, 7, 128, 300])
def test_programs(programs):
    out = numpy.zeros(programs * 4, numpy.int32)
    run(
        "p = tl.program_id(0)\ni = p * 4 + tl.arange(0, 4)\ntl.store(b0 + i, i * 10 + tl.num_programs(0))",
        [out],
        programs=programs,
    )
    numpy.testing.assert_array_equal(out, numpy.arange(out.size) * 10 + programs)


BRANCHES = """
program = tl.program_id(0)
if program < 3:
    i = program * 4 + tl.arange(0, 4)
    tl.store(b0 + i, tl.load(b0 + i) + 1.0)
elif program < 5:
    i = program * 4 + tl.arange(0, 4)
    for step in range(0, program):
        tl.store(b0 + i, tl.load(b0 + i) + 10.0)
else:
    i = program * 4 + tl.arange(0, 4)
    first = tl.load(b1 + program)
    tl.store(b0 + i, tl.load(b0 + i) - 1.0)
    while first > 0:
        tl.store(b0 + i, tl.load(b0 + i) + 100.0)
        first = first - 1
    if not (first < 0 or program == 6):
        tl.store(b0 + i, tl.load(b0 + i) + 1000.0)
"""


def test_programs_that_take_different_ways():
    """What a portion stored before it parted is undone: each program adds once, to what was there before."""
    out, counts = numpy.arange(40, dtype=numpy.float32), numpy.array([0, 0, 0, 0, 0, 2, 1, 0, -1, 2], numpy.int32)
    made = file(BRANCHES, ["b0", "b1"])
    arguments = [
        Buffer(out.view(numpy.uint8), "*fp32", 0, out.nbytes, True),
        Buffer(counts.view(numpy.uint8), "*i32", 0, 40, False),
    ]
    expected = out.copy().reshape(10, 4)
    expected[:3] += 1
    expected[3:5] += [[30], [40]]
    expected[5:] += [[200 - 1 + 1000], [100 - 1], [1000 - 1], [-1], [200 - 1 + 1000]]
    made.launch("f", 10, arguments)
    numpy.testing.assert_array_equal(out.reshape(10, 4), expected)
    groups = [group.tolist() for group in made._groups["f", 10]]
    assert sorted(map(tuple, groups)) == [(0, 1, 2), (3,), (4,), (5, 9), (6,), (7,), (8,)]
    out[:] = numpy.arange(40)
    made.launch("f", 10, arguments)  # the groups are known now
    numpy.testing.assert_array_equal(out.reshape(10, 4), expected)


def test_the_language_is_put_back():
    functions = {name: getattr(tl, name) for name in dir(tl)}
    methods = dict(vars(tl.tensor))
    out = numpy.zeros(4, numpy.float32)
    run("tl.store(b0 + tl.arange(0, 4), tl.full((4,), 2, tl.float32))", [out])
    with pytest.raises(RuntimeError):
        run("tl.store(b0 + tl.arange(0, 4), tl.full((4,), 2, tl.float33))", [out])
    assert {name: getattr(tl, name) for name in dir(tl)} == functions
    assert dict(vars(tl.tensor)) == methods


# ---- memory


def test_masks_and_other_values():
    x, out = values(64), numpy.full(64, 7, numpy.float32)
    run(
        "i = tl.program_id(0) * 32 + tl.arange(0, 32)\ntl.store(b1 + i, tl.load(b0 + i + 1000, mask=i < 0, other=3.0), mask=i % 2 == 0)",
        [x, out],
        programs=2,
    )
    numpy.testing.assert_array_equal(out, numpy.tile([3, 7], 32))
    run("i = tl.arange(0, 64)\ntl.store(b1 + i, tl.load(b0 + (i + 5), mask=i < 59, other=0))", [x, out])
    numpy.testing.assert_array_equal(out, numpy.concatenate([x[5:], numpy.zeros(5)]))
    run("i = tl.arange(0, 64)\ntl.store(b1 + i, tl.load(tl.where(i < 32, b0, b1) + i))", [x, out])
    numpy.testing.assert_array_equal(out[:32], x[:32])


def test_offsets_may_be_negative_on_the_way():
    x, out = values(8), numpy.zeros(8, numpy.float32)
    run("i = tl.arange(0, 8)\np = b0 + (i - 20)\ntl.store(b1 + i, tl.load(p + 20))", [x, out])
    numpy.testing.assert_array_equal(out, x)


def test_accesses_outside_of_a_buffer_are_found():
    x, out = values(16), numpy.zeros(16, numpy.float32)
    for body, message in (
        (
            "tl.store(b1 + tl.arange(0, 16), tl.load(b0 + 1 + tl.arange(0, 16)))",
            "loads from buffer 0 at element 16 of 16",
        ),
        ("tl.store(b1 + tl.arange(0, 16) - 3, 0.0)", "stores to buffer 1 at element -3 of 16"),
        ("tl.store(b0 + tl.arange(0, 16), 0.0)", "stores to buffer 0, which the kernel only reads"),
        ("tl.atomic_add(b1 + 16 + tl.arange(0, 2), 1.0)", "adds to buffer 1 at element 17 of 16"),
        ("tl.load((b0.to(tl.int64) + 2).to(tl.pointer_type(tl.float32)))", "between two elements of float32"),
    ):
        with pytest.raises(RuntimeError, match=message):
            run(body, [x, out], written={1})


def test_atomic_additions():
    places, out = GENERATOR.integers(0, 5, 64).astype(numpy.int32), numpy.zeros(5, numpy.float32)
    body = "i = tl.program_id(0) * 16 + tl.arange(0, 16)\ntl.atomic_add(b1 + tl.load(b0 + i), (i + 1).to(tl.float32), mask=i != 3)"
    run(body, [places, out], programs=4)
    expected = numpy.zeros(5)
    numpy.add.at(expected, places, numpy.where(numpy.arange(64) == 3, 0, numpy.arange(1, 65)))
    numpy.testing.assert_array_equal(out, expected)
    with pytest.raises(RuntimeError, match="NotImplementedError: the interpreter has no atomic"):
        run("tl.atomic_xchg(b0 + tl.arange(0, 4), 1)", [places])


def test_an_error_names_the_function_and_the_line():
    with pytest.raises(RuntimeError, match=r"f failed in Triton's interpreter at <f>:8: \w+Error: .*frobnicate"):
        run("i = tl.arange(0, 4)\n\ntl.store(b0 + i, tl.frobnicate(i))", [numpy.zeros(4, numpy.int32)])


# ---- numbers


@pytest.mark.parametrize("target", list(TYPES)[1:])
@pytest.mark.parametrize("source", list(TYPES)[1:])
def test_conversions(source, target):
    x = numpy.abs(values(32) * 20).astype(ml_dtypes.bfloat16 if source == "bfloat16" else source)
    out = numpy.zeros(32, ml_dtypes.bfloat16 if target == "bfloat16" else target)
    run(f"i = tl.arange(0, 32)\ntl.store(b1 + i, tl.load(b0 + i).to(tl.{target}))", [x, out])
    numpy.testing.assert_array_equal(out, x.astype(out.dtype))


def test_rounding_to_bfloat16_is_to_nearest_even():
    x = numpy.array([1.00390625, 1.01171875, 1.005, -1.00390626, 3.4e38, numpy.inf, -0.0, 1e-40], numpy.float32)
    out = numpy.zeros(8, ml_dtypes.bfloat16)
    run("i = tl.arange(0, 8)\ntl.store(b1 + i, tl.load(b0 + i).to(tl.bfloat16))", [x, out])
    numpy.testing.assert_array_equal(out, x.astype(ml_dtypes.bfloat16))
    assert out.view(numpy.uint16)[0] == 0x3F80  # the tie goes to even, not away


def test_scalars_and_constants():
    out = numpy.zeros(8, numpy.float64)
    numbers = [(2**40, "i64"), (-3, "i32"), (0.1, "fp32"), (0.1, "fp64"), (1e-40, "fp32")]
    body = "\n".join(f"tl.store(b0 + {n}, s{n}.to(tl.float64))" for n in range(5))
    body += '\ntl.store(b0 + 5, tl.full((), -1.5, tl.float64))\ntl.store(b0 + 6, float("-inf"))'
    body += "\nx = tl.full((), 1.0, tl.bfloat16)\ntl.store(b0 + 7, x.to(tl.float32).to(tl.float64))"
    run(body, [out], numbers)
    f = numpy.float32
    assert out.tolist() == [2**40, -3, float(f(0.1)), 0.1, float(f(1e-40)), -1.5, -numpy.inf, 1.0]


def test_integers():
    x = GENERATOR.integers(-(2**31), 2**31, 64).astype(numpy.int32)
    y = GENERATOR.integers(1, 1000, 64).astype(numpy.int32) * GENERATOR.choice([-1, 1], 64).astype(numpy.int32)
    outs = numpy.zeros((7, 64), numpy.int32)
    body = "i = tl.arange(0, 64)\nx = tl.load(b0 + i)\ny = tl.load(b1 + i)\nn = y & 31\n" + "\n".join(
        f"tl.store(b2 + {64 * n} + i, {text})"
        for n, text in enumerate(["x // y", "x % y", "x >> n", "x << n", "x * y", "tl.umulhi(x, y)", "(x.to(tl.uint32, bitcast=True) >> n.to(tl.uint32, bitcast=True)).to(tl.int32, bitcast=True)"])
    )  # fmt: skip
    run(body, [x, y, outs])
    quotient = numpy.trunc(x.astype(numpy.float64) / y).astype(numpy.int32)
    numpy.testing.assert_array_equal(outs[0], quotient)
    numpy.testing.assert_array_equal(outs[1], numpy.fmod(x, y))
    n = y & 31
    numpy.testing.assert_array_equal(outs[2], x >> n)
    numpy.testing.assert_array_equal(outs[3], x << n)
    with numpy.errstate(over="ignore"):
        numpy.testing.assert_array_equal(outs[4], x * y)
    high = (x.view(numpy.uint32).astype(object) * y.view(numpy.uint32).astype(object)) >> 32
    numpy.testing.assert_array_equal(outs[5].view(numpy.uint32), high.astype(numpy.uint32))
    numpy.testing.assert_array_equal(outs[6].view(numpy.uint32), x.view(numpy.uint32) >> n.view(numpy.uint32))


def test_the_high_half_of_64_bit_products():
    x = GENERATOR.integers(-(2**63), 2**63, 32)
    y = GENERATOR.integers(-(2**63), 2**63, 32)
    out = numpy.zeros(32, numpy.int64)
    run("i = tl.arange(0, 32)\ntl.store(b2 + i, tl.umulhi(tl.load(b0 + i), tl.load(b1 + i)))", [x, y, out])
    high = (x.view(numpy.uint64).astype(object) * y.view(numpy.uint64).astype(object)) >> 64
    numpy.testing.assert_array_equal(out.view(numpy.uint64), high.astype(numpy.uint64))


def test_nan_in_extremes():
    x = numpy.array([1, numpy.nan, 3, numpy.nan], numpy.float32)
    y = numpy.array([2, 2, numpy.nan, numpy.nan], numpy.float32)
    outs = numpy.zeros((3, 4), numpy.float32)
    body = """
i = tl.arange(0, 4)
x = tl.load(b0 + i)
y = tl.load(b1 + i)
tl.store(b2 + i, tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL))
tl.store(b2 + 4 + i, tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL))
tl.store(b2 + 8 + i, tl.maximum(x, y))
"""
    run(body, [x, y, outs])
    numpy.testing.assert_array_equal(outs, [numpy.maximum(x, y), numpy.minimum(x, y), numpy.fmax(x, y)])


def test_functions():
    x = numpy.abs(values(32)) + 0.1
    outs = numpy.zeros((9, 32), numpy.float32)
    names = ["exp", "exp2", "log", "sin", "cos", "sqrt", "floor", "ceil", "abs"]
    body = "i = tl.arange(0, 32)\nx = tl.load(b0 + i)\n" + "\n".join(
        f"tl.store(b1 + {32 * n} + i, tl.{name}(x))" for n, name in enumerate(names)
    )
    run(body, [x.astype(numpy.float32), outs])
    expected = [getattr(numpy, name)(x.astype(numpy.float32)) for name in names]
    numpy.testing.assert_allclose(outs, expected, rtol=1e-6)


# ---- blocks


def test_shapes():
    x, out = values((4, 8)), numpy.zeros((3, 8, 4), numpy.float32)
    body = """
p = tl.program_id(0)
i = tl.arange(0, 4)[:, None] * 8 + tl.arange(0, 8)[None, :]
o = tl.arange(0, 8)[:, None] * 4 + tl.arange(0, 4)[None, :]
x = tl.load(b0 + i) + p
tl.store(b1 + o, tl.trans(x), mask=p == 0)
tl.store(b1 + 32 + o, tl.reshape(x, (8, 4)), mask=p == 1)
tl.store(b1 + 64 + tl.arange(0, 32), tl.reshape(x.T, (32,)), mask=p == 2)
"""
    run(body, [x, out], programs=3)
    numpy.testing.assert_array_equal(out[0], x.T)
    numpy.testing.assert_array_equal(out[1], (x + 1).reshape(8, 4))
    numpy.testing.assert_array_equal(out[2].reshape(-1), (x + 2).T.reshape(-1))


def test_broadcasting_of_what_programs_share_and_what_they_do_not():
    x, out = values(8), numpy.zeros((5, 4, 8), numpy.float32)
    body = """
p = tl.program_id(0)
row = tl.arange(0, 4)[:, None] + p
column = tl.load(b0 + tl.arange(0, 8))[None, :]
a, b = tl.broadcast(row, column)
spread = tl.broadcast_to(row * 1.0, (4, 8))
tl.store(b1 + p * 32 + tl.arange(0, 4)[:, None] * 8 + tl.arange(0, 8)[None, :], tl.where(a > 2, a * b, spread))
"""
    run(body, [x, out], programs=5)
    row = (numpy.arange(5)[:, None] + numpy.arange(4))[:, :, None]
    numpy.testing.assert_allclose(out, numpy.where(row > 2, row * x, row * numpy.ones(8)), rtol=1e-6)


def test_joining_and_splitting():
    x, out = values(16), numpy.zeros(32, numpy.float32)
    body = """
i = tl.arange(0, 16)
x = tl.load(b0 + i)
both = tl.join(x, x * 2)
left, right = tl.split(both)
tl.store(b1 + tl.arange(0, 32), tl.reshape(tl.join(right, left), (32,)))
"""
    run(body, [x, out])
    numpy.testing.assert_array_equal(out, numpy.stack([x * 2, x], -1).reshape(-1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_matrix_products(dtype):
    if dtype == "float64" and versions.numbers(versions.installed_version()) < (3, 3):
        pytest.skip("Triton 3.2 multiplies no matrices of float64")
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else numpy.dtype(dtype)
    a, b = values((3, 16, 32), kind), values((32, 16), kind)
    wide = numpy.float64 if dtype == "float64" else numpy.float32
    out = numpy.zeros((3, 16, 16), wide)
    name = "float64" if dtype == "float64" else "float32"
    body = f"""
p = tl.program_id(0)
m = tl.arange(0, 16)
k = tl.arange(0, 32)
a = tl.load(b0 + p * 512 + m[:, None] * 32 + k[None, :])
b = tl.load(b1 + k[:, None] * 16 + m[None, :])
sums = tl.full((16, 16), 1, tl.{name})
for step in range(0, 2):
    sums = tl.dot(a, b, sums, input_precision="ieee", out_dtype=tl.{name})
tl.store(b2 + p * 256 + m[:, None] * 16 + m[None, :], sums)
"""
    run(body, [a, b, out], programs=3)
    expected = 1 + 2 * (a.astype(wide) @ b.astype(wide))
    numpy.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)


COMBINE = """
@triton.jit
def add(x, y):
    return x + y

@triton.jit
def larger(x, y):
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)

@triton.jit
def first_largest(x, i, y, j):
    better = (x > y) | ((x == y) & (i < j))
    return tl.where(better, x, y), tl.where(better, i, j)

@triton.jit
def left(x, y):
    return x * 1.0
"""


def test_reductions():
    x = values((3, 4, 8)).round(1)
    x[1, 2, 3] = numpy.nan
    sums, tops = numpy.zeros((3, 8), numpy.float32), numpy.zeros((3, 4), numpy.float32)
    places, all_sums = numpy.zeros((3, 4), numpy.int32), numpy.zeros(3, numpy.float32)
    body = """
p = tl.program_id(0)
r = tl.arange(0, 4)
c = tl.arange(0, 8)
x = tl.load(b0 + p * 32 + r[:, None] * 8 + c[None, :])
tl.store(b1 + p * 8 + c, tl.reduce(x, 0, add))
tl.store(b2 + p * 4 + r[:, None], tl.reduce(x, 1, larger, keep_dims=True))
top, at = tl.reduce((tl.where(x != x, -100.0, x), tl.broadcast_to(c[None, :], (4, 8))), 1, first_largest)
tl.store(b3 + p * 4 + r, at)
tl.store(b4 + p, tl.reduce(tl.reduce(x, 1, add), 0, add))
"""
    run(body, [x, sums, tops, places, all_sums], programs=3, library=COMBINE)
    numpy.testing.assert_allclose(sums, x.sum(1), rtol=1e-5, atol=1e-6)
    numpy.testing.assert_array_equal(tops, x.max(2))
    numpy.testing.assert_array_equal(places, numpy.where(numpy.isnan(x), -100, x).argmax(2))
    numpy.testing.assert_allclose(all_sums, x.sum((1, 2)), rtol=1e-5, atol=1e-5)


def test_reductions_keep_the_order_and_the_type():
    x, out = values(32), numpy.zeros(1, numpy.float32)
    run("tl.store(b1, tl.reduce(tl.load(b0 + tl.arange(0, 32)), 0, left))", [x, out], library=COMBINE)
    assert out[0] == x[0]
    small, sums = numpy.full(64, 100, numpy.int8), numpy.zeros(1, numpy.int8)
    run("tl.store(b1, tl.reduce(tl.load(b0 + tl.arange(0, 64)), 0, add))", [small, sums], library=COMBINE)
    assert sums[0] == numpy.int64(6400).astype(numpy.int8)
    bits, any_bit = numpy.array([0, 1, 0, 0], numpy.uint8), numpy.zeros(1, numpy.uint8)
    library = "@triton.jit\ndef either(x, y):\n    return x | y\n"
    body = "tl.store(b1, tl.reduce(tl.load(b0 + tl.arange(0, 4)) != 0, 0, either).to(tl.uint8))"
    run(body, [bits, any_bit], library=library)
    assert any_bit[0] == 1


def test_scans():
    x, out = values((2, 16)), numpy.zeros((2, 2, 16), numpy.float32)
    body = """
p = tl.program_id(0)
i = p * 16 + tl.arange(0, 16)
x = tl.load(b0 + i)
tl.store(b1 + i, tl.associative_scan(x, 0, add))
tl.store(b1 + 32 + i, tl.associative_scan(x, 0, add, reverse=True))
"""
    run(body, [x, out], programs=2, library=COMBINE)
    numpy.testing.assert_allclose(out[0], x.cumsum(1), rtol=1e-5, atol=1e-5)
    numpy.testing.assert_allclose(out[1], x[:, ::-1].cumsum(1)[:, ::-1], rtol=1e-5, atol=1e-5)


def test_many_programs_cost_little_more_than_one():
    """The language is called once for a whole portion of programs."""
    calls = []
    out = numpy.zeros(128 * 4, numpy.float32)
    made = file("i = tl.program_id(0) * 4 + tl.arange(0, 4)\ntl.store(b0 + i, counted(i).to(tl.float32))", ["b0"])

    def counted(x):
        calls.append(x)
        return x

    made._functions["f"].__globals__["counted"] = counted
    made.launch("f", 128, [Buffer(out.view(numpy.uint8), "*fp32", 0, out.nbytes, True)])
    assert len(calls) == 128 // interpreter.PROGRAMS_AT_ONCE
    numpy.testing.assert_array_equal(out, numpy.arange(512))
