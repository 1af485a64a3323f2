"""A backend for tests: the CUDA device with the driver in memory, under a name of its own."""

from __future__ import annotations

from dataclasses import replace

from backends.triton.fake_cuda import FakeCuda
from backends.triton.handwritten import FakeBuilder, found_device
from lazygrad.runtime import DeviceInformation
from lazygrad_triton.device import TritonDevice

NAME = "cuda_in_memory"


class InMemoryBackend:
    """``cuda`` is the driver's state; the code generator is the real one."""

    name = NAME
    preference = -1

    def __init__(self) -> None:
        self.cuda = FakeCuda()
        # Few cores, so that few block programs have to be interpreted.
        self.cuda.devices = ({**self.cuda.devices[0], "MULTIPROCESSOR_COUNT": 4},)
        self.builder = FakeBuilder()
        self._device: TritonDevice | None = None

    def devices(self) -> tuple[DeviceInformation, ...]:
        return (replace(found_device(self.cuda).information, name=f"{NAME}:0"),)

    def open(self, variant: str) -> TritonDevice:
        if self._device is None:
            (information,) = self.devices()
            found = found_device(self.cuda)._replace(information=information)
            self._device = TritonDevice(found, None, self.builder)
        return self._device


backend = InMemoryBackend()
