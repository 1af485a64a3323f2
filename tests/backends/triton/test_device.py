"""The CUDA device on a driver in memory: copies, launches, memory, errors, times."""

from __future__ import annotations

import threading

import ml_dtypes
import numpy
import pytest

from lazygrad.ir.dtype import DTYPES, bfloat16, float16, float32, float64, int32, int64
from lazygrad.ir.layout import ordered, strided
from lazygrad.kernel.kernel import BufferDeclaration, Kernel
from lazygrad.runtime import Buffer, OutOfMemoryError, profile, statistics
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.cuda_objects import H100, Status
from backends.triton.fake_cuda import FakeCuda
from backends.triton.handwritten import SIZE, FakeBuilder, each, found_device, kernel, open_device, source, times
from lazygrad_triton.device import TritonDevice
from lazygrad_triton.driver import DriverError
from lazygrad_triton.generated import Launch
from lazygrad_triton.staging import Ring, Staging

X = numpy.arange(SIZE, dtype=numpy.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def cuda():
    fake = FakeCuda()
    yield fake
    raised = fake.raised
    fake.forget()
    if raised is not None:
        raise raised


def run(device, which, x, offsets=(), scalars=(), out=float32):
    (program,) = device.compile([which])
    read = device.from_host(x, float32)
    written = device.from_host(numpy.zeros(SIZE, out.numpy), out)
    program.launch([read.allocation.memory, written.allocation.memory], offsets, scalars)
    return device.to_host(written)


# ---- the device


def test_capabilities(cuda):
    device = open_device(cuda=cuda)
    assert device.name == "triton:0"
    assert device.information.description == "Fake 0"
    assert device.information.driver.startswith("CUDA 12.8, triton 3.")
    machine = device.capabilities.machine
    assert (machine.flavour, machine.cores, machine.compute_capability) == ("block", 132, 90)
    assert (machine.matrix_units, machine.warp_size, machine.registers) == ("warp group", 32, 65536)
    assert (machine.local_memory, machine.level2_cache) == (227 * 1024, 50 << 20)
    assert device.capabilities.argument_limit == 248


def test_an_ampere_device(cuda):
    cuda.devices = ({**H100, "COMPUTE_CAPABILITY_MAJOR": 8, "COMPUTE_CAPABILITY_MINOR": 6},)
    machine = open_device(cuda=cuda).capabilities.machine
    assert (machine.matrix_units, machine.compute_capability) == ("warp", 86)


# ---- copies


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 0, 4)])
def test_what_goes_to_the_device_comes_back(cuda, dtype, shape):
    device = open_device(cuda=cuda)
    array = numpy.asarray(numpy.random.default_rng(0).uniform(0, 100, shape)).astype(dtype.numpy)
    result = device.to_host(device.from_host(array, dtype))
    assert (result.shape, result.dtype) == (shape, dtype.numpy)
    numpy.testing.assert_array_equal(result, array)


def test_layouts_and_windows(cuda):
    device = open_device(cuda=cuda)
    flat = device.from_host(numpy.arange(40, dtype=numpy.float32), float32)
    for layout in (ordered((2, 3, 4), (0, 2, 1)), strided((3, 4), (0, 2))):
        window = Buffer(flat.allocation, layout.shape, float32, device.name, layout, 7)
        expected = numpy.lib.stride_tricks.as_strided(
            numpy.arange(7, 40, dtype=numpy.float32), layout.shape, [4 * s for s in layout.strides]
        )
        numpy.testing.assert_array_equal(device.to_host(window), expected)


def test_an_upload_is_not_waited_for_and_the_array_may_change(cuda):
    device = open_device(cuda=cuda)
    array = X.copy()
    buffers = []
    for n in range(5):
        array[:] = n
        buffers.append(device.from_host(array, float32))
    array[:] = -1
    assert len(cuda.stream) == 10  # a copy and an event each
    for n, buffer in enumerate(buffers):
        assert (device.to_host(buffer) == n).all()


