from __future__ import annotations

import threading
from pathlib import Path

import ml_dtypes
import numpy
import pytest

import lazygrad as lg
from lazygrad.ir.dtype import DTYPES, bfloat16, float16, float32, float64, int64
from lazygrad.ir.layout import Layout, Part, ordered, strided
from lazygrad.runtime import BackendError, Buffer, CompileError, OutOfMemoryError, profile, statistics
from lazygrad_opencl import backend

if not backend.devices():
    pytest.skip("there is no OpenCL device", allow_module_level=True)

from backends.opencl.handwritten import SIZE, each, kernel, open_device, source, times


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path))
    return tmp_path


def run(device, which, x, offsets=(), scalars=(), out=float32):
    (program,) = device.compile([which])
    read = device.from_host(x, float32)
    written = device.from_host(numpy.zeros(SIZE, out.numpy), out)
    program.launch([read.allocation.memory, written.allocation.memory], offsets, scalars)
    return device.to_host(written)


X = numpy.arange(SIZE, dtype=numpy.float32)


# ---- devices


def test_devices_are_numbered_and_opened_once():
    names = [information.name for information in backend.devices()]
    assert names == [f"opencl:{number}" for number in range(len(names))]
    assert backend.open("") is backend.open("0")
    assert backend.open("0").name == "opencl:0"


@pytest.mark.parametrize("variant", ["99", "x", "-1", "²"])
def test_a_device_that_does_not_exist(variant):
    with pytest.raises(BackendError, match=r"there is no OpenCL device 'opencl:.*'; there is opencl:0 \(.+\)"):
        backend.open(variant)


def test_capabilities(monkeypatch):
    capabilities = open_device().capabilities
    machine = capabilities.machine
    assert machine.cores >= 1
    assert machine.vector_bytes in (16, 32, 64)
    assert machine.local_memory >= 16 * 1024
    assert capabilities.argument_limit >= 16
    assert bfloat16 in capabilities.dtypes
    monkeypatch.setenv("LAZYGRAD_OPENCL_FLAVOUR", "gpu")
    assert open_device().capabilities.machine.flavour == "gpu"
    monkeypatch.setenv("LAZYGRAD_OPENCL_FLAVOUR", "tpu")
    with pytest.raises(ValueError, match="LAZYGRAD_OPENCL_FLAVOUR must be cpu or gpu, got 'tpu'"):
        open_device()


# ---- transfers


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 0, 4)])
def test_what_goes_to_the_device_comes_back(dtype, shape):
    device = open_device()
    if dtype not in device.dtypes:
        pytest.skip("the device has no such dtype")
    array = numpy.random.default_rng(0).uniform(0, 100, shape)
    array = numpy.asarray(array).astype(dtype.numpy)
    buffer = device.from_host(array, dtype)
    result = device.to_host(buffer)
    assert result.shape == shape
    assert result.dtype == dtype.numpy
    numpy.testing.assert_array_equal(result, array)


def test_arrays_need_not_be_contiguous():
    device = open_device()
    array = numpy.arange(24, dtype=numpy.float32).reshape(4, 6)[::-2, ::3].T
    numpy.testing.assert_array_equal(device.to_host(device.from_host(array, float32)), array)


