"""``triton:interpret`` as a device: found by its name, with memory, programs and files as any other."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy
import pytest

from lazygrad.ir.dtype import DTYPES, bfloat16, float16, float32, float64, int64
from lazygrad.ir.layout import Layout, Part, ordered, strided
from lazygrad.runtime import Buffer, canonical_device, device, statistics
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.handwritten import SIZE, each, kernel, source, times, times_source
from lazygrad_triton.entry_point import TritonBackend
from lazygrad_triton.generated import Launch
from lazygrad_triton.interpreting import InterpretingDevice

X = numpy.arange(SIZE, dtype=numpy.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path))
    return tmp_path


def run(opened, which, x, offsets=(), scalars=(), out=float32):
    (program,) = opened.compile([which])
    read = opened.from_host(x, float32)
    written = opened.from_host(numpy.zeros(SIZE, out.numpy), out)
    program.launch([read.allocation.memory, written.allocation.memory], offsets, scalars)
    return opened.to_host(written)


def test_it_is_opened_by_its_name():
    assert canonical_device("triton:interpret") == "triton:interpret"
    opened = device("triton:interpret")
    assert opened.is_processor
    assert isinstance(opened, InterpretingDevice)
    backend = TritonBackend()
    assert backend.open("interpret") is backend.open("interpret")
    assert "triton:interpret" not in [found.name for found in backend.devices()]


def test_it_pretends_to_be_a_small_graphics_processor():
    capabilities = InterpretingDevice().capabilities
    machine = capabilities.machine
    assert (machine.flavour, machine.cores, machine.compute_capability) == ("block", 4, 80)
    assert capabilities.dtypes == frozenset(DTYPES)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5)])
def test_what_goes_to_the_device_comes_back(dtype, shape):
    opened = InterpretingDevice()
    array = numpy.asarray(numpy.random.default_rng(0).uniform(0, 100, shape)).astype(dtype.numpy)
    buffer = opened.from_host(array, dtype)
    result = opened.to_host(buffer)
    assert (result.shape, result.dtype) == (shape, dtype.numpy)
    numpy.testing.assert_array_equal(result, array)
    if result.size:
        result[...] = 0  # it is the caller's own
        numpy.testing.assert_array_equal(opened.to_host(buffer), array)


@pytest.mark.parametrize(
    "layout",
    [
        ordered((2, 3, 4), (0, 2, 1)),
        strided((3, 4), (0, 2)),
        Layout((4, 6), (Part(1, 4, 2, 16), Part(0, 1, 4, 4), Part(1, 1, 4, 1)), 32),
        Layout((2, 3), (Part(0, 1, 2, 5), Part(1, 1, 3, 1)), 18, 6),
    ],
    ids=["channels last", "expanded", "panels", "halo"],
)
@pytest.mark.parametrize("offset", [0, 7])
def test_any_layout_is_read_in_the_order_of_the_indices(layout, offset):
    opened = InterpretingDevice()
    memory = numpy.arange(layout.size + offset, dtype=numpy.float32)
    flat = opened.from_host(memory, float32)
    expected = numpy.empty(layout.shape, numpy.float32)
    for point in numpy.ndindex(*layout.shape):
        address = layout.offset
        for part in layout.parts:
            address += (point[part.axis] // part.divisor) % part.extent * part.stride
        expected[point] = memory[offset + address]
    result = opened.to_host(Buffer(flat.allocation, layout.shape, float32, opened.name, layout, offset))
    numpy.testing.assert_array_equal(result, expected)
    assert result.flags.c_contiguous


def test_a_kernel_runs_and_is_compiled_once(cache):
    opened = InterpretingDevice(times_source)
    with statistics.counting() as counted:
        numpy.testing.assert_array_equal(run(opened, times(3), X), X * 3)
        numpy.testing.assert_array_equal(run(opened, times(3), X + 1), X * 3 + 3)
    assert (counted.kernels_built, counted.kernels_launched) == (1, 2)
    (path,) = cache.glob("triton/interpret/times3_*.py")
    assert path.read_text() == opened.source(times(3))


def test_a_cache_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file stands where the folder should be")
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "file"))
    numpy.testing.assert_array_equal(run(InterpretingDevice(times_source), times(3), X), X * 3)


def test_several_launches():
    def generate(which, capabilities):
        body = "i = tl.program_id(0) * 8 + tl.arange(0, 8)\ntl.store(b1 + i, tl.load(b1 + i) + tl.load(b0 + i))"
        return source(which, body, launches=(Launch("first", 8), Launch("second", 4)))

    result = run(InterpretingDevice(generate), kernel("twice"), X)
    numpy.testing.assert_array_equal(result, X * numpy.where(X < 32, 2, 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_scalars_of_every_dtype(dtype):
    value = {"bool": True, "uint8": 200, "int8": -100, "int16": -30_000, "int32": -(2**31), "int64": 2**62 + 1}.get(
        dtype.name, 0.1
    )
    out = int64 if not dtype.is_float else float64 if dtype is float64 else float32
    kind = "tl.int64" if out is int64 else "tl.float32"
    opened = InterpretingDevice(lambda k, c: source(k, each(f"i.to({kind}) * 0 + s0")))
    result = run(opened, kernel("scalar", (dtype,), out=out), X, scalars=[value], out=out)
    half = {float16: numpy.float16, bfloat16: ml_dtypes.bfloat16}.get(dtype)
    expected = float(half(value)) if half else int(value) if not dtype.is_float else out.numpy.type(value)
    assert result[0] == expected


def test_offsets_and_what_lies_outside_of_a_window():
    opened = InterpretingDevice(lambda k, c: source(k, each("tl.load(b0 + o0 + i)")))
    moving = kernel("moving", movable=True)
    x = numpy.arange(100, dtype=numpy.float32)
    for offset in (0, 16, 5, 36):
        numpy.testing.assert_array_equal(run(opened, moving, x, [offset]), x[offset : offset + 64])
    beyond = InterpretingDevice(lambda k, c: source(k, each("tl.load(b0 + o0 + i + 1)")))
    with pytest.raises(RuntimeError, match="loads from buffer 0 at element 64 of 64"):
        run(beyond, moving, x, [5])


def test_what_is_only_read_cannot_be_written():
    opened = InterpretingDevice(lambda k, c: source(k, each("0.0").replace("b1", "b0")))
    with pytest.raises(RuntimeError, match="stores to buffer 0, which the kernel only reads"):
        run(opened, kernel("backwards"), X)


def test_wrong_arguments_are_refused():
    opened = InterpretingDevice(times_source)
    (program,) = opened.compile([times(2)])
    with pytest.raises(TypeError, match="kernel times2 takes 2 buffers, 0 offsets and 0 scalars, got 1, 0 and 1"):
        program.launch([opened.from_host(X, float32).allocation.memory], (), [1.0])


def test_an_error_names_the_line_of_the_file(cache):
    opened = InterpretingDevice(lambda k, c: source(k, each("tl.load(b0 + i) + missing")))
    with pytest.raises(
        RuntimeError, match=r"wrong_kernel failed in Triton's interpreter at .*\.py:9: NameError"
    ) as caught:
        run(opened, kernel("wrong"), X)
    path = Path(str(caught.value).split(" at ")[1].split(":9:")[0])
    assert "missing" in path.read_text().splitlines()[8]


def test_memory_is_used_again():
    opened = InterpretingDevice(times_source)
    for _ in range(5):
        run(opened, times(2), X)
    assert opened.pool.statistics().allocations == 2
