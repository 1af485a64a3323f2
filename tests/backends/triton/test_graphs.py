"""Recording launches into graphs, on a driver in memory."""

from __future__ import annotations

import numpy
import pytest

from lazygrad.ir.dtype import float32
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.cuda_objects import Status
from backends.triton.fake_cuda import FakeCuda
from backends.triton.handwritten import SIZE, FakeBuilder, each, kernel, open_device, source, times
from lazygrad_triton.driver import DriverError

X = numpy.arange(SIZE, dtype=numpy.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path))


@pytest.fixture
def cuda():
    return FakeCuda()


def launch(program, read, written):
    program.launch([read.allocation.memory, written.allocation.memory], (), ())


def test_nothing_runs_while_recording_and_all_of_it_in_a_replay(cuda):
    device = open_device(cuda=cuda)
    double, triple = device.compile([times(2), times(3)])
    x = device.from_host(X, float32)
    device.synchronize()
    with device.capture() as graph:
        between = device.empty((SIZE,), float32)
        launch(double, x, between)
        result = device.empty((SIZE,), float32)
        launch(triple, between, result)
        del between
    assert not cuda.stream
    graph.replay()
    numpy.testing.assert_array_equal(device.to_host(result), X * 6)


def test_new_inputs_are_copied_into_the_old(cuda):
    device = open_device(cuda=cuda)
    (double,) = device.compile([times(2)])
    x = device.from_host(X, float32)
    with device.capture() as graph:
        result = device.empty((SIZE,), float32)
        launch(double, x, result)
    for n in range(3):
        device._staging.upload(x.allocation.memory.address, (X + n).view(numpy.uint8))
        graph.replay()
        numpy.testing.assert_array_equal(device.to_host(result), (X + n) * 2)


def test_memory_of_a_graph_is_not_given_to_others(cuda):
    device = open_device(cuda=cuda)
    double, triple = device.compile([times(2), times(3)])
    x = device.from_host(X, float32)
    with device.capture() as graph:
        between = device.empty((SIZE,), float32)
        launch(double, x, between)
        result = device.empty((SIZE,), float32)
        launch(triple, between, result)
        inside = between.allocation.memory.address
        del between  # the last user inside the graph has been recorded
        again = device.empty((SIZE,), float32)
        assert again.allocation.memory.address == inside  # so the graph itself may use it again
        launch(double, result, again)
        del again
    others = [device.from_host(numpy.full(SIZE, n, numpy.float32), float32) for n in range(4)]
    assert inside not in {each.allocation.memory.address for each in others}
    graph.replay()
    for n, other in enumerate(others):
        assert (device.to_host(other) == n).all()
    numpy.testing.assert_array_equal(device.to_host(result), X * 6)


def test_closing_gives_memory_back(cuda):
    device = open_device(cuda=cuda)
    (double,) = device.compile([times(2)])
    x = device.from_host(X, float32)
    before = len(cuda.allocations)
    with device.capture() as graph:
        between = device.empty((SIZE,), float32)
        launch(double, x, between)
        result = device.empty((SIZE,), float32)
        launch(double, between, result)
        del between
    graph.replay()
    graph.close()
    assert len(cuda.allocations) == before + 1  # the result is still held
    numpy.testing.assert_array_equal(device.to_host(result), X * 4)
    del result
    graph.pool.empty_cache()
    assert len(cuda.allocations) == before
    with pytest.raises(RuntimeError, match="this graph is closed"):
        graph.replay()


def test_scratch_memory_lives_as_long_as_the_graph(cuda):
    device = open_device(cuda=cuda, builder=FakeBuilder(scratch=(256, 0)))
    (double,) = device.compile([times(2)])
    x = device.from_host(X, float32)
    result = device.from_host(X, float32)
    launch(double, x, result)  # as is the rule: once before
    address = device.scratch(1).address
    with device.capture() as graph:
        launch(double, x, result)
    device.scratch(1 << 16)
    device.pool.empty_cache()
    assert address in cuda.allocations
    graph.replay()
    numpy.testing.assert_array_equal(device.to_host(result), X * 2)


def test_what_cannot_be_recorded_is_refused(cuda):
    device = open_device(cuda=cuda)
    x = device.from_host(X, float32)
    with device.capture() as graph:
        with pytest.raises(RuntimeError, match="triton:0 cannot copy from the host while it records launches"):
            device.from_host(X, float32)
        with pytest.raises(RuntimeError, match="cannot copy to the host"):
            device.to_host(x)
        with pytest.raises(RuntimeError, match="cannot wait for the device"):
            device.synchronize()
        with pytest.raises(RuntimeError, match="cannot record while it records"), device.capture():
            pass
        with pytest.raises(RuntimeError, match="its recording has not ended"):
            graph.replay()
    graph.replay()


def test_an_exception_ends_the_recording(cuda):
    device = open_device(cuda=cuda)
    (double,) = device.compile([times(2)])
    x = device.from_host(X, float32)
    pool = device.pool
    captured = []

    def step():
        with device.capture() as graph:
            captured.append(graph)
            launch(double, x, x)
            raise KeyError("of the user")

    with pytest.raises(KeyError, match="of the user"):
        step()
    assert device.pool is pool
    numpy.testing.assert_array_equal(device.to_host(x), X)
    with pytest.raises(RuntimeError, match="this graph is closed"):
        captured[0].replay()


def test_a_recording_that_the_driver_breaks_off(cuda):
    device = open_device(cuda=cuda)
    pool = device.pool
    broken = "cuStreamEndCapture failed: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
    with pytest.raises(DriverError, match=broken), device.capture():
        cuda.cuStreamSynchronize("stream")
    assert device.pool is pool
    cuda.fail("cuStreamBeginCapture", Status.CUDA_ERROR_INVALID_VALUE)
    with pytest.raises(DriverError, match="cuStreamBeginCapture failed"), device.capture():
        pass
    assert device.pool is pool
    numpy.testing.assert_array_equal(device.to_host(device.from_host(X, float32)), X)


def test_no_times_are_taken_while_recording(cuda, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_DEBUG", "1")
    device = open_device(lambda k, c: source(k, each("tl.load(b0 + i)")), cuda)
    (copy,) = device.compile([kernel("copy")])
    x = device.from_host(X, float32)
    launch(copy, x, x)
    with device.capture() as graph:
        launch(copy, x, x)
    graph.replay()
    device.synchronize()
    assert [run.kernel for run in device.profile.runs] == ["copy"]
