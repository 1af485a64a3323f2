"""What is said when something is missing, and which devices there are."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from backends.triton.cuda_objects import H100, Status
from backends.triton.fake_cuda import FakeCuda
from lazygrad.runtime import BackendError
from lazygrad_triton import devices, driver, versions
from lazygrad_triton.driver import Driver, DriverError
from lazygrad_triton.entry_point import TritonBackend

INTERPRETER = "triton:interpret runs kernels in Triton's interpreter"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing is remembered from the machine; Triton is there, a library is said to be there."""
    caches = (driver.load, devices._search, versions.installed_version)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(driver, "_has_library", lambda: True)
    monkeypatch.setattr(versions, "installed_version", lambda: "3.6.0")
    yield
    for cache in caches:
        cache.cache_clear()


def bind(monkeypatch, cuda):
    """Puts the fake in the place of cuda-bindings."""
    package = ModuleType("cuda.bindings")
    package.driver = cuda
    monkeypatch.setattr(driver, "_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", package)
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", cuda)


def reason():
    backend = TritonBackend()
    assert backend.devices() == ()
    with pytest.raises(BackendError) as caught:
        backend.open("")
    assert str(caught.value) == f"no CUDA device can be used: {backend.reason()}"
    return backend.reason()


def test_no_triton(monkeypatch):
    monkeypatch.setattr(versions, "installed_version", lambda: None)
    assert reason() == "Triton is not installed; pip install 'lazygrad[triton]' (there are packages for Linux)"
    with pytest.raises(BackendError, match="Triton is not installed; pip install"):
        TritonBackend().open("interpret")


def test_an_old_triton(monkeypatch):
    monkeypatch.setattr(versions, "installed_version", lambda: "3.1.0")
    assert reason() == "Triton 3.1.0 is too old; pip install 'triton>=3.2'"


def test_no_bindings(monkeypatch):
    monkeypatch.setattr(driver, "_spec", lambda name: None)
    text = reason()
    assert text.startswith("cuda-bindings is not installed, which calls CUDA's driver; pip install 'lazygrad[triton]'")
    assert INTERPRETER in text


def test_no_library(monkeypatch):
    monkeypatch.setattr(driver, "_spec", lambda name: name)
    monkeypatch.setattr(driver, "_has_library", lambda: False)
    text = reason()
    assert text.startswith("libcuda.so.1 is not found; it comes with NVIDIA's driver")
    assert INTERPRETER in text


def test_a_library_that_the_bindings_do_not_find(monkeypatch):
    class Unfound(FakeCuda):
        def cuInit(self, flags):  # noqa: N802
            raise RuntimeError("Failed to dlopen libcuda.so.1")

    bind(monkeypatch, Unfound())
    assert reason().startswith("NVIDIA's driver cannot be used: Failed to dlopen libcuda.so.1")


def test_a_driver_without_a_device(monkeypatch):
    cuda = FakeCuda()
    cuda.fail("cuInit", Status.CUDA_ERROR_NO_DEVICE)
    bind(monkeypatch, cuda)
    assert reason().startswith("NVIDIA's driver cannot be used: cuInit failed: CUDA_ERROR_NO_DEVICE (no device)")
    driver.load.cache_clear()
    devices._search.cache_clear()
    bind(monkeypatch, FakeCuda(devices=()))
    assert reason().startswith("NVIDIA's driver has no device")


def test_devices_are_numbered_and_opened_once(monkeypatch, tmp_path):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path))
    old = {**H100, "COMPUTE_CAPABILITY_MAJOR": 7, "COMPUTE_CAPABILITY_MINOR": 5}
    bind(monkeypatch, FakeCuda(devices=(H100, old, H100)))
    backend = TritonBackend()
    assert [found.name for found in backend.devices()] == ["triton:0", "triton:1"]
    assert [found.description for found in backend.devices()] == ["Fake 0", "Fake 2"]
    assert backend.open("") is backend.open("0")
    assert backend.open("1").name == "triton:1"
    for variant in ("2", "-1", "x", "²"):
        with pytest.raises(BackendError, match=r"there is no CUDA device 'triton:.*'; there is triton:0 \(Fake 0\)"):
            backend.open(variant)


def test_devices_that_are_too_old(monkeypatch):
    bind(monkeypatch, FakeCuda(devices=({**H100, "COMPUTE_CAPABILITY_MAJOR": 7},)))
    assert reason().startswith("Fake 0 has compute capability 7.0, Triton needs 8.0")


def test_checked_calls():
    cuda = FakeCuda()
    checked = Driver(cuda)
    assert checked.cuDeviceGetCount() == 1
    assert checked.cuCtxSetCurrent("context 0") is None
    assert checked.cuMemAlloc is checked.cuMemAlloc
    with pytest.raises(DriverError, match=r"cuMemFree failed: CUDA_ERROR_INVALID_VALUE \(invalid value\)") as caught:
        checked.cuMemFree(5)
    assert (caught.value.call, caught.value.error) == ("cuMemFree", "CUDA_ERROR_INVALID_VALUE")
    cuda.fail("cuMemAlloc", Status.CUDA_ERROR_OUT_OF_MEMORY)
    with pytest.raises(MemoryError, match="cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY"):
        checked.cuMemAlloc(5)
    with pytest.raises(AttributeError):
        _ = checked.shape


def test_the_functions_that_are_called_exist_in_the_installed_bindings():
    bindings = pytest.importorskip("cuda.bindings.driver")
    for name in (name for name in dir(FakeCuda) if name.startswith("cu") and name[2].isupper()):
        assert callable(getattr(bindings, name)), name
    for group in ("CUstream_flags", "CUevent_flags", "CUdevice_attribute", "CUfunction_attribute", "CUfunc_cache",
                  "CUstreamCaptureMode"):  # fmt: skip
        for name in vars(getattr(FakeCuda, group)):
            assert hasattr(getattr(bindings, group), name), name
    for status in Status:
        assert getattr(bindings.CUresult, status.name) == status
    assert not bindings.CUresult.CUDA_SUCCESS


def test_looking_for_devices_imports_no_triton():
    code = (
        "import sys, lazygrad_triton; lazygrad_triton.backend.devices(); lazygrad_triton.backend.reason();"
        "print('triton' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