def test_large_copies_go_through_few_chunks(cuda):
    device = open_device(cuda=cuda)
    device._staging = Staging(device.context, Ring(1000, 2), Ring(4096, 3))
    arrays = [numpy.random.default_rng(n).integers(0, 255, 100_001 + n, numpy.uint8) for n in range(3)]
    small = [numpy.full(900, n, numpy.uint8) for n in range(7)]
    uint8 = next(dtype for dtype in DTYPES if dtype.name == "uint8")
    buffers = [device.from_host(array, uint8) for array in (*arrays, *small)]
    for array, buffer in zip((*arrays, *small), buffers, strict=True):
        numpy.testing.assert_array_equal(device.to_host(buffer), array)
    assert cuda.calls.count("cuMemHostAlloc") == 5


def test_transfers_are_counted(cuda):
    device = open_device(cuda=cuda)
    with statistics.counting() as counted:
        device.to_host(device.from_host(X, float32))
        device.to_host(device.from_host(X[:0], float32))
    assert (counted.host_to_device_transfers, counted.host_to_device_bytes) == (1, X.nbytes)
    assert (counted.device_to_host_transfers, counted.device_to_host_bytes) == (1, X.nbytes)


# ---- launches


def test_a_kernel_runs(cuda):
    device = open_device(cuda=cuda)
    with statistics.counting() as counted:
        numpy.testing.assert_array_equal(run(device, times(3), X), X * 3)
    assert counted.kernels_launched == 1
    assert cuda.launches == [("times3_kernel", 1)]


def test_a_launch_is_not_waited_for(cuda):
    device = open_device(cuda=cuda)
    (program,) = device.compile([times(2)])
    out = device.from_host(X, float32)
    device.synchronize()
    for _ in range(3):
        program.launch([out.allocation.memory] * 2, (), ())
    assert len(cuda.stream) == 3
    numpy.testing.assert_array_equal(device.to_host(out), X * 8)


def test_programs_and_several_launches(cuda):
    def generate(which, capabilities):
        launches = (Launch("first", 8, 2), Launch("second", 4, 8))
        body = "i = tl.program_id(0) * 8 + tl.arange(0, 8)\ntl.store(b1 + i, tl.load(b1 + i) + tl.load(b0 + i))"
        return source(which, body, launches=launches)

    result = run(open_device(generate, cuda), kernel("twice"), X)
    numpy.testing.assert_array_equal(result, X * numpy.where(X < 32, 2, 1))
    assert cuda.launches == [("first", 8), ("second", 4)]


def test_scalars_may_change_from_launch_to_launch(cuda):
    device = open_device(lambda k, c: source(k, each("tl.load(b0 + i) * s0 + s1")), cuda)
    for factor, added in ((2.0, 1), (2.0, -5), (-0.0, 0), (1e-40, 0), (1e39, 2**31 - 1), (float("nan"), -(2**31))):
        result = run(device, kernel("scaled", (float32, int32)), X, scalars=[factor, added])
        with numpy.errstate(all="ignore"):
            expected = X * numpy.float32(factor) + numpy.float32(added)
        numpy.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_scalars_of_every_dtype(cuda, dtype):
    value = {"bool": True, "uint8": 200, "int8": -100, "int16": -30_000, "int32": -(2**31), "int64": 2**62 + 1}.get(
        dtype.name, 0.1
    )
    out = int64 if not dtype.is_float else float64 if dtype is float64 else float32
    device = open_device(
        lambda k, c: source(k, each(f"i.to({'tl.int64' if out is int64 else 'tl.float32'}) * 0 + s0")), cuda
    )
    result = run(device, kernel("scalar", (dtype,), out=out), X, scalars=[value], out=out)
    half = {float16: numpy.float16, bfloat16: ml_dtypes.bfloat16}.get(dtype)
    expected = float(half(value)) if half else int(value) if not dtype.is_float else out.numpy.type(value)
    assert result[0] == expected


