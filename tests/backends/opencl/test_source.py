"""Generated OpenCL C gives what the interpreter gives: every kind of stage, both flavours, many tasks."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy
import pytest

from backends.opencl.launching import VECTORS, Launcher, capabilities
from lazygrad.ir.dtype import (
    DTYPES,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from lazygrad.ir.index import Bound, Index, Variable, variable
from lazygrad.ir.value import ARGUMENT, INDEX, LOAD, VALID, apply, constant, leaf, where
from lazygrad.kernel import fetching, tiling, uncached
from lazygrad.kernel.kernel import (
    Access,
    Body,
    BufferDeclaration,
    Contraction,
    Kernel,
    Reduction,
    Stage,
    Store,
)
from lazygrad_opencl import cpu_rows
from lazygrad_opencl.source import generate
from unit.kernel.kernels import load, matmul, pointwise, reduced, scatter_add, softmax

FLAVOURS = ("cpu", "gpu")
NUMBERS = [d for d in DTYPES if d is not bool_]
STORAGE = (float16, bfloat16)


@pytest.fixture(scope="module")
def launcher():
    return Launcher()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Small kernels are cut into tasks, panels and blocks as large ones are."""
    monkeypatch.setattr(tiling, "TASK_COST", 256)
    monkeypatch.setattr(tiling, "ROW_BLOCK", 4)
    monkeypatch.setattr(tiling, "GATHER_BLOCK", 8)
    monkeypatch.setattr(tiling, "SMALLEST_PANEL", 32)
    monkeypatch.setattr(cpu_rows, "SUM_BLOCK", 2)
    monkeypatch.setattr(uncached, "UNCACHED_BYTES", 256)
    monkeypatch.setattr(fetching, "SHORTEST_ROW", 16)


def numbers(size, dtype=float32, seed=0):
    source = numpy.random.default_rng(seed)
    if dtype is bool_:
        return source.random(size) < 0.5
    if dtype.is_float:
        return source.standard_normal(size).astype(dtype.numpy)
    return source.integers(0 if dtype is uint8 else -20, 20, size).astype(dtype.numpy)


def zeros(size, dtype=float32):
    return numpy.zeros(size, dtype.numpy)


def axes(*extents, letter="i"):
    return tuple(Variable(f"{letter}{n}", extent) for n, extent in enumerate(extents))


def indices(of):
    return [variable(axis.name, axis.extent) for axis in of]


def row_major(of):
    total = Index(0)
    for axis in of:
        total = total * axis.extent + variable(axis.name, axis.extent)
    return total


def one_body(name, body_axes, stages, *buffers, scalars=()):
    declared = tuple(BufferDeclaration(*buffer) for buffer in buffers)
    return Kernel(name, (Body(body_axes, tuple(stages)),), declared, scalars)


def reduction_kernel(reduction, body_axes, inner, store_at, *buffers):
    """One reduction, stored once for each point."""
    dtype = int64 if reduction.position is not None else reduction.dtype
    result = reduced(0, dtype)
    out = buffers[-1][0]
    store = Store(store_at, result if out is dtype else result.cast(out))
    return one_body("reduction", body_axes, [Stage(inner, (reduction,)), Stage((), (), (store,))], *buffers)


# ---- memory


def text_of(kernel):
    return generate(kernel, capabilities("cpu")).text


@pytest.mark.parametrize("size", [64, 1000, 1003])
def test_large_results_are_stored_around_the_caches(launcher, size):
    """Where vectors are aligned, which the rest of 1003 elements is not; and not over what was just read."""
    kernel = pointwise(load(0, variable("i0", size)).cast(int32), size, int32)
    assert ("STORE_AROUND_CACHES" in text_of(kernel)) == (size % 8 == 0)
    launcher.check(kernel, [10 * numbers(size), zeros(size, int32)], "cpu")
    in_place = text_of(pointwise(load(0, variable("i0", 64)) + 1.0, 64))
    assert "if (b1 == b0) *(__global" in in_place
    assert "else STORE_AROUND_CACHES" in in_place


def test_small_results_go_through_the_caches(monkeypatch):
    monkeypatch.undo()
    assert "STORE_AROUND_CACHES" not in text_of(pointwise(load(0, variable("i0", 64)).cast(int32), 64, int32))


