"""What all tests share: NumPy unless a device is chosen, and the devices that this machine has.

``device`` runs a test on every device, ``compiled_device`` on every one but the reference, ``native_device`` on those
of them that run the code made for what they are. OpenCL appears twice: as
what the device is, and with the code for graphics processors forced onto it, under the name of ``forced_gpu``. Where
Triton is installed, its interpreter comes last; it takes milliseconds a launch, so ``tests/scale`` goes without it.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint
from importlib.util import find_spec

os.environ.setdefault("LAZYGRAD_DEVICE", "numpy")

import pytest

from lazygrad.runtime import registry

FORCED_GPU = "opencl_as_gpu"
INTERPRETER = "triton:interpret"


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
    names.sort(key=lambda name: (name != "numpy:0", name))
    if find_spec("triton") is not None:
        names.append(INTERPRETER)
    return tuple(names)


def native(names: Sequence[str]) -> list[str]:
    """Those that run the code made for what they are."""
    return [name for name in names if not name.startswith(FORCED_GPU) and name != INTERPRETER]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    known = devices()
    if "scale" in metafunc.definition.path.parent.parts:
        known = tuple(name for name in known if name != INTERPRETER)
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", known)
    if "native_device" in metafunc.fixturenames:
        metafunc.parametrize("native_device", native(known[1:]))
    if "compiled_device" in metafunc.fixturenames:
        metafunc.parametrize("compiled_device", known[1:])