def test_offsets_choose_the_variant(cuda):
    builder = FakeBuilder()
    device = open_device(
        lambda k, c: source(k, each("tl.load(b0 + o0 + i, mask=i + o0 < 64, other=-1.0)")), cuda, builder
    )
    moving = Kernel(
        "moving", (), (BufferDeclaration(float32, SIZE, movable=True), BufferDeclaration(float32, SIZE, written=True))
    )
    for offset in (0, 16, 32):  # the fake refuses a promise that is not kept
        expected = numpy.concatenate([X[offset:], numpy.full(offset, -1, numpy.float32)])
        numpy.testing.assert_array_equal(run(device, moving, X, [offset]), expected)
    assert [request.aligned for request in builder.requests] == [True]
    for offset in (5, 16, 63, 1):
        expected = numpy.concatenate([X[offset:], numpy.full(offset, -1, numpy.float32)])
        numpy.testing.assert_array_equal(run(device, moving, X, [offset]), expected)
    assert [request.aligned for request in builder.requests] == [True, False]


def test_several_movable_buffers_keep_their_order(cuda):
    def generate(which, capabilities):
        body = "i = tl.arange(0, 16)\ntl.store(b2 + o2 + i, tl.load(b0 + o0 + i) * s0 + tl.load(b1 + i) + s1)"
        return source(which, body)

    buffers = (
        BufferDeclaration(float32, 64, movable=True), BufferDeclaration(int64, 16),
        BufferDeclaration(float32, 64, written=True, movable=True),
    )  # fmt: skip
    device = open_device(generate, cuda)
    (program,) = device.compile([Kernel("mixed", (), buffers, (float64, int64))])
    a, b = device.from_host(X, float32), device.from_host(numpy.arange(16) * 100, int64)
    c = device.from_host(numpy.zeros(64, numpy.float32), float32)
    program.launch([each.allocation.memory for each in (a, b, c)], [3, 40], [0.5, 2**33])
    expected = numpy.zeros(64, numpy.float32)
    expected[40:56] = X[3:19] * 0.5 + numpy.arange(16) * 100 + 2**33
    numpy.testing.assert_array_equal(device.to_host(c), expected)


def test_buffers_may_change_from_launch_to_launch(cuda):
    device = open_device(cuda=cuda)
    (program,) = device.compile([times(2)])
    for n in range(20):
        read, written = device.from_host(X + n, float32), device.from_host(X, float32)
        if n % 5 == 0:
            device.pool.empty_cache()
        program.launch([read.allocation.memory, written.allocation.memory], (), ())
        numpy.testing.assert_array_equal(device.to_host(written), (X + n) * 2)
    assert device.pool.statistics().reuses > 0


def test_memory_is_used_again_while_work_is_pending(cuda):
    device = open_device(cuda=cuda)
    (program,) = device.compile([times(2)])
    last = device.from_host(X, float32)
    for _ in range(6):
        after = device.empty((SIZE,), float32)
        program.launch([last.allocation.memory, after.allocation.memory], (), ())
        last = after
    assert len(cuda.allocations) <= 3
    numpy.testing.assert_array_equal(device.to_host(last), X * 64)


def test_wrong_arguments_are_refused(cuda):
    device = open_device(cuda=cuda)
    (program,) = device.compile([times(2)])
    with pytest.raises(TypeError, match="kernel times2 takes 2 buffers, 0 offsets and 0 scalars, got 1, 0 and 1"):
        program.launch([device.from_host(X, float32).allocation.memory], (), [1.0])


def test_what_was_compiled_is_not_compiled_again(cuda):
    builder = FakeBuilder()
    device = open_device(cuda=cuda, builder=builder)
    first = device.compile([times(n) for n in range(5)])
    again = device.compile([times(3), times(3), times(4)])
    assert again[0] is again[1] is first[3]
    assert len(builder.requests) == 5
    assert "* 3.0" in device.source(times(3))


@pytest.mark.parametrize("areas", [(), (0,), (0, 0)], ids=["3.2", "3.3", "3.5"])
def test_scratch_pointers_are_null(cuda, areas):
    device = open_device(cuda=cuda, builder=FakeBuilder(scratch=areas))
    numpy.testing.assert_array_equal(run(device, times(3), X), X * 3)


def test_scratch_memory_is_there_when_it_is_wanted(cuda):
    device = open_device(cuda=cuda, builder=FakeBuilder(scratch=(128, 0)))
    numpy.testing.assert_array_equal(run(device, times(3), X), X * 3)
    first = device.scratch(64)
    assert device.scratch(32) is first
    assert device.scratch(1 << 20) is not first


