"""Which CUDA devices there are, in the driver's order, and why there are none.

In: what is installed. Out: devices that can be opened. Triton is not imported for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from lazygrad.runtime import BackendError, DeviceInformation
from lazygrad_triton import driver, versions
from lazygrad_triton.capabilities import ATTRIBUTES, OLDEST_CAPABILITY, compute_capability
from lazygrad_triton.driver import Driver, DriverError

# Names of devices are shorter than this.
NAME_BYTES = 256


class FoundDevice(NamedTuple):
    """A device that can be opened: the driver, the driver's handle, its attributes and memory in bytes."""

    driver: Driver
    handle: Any
    information: DeviceInformation
    attributes: Mapping[str, int]
    memory: int


def missing_triton() -> str:
    """What has to be installed to compile or interpret anything; empty when nothing has to."""
    version = versions.installed_version()
    if version is None:
        return "Triton is not installed; pip install 'lazygrad[triton]' (there are packages for Linux)"
    if versions.numbers(version) < versions.OLDEST:
        oldest = ".".join(map(str, versions.OLDEST))
        return f"Triton {version} is too old; pip install 'triton>={oldest}'"
    return ""


@lru_cache(maxsize=1)
def _search() -> tuple[tuple[FoundDevice, ...], str]:
    """The devices, and why there are none."""
    reason = missing_triton()
    if reason:
        return (), reason
    try:
        loaded = driver.load()
        count = loaded.cuDeviceGetCount()
    except (BackendError, DriverError) as error:
        return (), str(error)
    found: list[FoundDevice] = []
    refused: list[str] = []
    for number in range(count):
        device = describe(loaded, number, len(found))
        capability = compute_capability(device.attributes)
        if capability >= OLDEST_CAPABILITY:
            found.append(device)
        else:
            name, needed = device.information.description, OLDEST_CAPABILITY / 10
            refused.append(f"{name} has compute capability {capability / 10}, Triton needs {needed}")
    return tuple(found), "; ".join(refused) or "NVIDIA's driver has no device"


def describe(driver: Driver, number: int, name: int) -> FoundDevice:
    """The driver's device of a number, under the name that it gets here."""
    handle = driver.cuDeviceGet(number)
    description = driver.cuDeviceGetName(NAME_BYTES, handle).split(b"\0")[0].decode()
    version = driver.cuDriverGetVersion()
    text = f"CUDA {version // 1000}.{version % 1000 // 10}, triton {versions.installed_version()}"
    return FoundDevice(
        driver=driver,
        handle=handle,
        information=DeviceInformation(f"triton:{name}", description, text),
        attributes={attribute: driver.attribute(handle, attribute) for attribute in ATTRIBUTES},
        memory=int(driver.cuDeviceTotalMem(handle)),
    )


def found_devices() -> tuple[FoundDevice, ...]:
    """Every device, in the order of its number. Searched for once in a process."""
    return _search()[0]


def reason_for_none() -> str:
    """Why there is no device, for an error message."""
    return _search()[1]
