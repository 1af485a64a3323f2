"""A backend for tests: the first OpenCL device with the code that graphics processors get, whatever it is."""

import os
from dataclasses import replace

from lazygrad.runtime import Device, DeviceInformation

NAME = "opencl_as_gpu"


class ForcedGpuBackend:
    name = NAME
    preference = -1

    def devices(self) -> tuple[DeviceInformation, ...]:
        from lazygrad_opencl.devices import found_devices

        return tuple(replace(found.information, name=f"{NAME}:0") for found in found_devices()[:1])

    def open(self, variant: str) -> Device:
        from lazygrad_opencl.device import OpenCLDevice
        from lazygrad_opencl.devices import found_devices

        if variant not in ("", "0"):
            raise RuntimeError(f"{NAME} has one device, {NAME}:0")
        (information,) = self.devices()
        before = os.environ.get("LAZYGRAD_OPENCL_FLAVOUR")
        os.environ["LAZYGRAD_OPENCL_FLAVOUR"] = "gpu"  # read when a device is opened
        try:
            return OpenCLDevice(found_devices()[0]._replace(information=information))
        finally:
            del os.environ["LAZYGRAD_OPENCL_FLAVOUR"]
            if before is not None:
                os.environ["LAZYGRAD_OPENCL_FLAVOUR"] = before


backend = ForcedGpuBackend()