def test_more_shared_memory_than_ordinary(cuda):
    device = open_device(cuda=cuda, builder=FakeBuilder(shared=100 * 1024))
    numpy.testing.assert_array_equal(run(device, times(3), X), X * 3)
    assert cuda.calls.count("cuFuncSetAttribute") == 1
    with pytest.raises(DriverError, match="cuFuncSetAttribute failed: CUDA_ERROR_INVALID_VALUE"):
        run(open_device(cuda=cuda, builder=FakeBuilder(shared=300 * 1024)), times(3), X)


def test_many_threads_launch_one_program(cuda):
    device = open_device(lambda k, c: source(k, each("tl.load(b0 + i) + s0")), cuda)
    (program,) = device.compile([kernel("adding", (float32,))])
    wrong = []

    def work(number):
        for n in range(10):
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


# ---- errors


def test_a_launch_that_fails_names_the_kernel_and_the_line(cuda):
    device = open_device(cuda=cuda)
    (program,) = device.compile([times(2)])
    out = device.from_host(X, float32)
    cuda.fail("cuLaunchKernel", Status.CUDA_ERROR_INVALID_HANDLE)
    with pytest.raises(DriverError) as caught:
        program.launch([out.allocation.memory] * 2, (), ())
    message = str(caught.value)
    assert message.startswith(
        "cuLaunchKernel failed for kernel times2 (1 blocks of 32 threads, 0 bytes of shared memory)"
    )
    assert f"launched at {__file__}:" in message
    assert message.endswith("CUDA_ERROR_INVALID_HANDLE (invalid handle)")


def test_a_kernel_that_fails_while_it_runs(cuda):
    device = open_device(lambda k, c: source(k, each("tl.load(b0 + i + 100000)")), cuda)
    with pytest.raises(DriverError, match=r"CUDA_ERROR_ILLEGAL_ADDRESS .*; a kernel that was launched before did this"):
        run(device, times(2), X)
    assert "loads from buffer 0 at element 100063 of 64" in str(cuda.raised)
    cuda.raised = None


def test_a_binary_that_the_driver_refuses(cuda):
    device = open_device(cuda=cuda)
    cuda.fail("cuModuleLoadData", Status.CUDA_ERROR_INVALID_IMAGE)
    with pytest.raises(DriverError, match=r"cuModuleLoadData failed: CUDA_ERROR_INVALID_IMAGE \(invalid image\)"):
        device.compile([times(2)])


# ---- memory


def test_out_of_memory(cuda):
    cuda.memory = 4 << 20
    device = open_device(cuda=cuda)
    device.pool.limit = None
    held = device.from_host(numpy.zeros(1 << 19, numpy.float32), float32)
    with pytest.raises(OutOfMemoryError, match=r"triton:0 is out of memory: 4.0 MiB were asked for") as caught:
        device.from_host(numpy.zeros(1 << 20, numpy.float32), float32)
    assert __file__ in str(caught.value)
    assert "cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY" in str(caught.value)
    assert (device.to_host(held) == 0).all()


def test_cached_memory_is_given_back_when_the_driver_has_none(cuda):
    cuda.memory = 4 << 20
    device = open_device(cuda=cuda)
    device.pool.limit = None
    device.from_host(numpy.ones(1 << 19, numpy.float32), float32)  # held by nobody
    large = device.from_host(numpy.full(3 << 18, 2, numpy.float32), float32)
    assert (device.to_host(large) == 2).all()
    assert len(cuda.allocations) == 1


def test_the_limit_is_the_devices_memory():
    cuda = FakeCuda(memory=123 << 20)
    assert TritonDevice(found_device(cuda), None, FakeBuilder()).pool.limit == 123 << 20


# ---- times


def test_profile(cuda, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_DEBUG", "1")
    device = open_device(cuda=cuda)
    for _ in range(3):
        run(device, times(3), X)
    run(device, times(2), X)
    device.synchronize()
    found = profile.seconds(device.profile.runs)
    assert found["times3"] == (3, pytest.approx(3e-5))
    assert found["times2"] == (1, pytest.approx(1e-5))
    starts = [each.start for each in device.profile.runs]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert starts[1] == pytest.approx(16_000, abs=1)  # a kernel, a copy back and two copies there
