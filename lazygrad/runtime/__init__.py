"""Running: devices and their buffers, the way from a lazy graph to computed elements, caches and reports.

This package's names are the interface a backend is written against (see docs/architecture.md).
"""

from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.device import (
    HEURISTIC,
    Alternative,
    Capabilities,
    CompilingDevice,
    Device,
    DeviceInformation,
    EvaluatingDevice,
    Program,
)
from lazygrad.runtime.errors import CompileError, OutOfMemoryError
from lazygrad.runtime.execute import realize
from lazygrad.runtime.pool import Pool
from lazygrad.runtime.registry import (
    Backend,
    BackendError,
    available_backends,
    canonical_device,
    default_device,
    device,
)
from lazygrad.runtime.transfer import from_host, to_host

__all__ = [
    "HEURISTIC",
    "Alternative",
    "Backend",
    "BackendError",
    "Buffer",
    "Capabilities",
    "CompileError",
    "CompilingDevice",
    "Device",
    "DeviceInformation",
    "EvaluatingDevice",
    "OutOfMemoryError",
    "Pool",
    "Program",
    "available_backends",
    "canonical_device",
    "default_device",
    "device",
    "from_host",
    "realize",
    "to_host",
]
