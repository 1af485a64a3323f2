"""Which OpenCL devices there are, in the fixed order that gives them their numbers.

In: the system's OpenCL loader. Out: devices with graphics processors first, then accelerators, then processors;
within a kind by platform and device name. Without PyOpenCL, a loader or a driver the list is quietly empty.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from lazygrad.runtime import DeviceInformation
from lazygrad_opencl import driver_cache


class FoundDevice(NamedTuple):
    """A device that can be opened: PyOpenCL's object and its line in ``python -m lazygrad info``."""

    handle: Any
    information: DeviceInformation


@lru_cache(maxsize=1)
def _search() -> tuple[tuple[FoundDevice, ...], str]:
    """The devices, and why there are none."""
    try:
        import pyopencl
    except ImportError as error:
        return (), f"PyOpenCL cannot be imported ({error}); pip install 'pyopencl[pocl]'"
    kinds = (pyopencl.device_type.GPU, pyopencl.device_type.ACCELERATOR, pyopencl.device_type.CPU)
    reasons: list[str] = []
    handles: list[tuple[tuple[int, str, str], Any]] = []
    with driver_cache.named_to_driver():
        try:
            platforms = pyopencl.get_platforms()
        except pyopencl.Error as error:
            return (), f"the OpenCL loader finds no driver ({error}); pip install 'pyopencl[pocl]' brings one"
        for platform in platforms:
            try:
                for handle in platform.get_devices():
                    if handle.available and handle.compiler_available:
                        rank = next((i for i, kind in enumerate(kinds) if handle.type & kind), len(kinds))
                        handles.append(((rank, platform.name, handle.name), handle))
            except pyopencl.Error as error:
                reasons.append(f"{platform.name}: {error}")
    handles.sort(key=lambda entry: entry[0])
    found = tuple(FoundDevice(handle, _information(number, handle)) for number, (_, handle) in enumerate(handles))
    return found, "; ".join(reasons) or "no driver offers a device with a compiler"


def _information(number: int, handle: Any) -> DeviceInformation:
    name = " ".join(handle.name.split())
    return DeviceInformation(f"opencl:{number}", name, f"{handle.platform.name} {handle.driver_version}")


def found_devices() -> tuple[FoundDevice, ...]:
    """Every device, in the order of its number. Searched for once in a process."""
    return _search()[0]


def reason_for_none() -> str:
    """Why there is no device, for an error message."""
    return _search()[1]