@pytest.mark.parametrize(
    "layout",
    [
        ordered((2, 3, 4), (0, 2, 1)),
        ordered((2, 3, 4), (2, 1, 0)),
        strided((3, 4), (0, 2)),
        Layout((4, 6), (Part(1, 4, 2, 16), Part(0, 1, 4, 4), Part(1, 1, 4, 1)), 32),
        Layout((2, 3), (Part(0, 1, 2, 5), Part(1, 1, 3, 1)), 18, 6),
        Layout((2, 6), (Part(0, 1, 2, 6), Part(1, 2, 3, 2), Part(1, 1, 2, 1)), 15, 3),
    ],
    ids=["channels last", "reversed", "expanded", "panels", "halo", "split with halo"],
)
@pytest.mark.parametrize("offset", [0, 7])
def test_any_layout_is_read_in_the_order_of_the_indices(layout, offset):
    device = open_device()
    memory = numpy.arange(layout.size + offset, dtype=numpy.float32)
    flat = device.from_host(memory, float32)
    buffer = Buffer(flat.allocation, layout.shape, float32, device.name, layout, offset)
    expected = numpy.empty(layout.shape, numpy.float32)
    for point in numpy.ndindex(*layout.shape):
        address = layout.offset
        for part in layout.parts:
            address += (point[part.axis] // part.divisor) % part.extent * part.stride
        expected[point] = memory[offset + address]
    result = device.to_host(buffer)
    numpy.testing.assert_array_equal(result, expected)
    assert result.flags.c_contiguous
    assert result.flags.owndata or result.base.size == result.size


def test_a_host_array_may_change_while_work_is_pending():
    device = open_device(lambda k, c: source(k, "for (int r = 0; r < 20000; r++) " + each("b0[i] + b1[i] * 0.5f")))
    (program,) = device.compile([kernel("slow")])
    busy = [device.from_host(X, float32) for _ in range(2)]
    memories = [buffer.allocation.memory for buffer in busy]
    program.launch(memories, (), ())
    array = numpy.full(SIZE, 1, numpy.float32)
    buffers = []
    for n in range(5):
        program.launch(memories, (), ())
        array[:] = n
        buffers.append(device.from_host(array, float32))
    array[:] = -1
    del array
    for n, buffer in enumerate(buffers):
        assert (device.to_host(buffer) == n).all()
    device.synchronize()
    assert not device._uploads


# ---- launches


def test_a_kernel_runs():
    numpy.testing.assert_array_equal(run(open_device(), times(3), X), X * 3)


def test_offsets_and_scalars_may_change_from_launch_to_launch():
    device = open_device(lambda k, c: source(k, each("i + o0 < 64 ? b0[i + o0] * s0 : s0")))
    moving = kernel("moving", (float32,), movable=True)
    for offset, factor in ((0, 2.0), (5, 2.0), (5, -0.0), (5, 0.0), (0, 0.0)):
        expected = numpy.full(SIZE, factor, numpy.float32)
        expected[: SIZE - offset] = X[offset:] * numpy.float32(factor)
        result = run(device, moving, X, [offset], [factor])
        numpy.testing.assert_array_equal(result, expected)
        numpy.testing.assert_array_equal(numpy.signbit(result), numpy.signbit(expected))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_scalars_of_every_dtype(dtype):
    value = {"bool": True, "uint8": 200, "int8": -100, "int16": -30_000, "int32": -(2**31), "int64": 2**62 + 1}.get(
        dtype.name, 0.1
    )
    out = int64 if not dtype.is_float else float64 if dtype is float64 else float32
    device = open_device(lambda k, c: source(k, each("s0")))
    if dtype not in device.dtypes or out not in device.dtypes:
        pytest.skip("the device has no such dtype")
    result = run(device, kernel("scalar", (dtype,), out=out), X, scalars=[value], out=out)
    half = {float16: numpy.float16, bfloat16: ml_dtypes.bfloat16}.get(dtype)
    expected = float(half(value)) if half else int(value) if not dtype.is_float else out.numpy.type(value)
    assert result[0] == expected


def test_buffers_may_change_from_launch_to_launch():
    device = open_device()
    (program,) = device.compile([times(2)])
    for n in range(20):
        read, written = device.from_host(X + n, float32), device.from_host(X, float32)
        if n % 5 == 0:
            device.pool.empty_cache()  # addresses come back with other buffers behind them
        program.launch([read.allocation.memory, written.allocation.memory], (), ())
        numpy.testing.assert_array_equal(device.to_host(written), (X + n) * 2)


def test_scratch_memory_is_shared_and_grows():
    def generate(which, capabilities):
        size = 4 * SIZE * (2 if which.name == "large" else 1)
        body = "__global float* t = (__global float*)scratch;\n"
        body += f"for (int i = 0; i < {SIZE}; i++) t[i] = b0[i] + 1.0f;\n" + each("t[i]")
        return source(which, body, size)

    device = open_device(generate)
    for name in ("small", "large", "small"):
        numpy.testing.assert_array_equal(run(device, kernel(name), X), X + 1)


def test_work_groups():
    device = open_device(lambda k, c: source(k, "int i = get_group_id(0); b1[i] = b0[i] * i;", groups=SIZE))
    numpy.testing.assert_array_equal(run(device, kernel("groups"), X), X * X)


def test_wrong_arguments_are_refused_before_anything_is_set():
    device = open_device()
    (program,) = device.compile([times(2)])
    with pytest.raises(TypeError, match="kernel times2 takes 2 buffers, 0 offsets and 0 scalars, got 1, 0 and 1"):
        program.launch([device.from_host(X, float32).allocation.memory], (), [1.0])


def test_many_threads_launch_one_program():
    device = open_device(lambda k, c: source(k, each("b0[i] + s0")))
    (program,) = device.compile([kernel("adding", (float32,))])
    wrong = []

    def work(number):
        for n in range(50):
            read, written = device.from_host(X, float32), device.from_host(X, float32)
            program.launch([read.allocation.memory, written.allocation.memory], (), [number * 100.0 + n])
            if not (device.to_host(written) == X + (number * 100 + n)).all():
                wrong.append((number, n))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_profile(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_DEBUG", "1")
    device = open_device()
    run(device, times(3), X)
    device.synchronize()
    ((name, (count, seconds)),) = profile.seconds(device.profile.runs).items()
    assert name.startswith("times3_")
    assert count == 1
    assert 0 < seconds < 1


# ---- programs


def test_what_was_compiled_is_not_compiled_again():
    device = open_device()
    with statistics.counting() as first:
        programs = device.compile([times(n) for n in range(40)])
    assert (first.programs_built, first.kernels_built, first.kernels_loaded) == (2, 40, 0)
    assert [program.kernel for program in programs] == [times(n) for n in range(40)]
    with statistics.counting() as second:
        again = device.compile([times(3), times(3), times(39)])
        run(device, times(3), X)
    assert again[0] is again[1] is programs[3]
    assert (second.programs_built, second.programs_loaded, second.kernels_launched) == (0, 0, 1)


def test_equal_sources_are_built_once():
    device = open_device(lambda k, c: source(kernel("same"), each("b0[i]")))
    with statistics.counting() as counted:
        device.compile([times(1), times(2)])
    assert counted.kernels_built == 1


def test_names_of_functions_may_clash():
    texts = iter([each("1.f"), each("2.f")])
    device = open_device(lambda k, c: source(kernel("f"), next(texts)))
    first, second = device.compile([times(1), times(2)])
    out = device.from_host(X, float32)
    for program, expected in ((first, 1), (second, 2)):
        program.launch([out.allocation.memory, out.allocation.memory], (), ())
        assert (device.to_host(out) == expected).all()


def test_a_build_error_names_the_kernel_the_log_and_the_source():
    device = open_device(lambda k, c: source(k, each("b0[i]" if k.name != "times2" else "b0[i] + wrong_name")))
    with pytest.raises(CompileError) as caught:
        device.compile([times(1), times(2), times(3)])
    message = str(caught.value)
    assert "refused generated source: kernel times2_" in message
    assert "wrong_name" in message
    path = message.split("The source is in ")[1].split(". The compiler")[0]
    assert "wrong_name" in Path(path).read_text()
    numpy.testing.assert_array_equal(run(device, times(1), X), X)


def test_transfers_are_counted():
    device = open_device()
    with statistics.counting() as counted:
        buffer = device.from_host(X, float32)
        device.to_host(buffer)
    assert (counted.host_to_device_transfers, counted.host_to_device_bytes) == (1, X.nbytes)
    assert (counted.device_to_host_transfers, counted.device_to_host_bytes) == (1, X.nbytes)


# ---- memory


def test_out_of_memory():
    device = open_device()
    device.pool.limit = 1 << 20
    held = device.from_host(numpy.zeros(1 << 17, numpy.float32), float32)
    with pytest.raises(OutOfMemoryError, match=r"opencl:0 is out of memory: 1.0 MiB were asked for") as caught:
        device.from_host(numpy.zeros(1 << 18, numpy.float32), float32)
    assert __file__ in str(caught.value)
    assert (device.to_host(held) == 0).all()


def test_a_buffer_that_the_driver_refuses():
    device = open_device()
    device.pool.limit = None
    with pytest.raises(OutOfMemoryError, match=r"one buffer may have \d+ bytes on this device"):
        device.pool.take(1 << 60)


def test_kernels_that_share_a_function_keep_their_own_arguments():
    """Unequal kernels may give equal texts; each launch must see its own buffers all the same."""

    def widened(x):
        return lg.tensor(x, device="opencl:0", dtype=lg.bfloat16).realize().float().realize().numpy()

    wide, tall = numpy.arange(32 * 128.0).reshape(32, 128) % 97, numpy.arange(128 * 32.0).reshape(128, 32) % 89
    for _ in range(3):
        numpy.testing.assert_array_equal(widened(wide), wide)
        numpy.testing.assert_array_equal(widened(tall), tall)


class Meddling:
    """A number that launches something while it is made an argument."""

    def __init__(self, number, launch):
        self.number = number
        self.launch = launch

    def __float__(self):
        launch, self.launch = self.launch, lambda: None
        launch()
        return self.number


def test_a_launch_in_the_middle_of_a_launch_does_not_change_its_arguments():
    """As when the garbage collector runs a finalizer that computes."""
    declared = kernel("scalar", (float32, float32))
    device = open_device(lambda k, capabilities: source(k, each("b0[i] * s0 + s1")))
    (program,) = device.compile([declared])
    ones, twos = device.from_host(X * 0 + 1, float32), device.from_host(X * 0 + 2, float32)
    results = [device.empty((SIZE,), float32) for _ in range(2)]

    def other():
        program.launch([twos.allocation.memory, results[1].allocation.memory], [], [10.0, 3.0])

    program.launch([ones.allocation.memory, results[0].allocation.memory], [], [Meddling(5.0, other), 4.0])
    assert device.to_host(results[0]).tolist() == [9.0] * SIZE
    assert device.to_host(results[1]).tolist() == [23.0] * SIZE
