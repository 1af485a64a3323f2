"""CUDA's driver API through cuda-bindings, with errors as exceptions.

In: NVIDIA's driver library. Out: a ``Driver`` on which every function of the API can be called by its own name; it
returns the results without the status. A status other than success is raised, running out of memory as MemoryError.
Version 12 and 13 of the bindings have the same signatures for what is used here.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lazygrad.runtime import BackendError

LIBRARY = "libcuda.so.1"
# What a running kernel did wrong; every call that comes after it fails with it.
_FAILED_KERNEL = frozenset(
    f"CUDA_ERROR_{name}"
    for name in (
        "ASSERT", "HARDWARE_STACK_ERROR", "ILLEGAL_ADDRESS", "ILLEGAL_INSTRUCTION", "INVALID_ADDRESS_SPACE",
        "INVALID_PC", "LAUNCH_FAILED", "LAUNCH_TIMEOUT", "MISALIGNED_ADDRESS",
    )
)  # fmt: skip


class DriverError(RuntimeError):
    """A call to CUDA's driver failed. ``call`` is the function's name, ``error`` the name of the error."""

    def __init__(self, call: str, error: str, text: str, during: str = "") -> None:
        message = f"{call} failed{f' {during}' if during else ''}: {error} ({text})"
        if error in _FAILED_KERNEL:
            message += "; a kernel that was launched before did this, LAZYGRAD_DEBUG=1 waits for each and shows which"
        super().__init__(message)
        self.call = call
        self.error = error


class Driver:
    """The functions of ``bindings`` (the module ``cuda.bindings.driver``), checked."""

    def __init__(self, bindings: Any) -> None:
        self.bindings = bindings

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The checked function; its results are what follows the status: nothing, one, or a tuple."""
        if not name.startswith("cu"):
            raise AttributeError(name)
        function = getattr(self.bindings, name)

        def checked(*arguments: Any) -> Any:
            status, *results = function(*arguments)
            if status:
                raise self.error(name, status)
            return results[0] if len(results) == 1 else tuple(results) or None

        setattr(self, name, checked)
        return checked

    def error(self, call: str, status: Any, during: str = "") -> Exception:
        """A status as an exception."""
        _, name = self.bindings.cuGetErrorName(status)
        _, text = self.bindings.cuGetErrorString(status)
        names = [each.decode() if isinstance(each, bytes) else f"error {int(status)}" for each in (name, text)]
        failure = DriverError(call, names[0], names[1], during)
        if status == self.bindings.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            return MemoryError(str(failure))
        return failure

    def attribute(self, device: Any, name: str) -> int:
        """A device's attribute by its name without the prefix."""
        attribute = getattr(self.bindings.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(self.cuDeviceGetAttribute(attribute, device))


@lru_cache(maxsize=1)
def load() -> Driver:
    """The driver, initialised. BackendError that says what is missing and what to install."""
    if _spec("cuda.bindings") is None:
        raise BackendError("cuda-bindings is not installed, which calls CUDA's driver; pip install 'lazygrad[triton]'")
    if not _has_library():
        raise BackendError(
            f"{LIBRARY} is not found; it comes with NVIDIA's driver, which is installed when nvidia-smi runs"
        )
    try:
        from cuda.bindings import driver as bindings

        loaded = Driver(bindings)
        loaded.cuInit(0)
    except (ImportError, RuntimeError) as error:
        raise BackendError(f"NVIDIA's driver cannot be used: {error}") from error
    return loaded


def _spec(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # no package above it, or one without a specification
        return None


def _has_library() -> bool:
    """Asked before the bindings are imported, which takes a tenth of a second where there is no device at all."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True
