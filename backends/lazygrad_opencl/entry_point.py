"""The entry point's object: which OpenCL devices there are, and opening one by its number."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from lazygrad.runtime import BackendError, Device, DeviceInformation, forking

# Above the reference and below backends made for one vendor's devices.
PREFERENCE = 10


class OpenCLBackend:
    """All OpenCL devices of this machine; each is opened once."""

    name = "opencl"
    preference = PREFERENCE

    def __init__(self) -> None:
        self._opened: dict[int, Device] = {}
        self._lock = Lock()

    def devices(self) -> Sequence[DeviceInformation]:
        from lazygrad_opencl.devices import found_devices

        forking.claim("OpenCL")
        with self._lock:
            return tuple(found.information for found in found_devices())

    def open(self, variant: str) -> Device:
        from lazygrad_opencl.device import OpenCLDevice
        from lazygrad_opencl.devices import found_devices, reason_for_none

        forking.claim("OpenCL")
        with self._lock:
            found = found_devices()
        if not found:
            raise BackendError(f"no OpenCL device can be used: {reason_for_none()}")
        number = int(variant) if variant.isascii() and variant.isdigit() else 0 if variant == "" else -1
        if not 0 <= number < len(found):
            names = ", ".join(f"{each.information.name} ({each.information.description})" for each in found)
            raise BackendError(f"there is no OpenCL device 'opencl:{variant}'; there is {names}")
        with self._lock:
            if number not in self._opened:
                self._opened[number] = OpenCLDevice(found[number])
            return self._opened[number]


backend = OpenCLBackend()