def test_added_to_or_shifted_results_go_through_the_caches():
    at = variable("i0", 64)
    stores = (Store(Access(1, at), load(0, at)), Store(Access(1, at), load(0, at), "add"))
    stages = [Stage((), (), (store,)) for store in stores]
    assert "STORE_AROUND_CACHES" not in text_of(one_body("twice", axes(64), stages, (float32, 64), (float32, 64, True)))
    shifted = Stage((), (), (Store(Access(1, at + 1), load(0, at)),))
    text = text_of(one_body("shifted", axes(64), [shifted], (float32, 64), (float32, 65, True)))
    assert "STORE_AROUND_CACHES" not in text


def test_the_next_row_is_asked_for_while_exponentials_are_computed(launcher):
    kernel = softmax(40, 48)
    lines = text_of(kernel).splitlines()
    (asked,) = (number for number, line in enumerate(lines) if "FETCH(b0 + " in line)
    assert lines[asked].endswith(" + 48);") or "+ 48" in lines[asked - 1], lines[asked - 1 : asked + 1]
    launcher.check(kernel, [numbers(40 * 48), zeros(40 * 48)], "cpu")
    assert "FETCH" not in text_of(softmax(1, 48))


# ---- pointwise


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13, 1000])
def test_sizes_that_fill_no_vector(launcher, flavour, size):
    kernel = pointwise(load(0, variable("i0", size)) * 2.0 + 1.0, size)
    kernel = kernel if size > 1 else one_body(
        "point", (), [Stage((), (), (Store(Access(1, Index(0)), load(0, Index(0)) + 1.0),))],
        (float32, 1), (float32, 1, True),
    )  # fmt: skip
    launcher.check(kernel, [numbers(size), zeros(size)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("source", DTYPES, ids=lambda d: d.name)
def test_casts_between_all_types(launcher, flavour, source):
    size = 37
    i = variable("i0", size)
    value = load(0, i, source)
    if source in STORAGE:
        value = value.cast(float32)
    stores = tuple(Store(Access(n, i), value.cast(dtype)) for n, dtype in enumerate(DTYPES, 1))
    buffers = [(source, size), *((dtype, size, True) for dtype in DTYPES)]
    kernel = one_body("casts", axes(size), [Stage((), (), stores)], *buffers)
    data = numpy.abs(numbers(size, source)) if source.is_float else numbers(size, source)
    launcher.check(kernel, [data, *(zeros(size, dtype) for dtype in DTYPES)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", STORAGE, ids=lambda d: d.name)
def test_every_half_width_float_survives(launcher, flavour, dtype):
    """All 65536 bit patterns to float32 and back; rounding of what lies between two of them."""
    size = 1 << 16
    i = variable("i0", size)
    wide = load(0, i, dtype).cast(float32)
    near = load(1, i).cast(dtype)
    stores = (Store(Access(2, i), wide), Store(Access(3, i), wide.cast(dtype)), Store(Access(4, i), near))
    buffers = [
        (dtype, size),
        (float32, size),
        (float32, size, True),
        (dtype, size, True),
        (dtype, size, True),
    ]
    kernel = one_body("halves", axes(size), [Stage((), (), stores)], *buffers)
    every = numpy.arange(size, dtype=numpy.uint16).view(dtype.numpy)
    exact = every.astype(numpy.float32)
    between = numpy.nextafter(exact, numpy.float32(numpy.inf)) * numpy.float32(1.0003)
    arrays = [every, between, zeros(size), zeros(size, dtype), zeros(size, dtype)]
    results = launcher.run(kernel, arrays, flavour)
    numpy.testing.assert_array_equal(results[2], exact)
    real = ~numpy.isnan(exact)
    numpy.testing.assert_array_equal(results[3].view(numpy.uint16)[real], every.view(numpy.uint16)[real])
    assert numpy.isnan(results[3].astype(numpy.float32)[~real]).all()
    with numpy.errstate(over="ignore"):
        wanted = between.astype(dtype.numpy).astype(numpy.float32)
    numpy.testing.assert_array_equal(results[4].astype(numpy.float32), wanted)


def arithmetic(dtype):
    """Operations that a type has, on two loads."""
    x, y = load(0, variable("i0", 53), dtype), load(1, variable("i0", 53), dtype)
    values = [x + y, x - y, x * y, where(x < y, x, y), -x, apply("abs", x), x.equals(y), x.differs(y), x <= y]
    if dtype.is_float:
        values += [
            x / (apply("abs", y) + 1.0),
            apply("sqrt", apply("abs", x)),
            apply("exp", x),
            apply("tanh", x),
        ]
        values += [
            apply("floor", x * 3.0),
            apply("round", x * 3.0),
            apply("remainder", x, y),
            apply("sin", x),
        ]
    else:
        small = y & 7
        values += [x & y, x | y, x ^ y, ~x, apply("floor_divide", x, y), apply("remainder", x, y)]
        values += [x << small, x >> small, x << 3, x >> y, apply("pow", x, small)]
    return values


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", [d for d in NUMBERS if d not in STORAGE], ids=lambda d: d.name)
def test_arithmetic(launcher, flavour, dtype):
    values = arithmetic(dtype)
    stores = tuple(Store(Access(n, variable("i0", 53)), value) for n, value in enumerate(values, 2))
    buffers = [(dtype, 53), (dtype, 53), *((value.dtype, 53, True) for value in values)]
    kernel = one_body("arithmetic", axes(53), [Stage((), (), stores)], *buffers)
    arrays = [numbers(53, dtype), numbers(53, dtype, 1), *(zeros(53, value.dtype) for value in values)]
    if not dtype.is_float:
        arrays[1][:2] = 0, 1
        arrays[0][-1] = dtype.minimum
        arrays[1][-1] = dtype.maximum if dtype is uint8 else -1
    launcher.check(kernel, arrays, flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_bools(launcher, flavour):
    i = variable("i0", 45)
    x, y, z = load(0, i, bool_), load(1, i, bool_), load(2, i)
    values = [
        x & y,
        x | y,
        x ^ y,
        ~x,
        x < y,
        x <= y,
        x.equals(y),
        x.differs(y),
        where(x, y, ~y),
        where(z < 0.0, x, y),
    ]
    values += [(z > 0.0) & x, where(x & (z > 0.5), z, 0.0).cast(bool_), z.cast(bool_)]
    stores = tuple(Store(Access(n, i), value) for n, value in enumerate(values, 3))
    buffers = [(bool_, 45), (bool_, 45), (float32, 45), *((bool_, 45, True) for _ in values)]
    kernel = one_body("bools", axes(45), [Stage((), (), stores)], *buffers)
    data = [numbers(45, bool_), numbers(45, bool_, 1), numbers(45)]
    launcher.check(kernel, [*data, *(zeros(45, bool_) for _ in values)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_special_numbers_keep_their_meaning(launcher, flavour):
    size = 16
    i = variable("i0", size)
    x = load(0, i)
    values = [
        x + 1.0,
        x * 0.0,
        where(x > 0.0, x, -x),
        where((x > 1.0) | x.differs(x), x, 1.0),
        1.0 / x,
        x.equals(x),
    ]
    stores = tuple(Store(Access(n, i), value) for n, value in enumerate(values, 1))
    kernel = one_body(
        "special",
        axes(size),
        [Stage((), (), stores)],
        (float32, size),
        *((v.dtype, size, True) for v in values),
    )
    data = numpy.resize(numpy.array([numpy.nan, numpy.inf, -numpy.inf, 0.0, -0.0, 1e-42, 3.4e38], numpy.float32), size)
    launcher.check(kernel, [data, *(zeros(size, v.dtype) for v in values)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("shape", [(16, 24), (33, 17), (5, 3), (9, 200)])
def test_transposed_flipped_and_broadcast_loads(launcher, flavour, shape):
    i, j = indices(axes(*shape))
    rows, columns = shape
    value = load(0, j * rows + i) - load(0, -(i * columns + j) + (rows * columns - 1)) * load(1, j) + load(2, i)
    store = Store(Access(3, i * columns + j), value)
    size = rows * columns
    kernel = one_body(
        "moved", axes(*shape), [Stage((), (), (store,))],
        (float32, size), (float32, columns), (float32, rows), (float32, size, True),
    )  # fmt: skip
    launcher.check(kernel, [numbers(size), numbers(columns, seed=1), numbers(rows, seed=2), zeros(size)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", [float32, float64, int8])
@pytest.mark.parametrize(("count", "first"), [(3, 0), (64, 0), (64, 1), (77, 0), (77, 1)])
def test_every_second_element(launcher, flavour, dtype, count, first):
    """The last that is wanted is the buffer's last."""
    (i,) = axes(count)
    at = indices((i,))[0]
    store = Store(Access(1, at), load(0, at * 2 + first, dtype) + 1)
    size = 2 * count - 1 + first
    kernel = one_body("seconds", (i,), [Stage((), (), (store,))], (dtype, size), (dtype, count, True))
    arrays = [(numbers(size) * 10).astype(dtype.numpy), numpy.zeros(count, dtype.numpy)]
    launcher.check(kernel, arrays, flavour)
    if flavour == "cpu" and count > 32:
        assert "__builtin_shufflevector" in generate(kernel, capabilities("cpu")).text


@pytest.mark.parametrize(
    ("dtype", "long"),
    [(float32, False), (float32, True), (float64, True), (uint8, False), (bfloat16, True)],
    ids=str,
)
@pytest.mark.parametrize("rows", [40, 9, 3, 2])
def test_squares_are_turned_in_registers(launcher, dtype, long, rows):
    """Also of fewer rows than a vector has lanes, whose loads go beyond the last row."""
    columns = 53
    i, j = indices(axes(rows, columns))
    value = load(0, j * rows + i, dtype)
    if long:
        value = apply("tanh", value.cast(float32) if dtype in STORAGE else value).cast(dtype)
    store = Store(Access(1, i * columns + j), value)
    size = rows * columns
    kernel = one_body("turned", axes(rows, columns), [Stage((), (), (store,))], (dtype, size), (dtype, size, True))
    assert "__builtin_shufflevector" in generate(kernel, capabilities("cpu")).text
    launcher.check(kernel, [numbers(size, dtype), zeros(size, dtype)], "cpu")


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("width", [6, 16, 40])
def test_padding_and_masked_stores(launcher, flavour, width):
    """A mask along the lanes and one across them; negative addresses where nothing is loaded."""
    i, j = indices(axes(5, width))
    inside = (Bound(j, 2, width - 1), Bound(i, 1, 4))
    value = load(0, (i - 1) * (width - 3) + j - 2, mask=inside)
    valid = leaf(VALID, bool_, inside)
    stores = (
        Store(Access(1, i * width + j), where(valid, value, -1.0)),
        Store(Access(2, i * width + j, (Bound(j, 1, width - 2),)), value + 5.0),
    )
    size = 5 * width
    kernel = one_body(
        "padded", axes(5, width), [Stage((), (), stores)],
        (float32, 3 * (width - 3)), (float32, size, True), (float32, size, True),
    )  # fmt: skip
    launcher.check(kernel, [numbers(3 * (width - 3)), zeros(size), numbers(size, seed=1)], flavour)


@pytest.mark.parametrize(("low", "high"), [(8, 24), (9, 24), (8, 27), (0, 40), (16, 48)])
@pytest.mark.parametrize("shift", [0, 8, 4])
def test_masks_that_cut_between_vectors_gather_no_lanes(launcher, low, high, shift):
    """One of three parts side by side: bounds at whole vectors hold for all lanes of one, or for none."""
    i, j = indices(axes(5, 48))
    shifted = j + shift
    mask = (Bound(shifted, low, high),)
    store = Store(Access(1, i * 48 + j), load(0, i * 64 + shifted, mask=mask) + 1.0)
    kernel = one_body("part", axes(5, 48), [Stage((), (), (store,))], (float32, 5 * 64), (float32, 5 * 48, True))
    between = all(limit <= shift or limit >= 48 + shift or (limit - shift) % 8 == 0 for limit in (low, high))
    assert (".s1 ?" not in text_of(kernel)) == between
    launcher.check(kernel, [numbers(5 * 64), zeros(5 * 48)], "cpu")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_divided_addresses_and_integer_values(launcher, flavour):
    size = 96
    i = variable("i0", size)
    value = load(0, i // 3) + load(0, (i % 7) * 2) - leaf(INDEX, int64, i * 3 - 5).cast(float32)
    shifted = load(0, (i - 50) // 4 + 13) * leaf(INDEX, int32, (i - 50) % 9).cast(float32)
    stores = (Store(Access(1, i), value), Store(Access(2, i), shifted))
    kernel = one_body(
        "divided",
        axes(size),
        [Stage((), (), stores)],
        (float32, 32),
        (float32, size, True),
        (float32, size, True),
    )
    launcher.check(kernel, [numbers(32), zeros(size), zeros(size)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("index_type", [int32, int64, uint8], ids=lambda d: d.name)
def test_gathers_touch_nothing_outside_their_mask(launcher, flavour, index_type):
    i, j = indices(axes(21, 12))
    place = Variable("d0", 9)
    at = Index(0, ((place, 1),))
    gathered = leaf(LOAD, float32, Access(0, at * 12 + j, (Bound(at, 0, 9),), (place,)), (load(1, i, index_type),))
    kernel = one_body(
        "gather", axes(21, 12), [Stage((), (), (Store(Access(2, i * 12 + j), gathered + 1.0),))],
        (float32, 108), (index_type, 21), (float32, 252, True),
    )  # fmt: skip
    rows = numpy.random.default_rng(3).integers(0, 9, 21).astype(index_type.numpy)
    rows[[2, 5]] = (200, 255) if index_type is uint8 else (-1, 2**31 - 1)
    launcher.check(kernel, [numbers(108), rows, zeros(252)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_scalars_and_movable_buffers(launcher, flavour):
    size = 30
    i = variable("i0", size)
    types = (float32, int64, bool_, float16, bfloat16, int8, float64)
    given = [leaf(ARGUMENT, dtype, n) for n, dtype in enumerate(types)]
    value = load(0, i) * given[0] + given[1].cast(float32) + given[3].cast(float32) * given[4].cast(float32)
    value = where(given[2], value, 0.0) + given[5].cast(float32) + given[6].cast(float32)
    buffers = (BufferDeclaration(float32, size, movable=True), BufferDeclaration(float32, size, True, True))
    body = Body(axes(size), (Stage((), (), (Store(Access(1, i), value),)),))
    kernel = Kernel("arguments", (body,), buffers, types)
    launcher.check(kernel, [numbers(90), numbers(60, seed=1)], flavour, (43, 20), (1.5, 3, True, 0.25, 2.0, -7, 0.125))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_several_bodies_share_the_work_groups(launcher, flavour):
    i, j = variable("i0", 300), variable("i0", 40)
    k = Variable("j0", 50)
    row = load(0, j * 7 + variable("j0", 50))
    bodies = (
        Body(axes(300), (Stage((), (), (Store(Access(1, i), load(0, i) + 1.0),)),)),
        Body(
            axes(40),
            (
                Stage((k,), (Reduction("sum", row, float32),)),
                Stage((), (), (Store(Access(2, j), reduced(0)),)),
            ),
        ),
        Body(
            axes(40),
            (
                Stage((k,), (Reduction("max", row, float32),)),
                Stage((), (), (Store(Access(3, j), reduced(0)),)),
            ),
        ),
        Body((), (Stage((), (), (Store(Access(4, Index(0)), load(0, Index(7))),)),)),
    )
    written = tuple(BufferDeclaration(float32, size, True) for size in (300, 40, 40, 1))
    kernel = Kernel("bundle", bodies, (BufferDeclaration(float32, 400), *written))
    launcher.check(kernel, [numbers(400), *(zeros(d.size) for d in written)], flavour)


def test_bodies_share_a_function_whether_or_not_their_last_blocks_are_full(launcher):
    sizes = (1 << 20, (1 << 20) + 8, 3 << 19)
    bodies = tuple(
        Body(axes(size), (Stage((), (), (Store(Access(1 + number, i), load(0, i) * 2.0),)),))
        for number, size in enumerate(sizes)
        for i in [variable("i0", size)]
    )
    written = tuple(BufferDeclaration(float32, size, True) for size in sizes)
    kernel = Kernel("doubled", bodies, (BufferDeclaration(float32, max(sizes)), *written))
    assert generate(kernel, capabilities("cpu")).text.count("NOT_INLINE") == 1
    launcher.check(kernel, [numbers(max(sizes)), *(zeros(size) for size in sizes)], "cpu")


@pytest.mark.parametrize("dtype", [float32, float64])
def test_square_roots_of_all_lanes_at_once(launcher, dtype):
    i = variable("i0", 64)
    body = Body(axes(64), (Stage((), (), (Store(Access(1, i), apply("sqrt", load(0, i, dtype))),)),))
    kernel = Kernel("roots", (body,), (BufferDeclaration(dtype, 64), BufferDeclaration(dtype, 64, True)))
    assert "__builtin_sqrt" not in generate(kernel, capabilities("cpu")).text
    values = abs(numbers(64)).astype(dtype.numpy)
    values[:4] = 0, -1, numpy.inf, numpy.nan
    launcher.check(kernel, [values, zeros(64).astype(dtype.numpy)], "cpu")


# ---- reductions


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("op", ["sum", "prod", "max", "min", "argmax", "argmin"])
@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("shape", [(7, 130), (40, 3), (16, 64)])
def test_reductions(launcher, flavour, op, columns, shape):
    points, length = shape
    (i,), (j,) = axes(points), axes(length, letter="j")
    at_i, at_j = indices((i,))[0], indices((j,))[0]
    place = at_j * points + at_i if columns else at_i * length + at_j
    value = load(0, place)
    if op == "prod":
        value = value * 0.1 + 1.0
    reduction = Reduction(op, value, float32, at_j if op.startswith("arg") else None)
    out = int64 if op.startswith("arg") else float32
    kernel = reduction_kernel(reduction, (i,), (j,), Access(1, at_i), (float32, points * length), (out, points, True))
    data = numbers(points * length)
    data[::7] = 1.0  # equal extremes: the first one counts
    launcher.check(kernel, [data, zeros(points, out)], flavour)
    data[[3, points * length - 1]] = numpy.nan
    launcher.check(kernel, [data, zeros(points, out)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", [bool_, uint8, int16, int32, int64, float64], ids=lambda d: d.name)
@pytest.mark.parametrize("op", ["sum", "max", "min", "argmax"])
def test_reductions_of_other_types(launcher, flavour, dtype, op):
    (i,), (j,) = axes(6), axes(45, letter="j")
    at_i, at_j = indices((i,))[0], indices((j,))[0]
    value = load(0, at_i * 45 + at_j, dtype)
    if op == "sum" and not dtype.is_float:
        value = value.cast(int64)
    reduction = Reduction(op, value, value.dtype, at_j if op == "argmax" else None)
    out = int64 if op == "argmax" else value.dtype
    kernel = reduction_kernel(reduction, (i,), (j,), Access(1, at_i), (dtype, 270), (out, 6, True))
    launcher.check(kernel, [numbers(270, dtype), zeros(6, out)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_infinite_rows_have_a_first_position(launcher, flavour):
    (i,), (j,) = axes(4), axes(40, letter="j")
    at_i, at_j = indices((i,))[0], indices((j,))[0]
    reduction = Reduction("argmax", load(0, at_i * 40 + at_j), float32, at_j)
    kernel = reduction_kernel(reduction, (i,), (j,), Access(1, at_i), (float32, 160), (int64, 4, True))
    launcher.check(kernel, [numpy.full(160, -numpy.inf, numpy.float32), numpy.full(4, 9)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_sums_to_one_number(launcher, flavour):
    inner = axes(3, 40, 7, letter="j")
    kernel = reduction_kernel(
        Reduction("sum", load(0, row_major(inner)), float32),
        (),
        inner,
        Access(1, Index(0)),
        (float32, 840),
        (float32, 1, True),
    )
    launcher.check(kernel, [numbers(840), zeros(1)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_sums_over_outer_and_inner_axes(launcher, flavour):
    """Channel sums of [n, c, h, w]: a row of several pieces."""
    (c,), (n, p) = axes(5), axes(6, 49, letter="j")
    at_c, (at_n, at_p) = indices((c,))[0], indices((n, p))
    value = load(0, (at_n * 5 + at_c) * 49 + at_p)
    kernel = reduction_kernel(
        Reduction("sum", value * value, float32),
        (c,),
        (n, p),
        Access(1, at_c),
        (float32, 1470),
        (float32, 5, True),
    )
    launcher.check(kernel, [numbers(1470), zeros(5)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("extent", [1 << 18, (1 << 18) + 5])
def test_long_float32_sums_stay_accurate(launcher, flavour, extent, monkeypatch):
    monkeypatch.undo()
    (j,) = axes(extent, letter="j")
    at_j = indices((j,))[0]
    kernel = reduction_kernel(
        Reduction("sum", load(0, at_j), float32),
        (),
        (j,),
        Access(1, Index(0)),
        (float32, extent),
        (float32, 1, True),
    )
    data = numpy.random.default_rng(0).random(extent, numpy.float32)
    result = launcher.run(kernel, [data, zeros(1)], flavour)[1]
    numpy.testing.assert_allclose(result[0], data.sum(dtype=numpy.float64), rtol=1e-6)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("shape", [(5, 64), (6, 37), (70, 4)])
def test_softmax(launcher, flavour, shape):
    rows, columns = shape
    launcher.check(softmax(rows, columns), [numbers(rows * columns), zeros(rows * columns)], flavour)


def test_costly_values_of_a_row_are_computed_once():
    """The exponentials of a softmax are kept between the sweep that adds and the one that divides."""
    text = generate(softmax(64, 256), capabilities("cpu")).text
    assert "kept" in text
    assert text.count("1.442695f") == 1


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("columns", [False, True], ids=["layer_norm", "batch_norm"])
def test_normalisation_in_three_sweeps(launcher, flavour, columns):
    points, length = 24, 50
    (i,), (j,) = axes(points), axes(length, letter="j")
    at_i, at_j = indices((i,))[0], indices((j,))[0]
    place = at_j * points + at_i if columns else at_i * length + at_j
    centred = load(0, place) - reduced(0) * (1 / length)
    scale = apply("rsqrt", reduced(1) * (1 / length) + 1e-5)
    stages = [
        Stage((j,), (Reduction("sum", load(0, place), float32),)),
        Stage((j,), (Reduction("sum", centred * centred, float32),)),
        Stage((j,), (), (Store(Access(2, place), centred * scale * load(1, at_i)),)),
        Stage((), (), (Store(Access(3, at_i), scale),)),
    ]
    size = points * length
    kernel = one_body(
        "norm",
        (i,),
        stages,
        (float32, size),
        (float32, points),
        (float32, size, True),
        (float32, points, True),
    )
    launcher.check(kernel, [numbers(size), numbers(points, seed=1), zeros(size), zeros(points)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_sweep_that_reduces_and_stores(launcher, flavour):
    (i,), (j,) = axes(9), axes(33, letter="j")
    at_i, at_j = indices((i,))[0], indices((j,))[0]
    value = load(0, at_i * 33 + at_j) * 2.0
    both = (Reduction("sum", value, float32), Reduction("min", value, float32))
    stages = [
        Stage((j,), both, (Store(Access(1, at_i * 33 + at_j), value),)),
        Stage((), (), (Store(Access(2, at_i), reduced(0) + reduced(1)),)),
    ]  # fmt: skip
    kernel = one_body("both", (i,), stages, (float32, 297), (float32, 297, True), (float32, 9, True))
    launcher.check(kernel, [numbers(297), zeros(297), zeros(9)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_contraction_of_expressions(launcher, flavour):
    (i, j), (k,) = axes(13, 10), axes(21, letter="j")
    at_i, at_j, at_k = *indices((i, j)), indices((k,))[0]
    a, b = load(0, at_i * 21 + at_k), load(1, at_k * 10 + at_j)
    stages = [
        Stage((k,), (Contraction(where(a <= 0.0, 0.0, a), b, float32),)),
        Stage((), (), (Store(Access(2, at_i * 10 + at_j), reduced(0) + 1.0),)),
    ]
    kernel = one_body("product", (i, j), stages, (float32, 273), (float32, 210), (float32, 130, True))
    launcher.check(kernel, [numbers(273), numbers(210, seed=1), zeros(130)], flavour)


@pytest.mark.parametrize("vectors", VECTORS)
@pytest.mark.parametrize(
    ("rows", "columns", "depth"), [(30, 32, 20), (17, 48, 300), (3, 16, 8), (20, 10, 40), (9, 77, 5)]
)
def test_register_tiles(launcher, vectors, rows, columns, depth):
    kernel = matmul(rows, columns, depth)
    arrays = [numbers(rows * depth), numbers(depth * columns, seed=1), zeros(rows * columns)]
    launcher.check(kernel, arrays, "cpu", vectors=vectors)
    text = generate(kernel, capabilities("cpu", vectors)).text
    rows_of_tile, width = map(int, re.search(r"tiles of (\d+) x (\d+)", text).groups())
    columns_of_tile = -(-4 * width // vectors.bytes)
    assert rows_of_tile * columns_of_tile + columns_of_tile < vectors.registers


@pytest.mark.parametrize(("depth", "condition"), [(40, ""), (3000, "if (last_block) ")])
def test_epilogues_fetch_what_they_read_and_fuse_products(launcher, depth, condition):
    """All rows of a tile, before its sums, and in the sum's last block alone; a product behind a load is fused."""
    rows, columns = 20, 32
    plain = matmul(rows, columns, depth)
    ((axes_, (summed, stored)),) = ((body.axes, body.stages) for body in plain.bodies)
    at = stored.stores[0].access.address
    value = load(2, at) + load(2, at) * reduced(0) * 0.5
    stages = [summed, replace(stored, stores=(Store(Access(3, at), value),))]
    size = rows * columns
    buffers = ((float32, rows * depth), (float32, depth * columns), (float32, size), (float32, size, True))
    kernel = one_body("update", axes_, stages, *buffers)
    arrays = [numbers(rows * depth), numbers(depth * columns, seed=1), numbers(size, seed=2), zeros(size)]
    launcher.check(kernel, arrays, "cpu")
    text = generate(kernel, capabilities("cpu")).text
    fetching, storing = (part.start() for part in re.finditer(r"for \(long r = 0; r < tile_rows; r\+\+\) {", text))
    assert text[:fetching].endswith(condition or "    ")
    assert "FETCH(b2 + " in text[fetching:storing]
    assert "FETCH_TO_STORE(b3 + " in text[fetching:storing]
    assert re.search(r"= \w+ \+ \(\w+ \* 0\.5f\);", text[storing:])


# ---- scatter


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("columns", [2, 5, 64])
def test_scatter_add(launcher, flavour, columns):
    updates, rows = 40, 7
    where_to = numpy.random.default_rng(4).integers(0, rows, updates)
    arrays = [numbers(updates * columns), where_to, numbers(rows * columns, seed=1)]
    launcher.check(scatter_add(updates, columns, rows), arrays, flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", [float32, bfloat16, int64], ids=lambda d: d.name)
@pytest.mark.parametrize("mode", ["add", "set"])
def test_scatter_keeps_its_order_and_its_mask(launcher, flavour, dtype, mode):
    """The last of several stores to one place stays; places outside are left out."""
    (c,), (t,), (u,) = axes(12), axes(5, letter="j"), axes(20, letter="k")
    at_c, at_t, at_u = (indices((a,))[0] for a in (c, t, u))
    place = Variable("d0", 5)
    at = Index(0, ((place, 1),))
    value = load(0, at_u * 12 + at_c).cast(dtype)
    target = Access(2, at * 12 + at_c, (Bound(at, 0, 5),), (place,))
    stages = [
        Stage((t,), (), (Store(Access(2, at_t * 12 + at_c), constant(3, dtype)),)),
        Stage((u,), (), (Store(target, value, mode, (load(1, at_u, int64),)),), sequential=True),
    ]
    kernel = one_body("scatter", (c,), stages, (float32, 240), (int64, 20), (dtype, 60, True))
    where_to = numpy.random.default_rng(5).integers(-1, 6, 20)
    data = numpy.round(numbers(240) * 4)
    launcher.check(kernel, [data.astype(numpy.float32), where_to, zeros(60, dtype)], flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("columns", [2, 64])
def test_additions_in_any_order_are_made_in_order(launcher, flavour, columns):
    """There are no atomic additions here: the code is that of a sequential stage."""
    ordered = scatter_add(40, columns, 7)
    (body,) = ordered.bodies
    first, added = body.stages
    free = replace(ordered, bodies=(Body(body.axes, (first, replace(added, sequential=False))),))
    assert generate(free, capabilities(flavour)).text == generate(ordered, capabilities(flavour)).text
    where_to = numpy.random.default_rng(4).integers(0, 7, 40)
    launcher.check(free, [numbers(40 * columns), where_to, numbers(7 * columns, seed=1)], flavour)


# ---- text


def test_text_is_the_same_every_time_and_names_axes():
    first, second = (generate(softmax(64, 200), capabilities("cpu")).text for _ in range(2))
    assert first == second
    assert "// i0 of 64" in first
    assert "// j0 of 200, 8 lanes" in first


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_processors_get_no_library_functions(flavour):
    """PoCL does not inline them: they cost more than all the rest."""
    i = variable("i0", 64)
    value = apply("exp", load(0, i)) + apply("tanh", load(0, i))
    text = generate(pointwise(value, 64), capabilities(flavour)).text
    assert ("= exp(" in text) is (flavour == "gpu")


def test_a_kernel_may_be_called_like_a_function_of_the_library(launcher):
    i = variable("i0", 40)
    kernel = pointwise(apply("sin", load(0, i)), 40, name="sin")
    source = generate(kernel, capabilities("gpu"))
    assert source.text.count(source.function) == 1
    launcher.check(kernel, [numbers(40), zeros(40)], "gpu")
