"""Schedules and cubins on disk, on a driver in memory: a device that is opened later loads both and compiles nothing."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import numpy
import pytest

import lazygrad as lg
from lazygrad.kernel.identity import key
from lazygrad.runtime import compiled, registry, schedule_store, source_identity, statistics
from lazygrad.runtime.tuning import Winners
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.cuda_objects import Image
from backends.triton.fake_cuda import FakeCuda
from backends.triton.handwritten import found_device
from lazygrad_triton import compiling
from lazygrad_triton.device import TritonDevice
from lazygrad_triton.worker import Compiled

NAME = "cuda_remembering"
ROWS, COLUMNS = 6, 10


class Compilers:
    """In the place of the compiler's processes: makes images for the driver in memory."""

    def __init__(self):
        self.jobs = []

    def compile(self, jobs):
        self.jobs += jobs
        return [Compiled(self._image(job).to_bytes(), "", {**NUMBERS, "name": job.function}) for job in jobs]

    def _image(self, job):
        types = tuple(job.types.values())
        return Image(job.text, job.function, types, tuple(job.divisible), 32 * NUMBERS["warps"], 0, (0, 0))


NUMBERS = {"warps": 4, "shared": 0, "scratch": [0, 0]}


class Backend:
    """Opens devices with the real generator and the real cache."""

    name = NAME
    preference = -1

    def __init__(self):
        self.cuda = FakeCuda()
        self.cuda.devices = ({**self.cuda.devices[0], "MULTIPROCESSOR_COUNT": 4},)
        self.device = None

    def open(self, variant):
        if self.device is None:
            found = found_device(self.cuda)
            self.device = TritonDevice(found)
            self.device.name = f"{NAME}:0"
        return self.device


@pytest.fixture
def compilers(monkeypatch, tmp_path):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    made = Compilers()
    monkeypatch.setattr(compiling, "_workers", made)
    monkeypatch.setattr(source_identity, "source_identity", lambda package: f"sources of {package}")
    monkeypatch.setattr(schedule_store, "source_identity", source_identity.source_identity)
    schedule_store.maker.cache_clear()
    yield made
    schedule_store.maker.cache_clear()


def in_a_new_process(monkeypatch, start):
    """What a process would compute that begins now: the results, what was counted, the device's kernels."""
    module = ModuleType("module_of_backend")
    module.backend = Backend()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    known = {NAME: EntryPoint(NAME, f"{module.__name__}:backend", registry.GROUP)}
    monkeypatch.setattr(registry, "_entry_points", lambda: known)
    monkeypatch.setattr(registry, "device", lambda name: module.backend.open(""))
    for patched in ("lazygrad.runtime.execute.device", "lazygrad.runtime.transfer.device"):
        monkeypatch.setattr(patched, lambda name: module.backend.open(""))
    monkeypatch.setattr(compiled, "_EXECUTABLES", {})
    device = module.backend.open("")
    with statistics.counting() as counted:
        whole = numpy.arange(4 * ROWS * COLUMNS, dtype=numpy.float32).reshape(4 * ROWS, COLUMNS) / 100
        x = _tensor(device, whole)
        part = x[start : start + ROWS]
        result = lg.softmax(part, 1) * 2
        got = result.numpy()
    want = numpy.exp(whole[start : start + ROWS])
    numpy.testing.assert_allclose(got, 2 * want / want.sum(1, keepdims=True), rtol=1e-5)
    (executable,) = compiled._EXECUTABLES[device.name].values()
    if module.backend.cuda.raised is not None:
        raise module.backend.cuda.raised
    return counted, executable.kernels


def _tensor(device, array):
    from lazygrad import ops
    from lazygrad.tensor.handle import wrap

    return wrap(ops.buffer(device.from_host(array, lg.float32)))


def test_a_second_process_compiles_nothing(monkeypatch, compilers):
    counted, kernels = in_a_new_process(monkeypatch, 0)
    assert (counted.schedules_made, counted.schedules_loaded) == (1, 0)
    assert counted.kernels_built == len(kernels) > 0
    jobs = len(compilers.jobs)
    monkeypatch.setattr(TritonDevice, "_generate", lambda *arguments: pytest.fail("code is generated"))
    counted, kernels = in_a_new_process(monkeypatch, 16)
    assert (counted.schedules_made, counted.schedules_loaded) == (0, 1)
    assert (counted.kernels_built, counted.programs_built) == (0, 0)
    assert counted.kernels_loaded == len(kernels)
    assert len(compilers.jobs) == jobs


def test_offsets_that_are_no_multiples_need_other_binaries(monkeypatch, compilers):
    in_a_new_process(monkeypatch, 0)
    counted, _ = in_a_new_process(monkeypatch, 1)  # the first that needs them
    assert (counted.schedules_made, counted.kernels_built) == (0, 1)
    monkeypatch.setattr(TritonDevice, "_generate", lambda *arguments: pytest.fail("code is generated"))
    counted, _ = in_a_new_process(monkeypatch, 3)
    assert (counted.schedules_made, counted.schedules_loaded, counted.kernels_built) == (0, 1, 0)


def test_binaries_that_are_gone_are_compiled_again(monkeypatch, compilers, tmp_path):
    in_a_new_process(monkeypatch, 0)
    for path in tmp_path.glob("cache/triton/*/*.binary"):
        path.unlink()
    counted, kernels = in_a_new_process(monkeypatch, 0)
    assert counted.kernels_built == len(kernels)
    assert (counted.schedules_made, counted.schedules_loaded) == (1, 0)


def test_a_schedule_is_made_again_when_tuning_has_found_something_new(monkeypatch, compilers):
    _, kernels = in_a_new_process(monkeypatch, 0)
    device = registry.device(NAME)
    alternatives = device.alternatives(kernels[0])
    assert len(alternatives) > 1
    Winners(device).write(kernels[0], alternatives[1], {1: 1.0})
    assert Winners(device).known(key(kernels[0])) == alternatives[1]
    counted, _ = in_a_new_process(monkeypatch, 0)
    assert (counted.schedules_made, counted.kernels_built) == (1, 1)
    counted, _ = in_a_new_process(monkeypatch, 0)
    assert (counted.schedules_made, counted.schedules_loaded, counted.kernels_built) == (0, 1, 0)
    Winners(device)._store.remove(f"{key(kernels[0])}.json")
    counted, _ = in_a_new_process(monkeypatch, 0)
    assert (counted.schedules_made, counted.kernels_built) == (1, 0)  # the heuristic's is still there
