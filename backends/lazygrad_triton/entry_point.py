"""The entry point's object: which CUDA devices there are, and opening one by its number, or the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from lazygrad.runtime import BackendError, Device, DeviceInformation, forking

# Above OpenCL, which serves the same devices with less.
PREFERENCE = 20
INTERPRETER = "interpret"
INTERPRETER_EXISTS = "triton:interpret runs kernels in Triton's interpreter, slowly, for tests"


class TritonBackend:
    """All CUDA devices of this machine and Triton's interpreter; each is opened once."""

    name = "triton"
    preference = PREFERENCE

    def __init__(self) -> None:
        self._opened: dict[int | str, Device] = {}
        self._lock = Lock()

    def devices(self) -> Sequence[DeviceInformation]:
        from lazygrad_triton.devices import found_devices

        forking.claim("CUDA")
        with self._lock:
            return tuple(found.information for found in found_devices())

    def reason(self) -> str:
        """Why there is no CUDA device, and what can be opened nonetheless."""
        from lazygrad_triton.devices import missing_triton, reason_for_none

        return reason_for_none() + ("" if missing_triton() else f". {INTERPRETER_EXISTS}")

    def open(self, variant: str) -> Device:
        with self._lock:
            key: int | str = variant if variant == INTERPRETER else self._number(variant)
            if key not in self._opened:
                self._opened[key] = self._open(key)
            return self._opened[key]

    def _number(self, variant: str) -> int:
        from lazygrad_triton.devices import found_devices

        forking.claim("CUDA")
        found = found_devices()
        if not found:
            raise BackendError(f"no CUDA device can be used: {self.reason()}")
        number = int(variant) if variant.isascii() and variant.isdigit() else 0 if variant == "" else -1
        if not 0 <= number < len(found):
            names = ", ".join(f"{each.information.name} ({each.information.description})" for each in found)
            raise BackendError(f"there is no CUDA device 'triton:{variant}'; there is {names}")
        return number

    def _open(self, key: int | str) -> Device:
        from lazygrad_triton.devices import found_devices, missing_triton

        reason = missing_triton()
        if reason:
            raise BackendError(reason)
        if isinstance(key, str):
            from lazygrad_triton.interpreting import InterpretingDevice

            return InterpretingDevice()
        from lazygrad_triton.device import TritonDevice

        return TritonDevice(found_devices()[key])


backend = TritonBackend()
