"""What all tests share: NumPy unless a device is chosen, and the devices that this machine has.

``device`` runs a test on every device, ``compiled_device`` on every one but the reference, ``native_device`` on those
of them that run the code made for what they are. OpenCL appears twice: as
what the device is, and with the code for graphics processors forced onto it, under the name of ``forced_gpu``.
"""

import os
from functools import lru_cache
from importlib.metadata import EntryPoint

os.environ.setdefault("LAZYGRAD_DEVICE", "numpy")

import pytest

from lazygrad.runtime import registry

FORCED_GPU = "opencl_as_gpu"


@lru_cache(maxsize=1)
def devices() -> tuple[str, ...]:
    """The first device of every usable backend, the reference first."""
    names = []
    for name in registry.available_backends():
        try:
            usable = bool(registry.backend(name).devices())
        except registry.BackendError:
            usable = False
        if usable and name != FORCED_GPU:
            names.append(f"{name}:0")
    if "opencl:0" in names:
        known = registry._entry_points()
        known.setdefault(FORCED_GPU, EntryPoint(FORCED_GPU, "forced_gpu:backend", registry.GROUP))
        names.append(f"{FORCED_GPU}:0")
    return tuple(sorted(names, key=lambda name: (name != "numpy:0", name)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", devices())
    if "native_device" in metafunc.fixturenames:
        native = [name for name in devices()[1:] if not name.startswith(FORCED_GPU)]
        metafunc.parametrize("native_device", native)
    if "compiled_device" in metafunc.fixturenames:
        metafunc.parametrize("compiled_device", devices()[1:])
