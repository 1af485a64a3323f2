"""What an OpenCL device can do, read from the device, and where OpenCL has no question for it, from the system.

In: PyOpenCL's device. Out: ``Capabilities``. ``LAZYGRAD_OPENCL_FLAVOUR=gpu`` makes a processor get code for
graphics processors (and ``cpu`` the reverse), which is how that code is tested without one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lazygrad import environment
from lazygrad.ir.dtype import DTYPES, float64
from lazygrad.kernel.machine import Flavour, Machine
from lazygrad.runtime import Capabilities
from lazygrad_opencl.instruction_set import Vectors, read_vectors

# Bytes of kernel arguments kept free for scalars when buffers are counted.
SCALAR_ARGUMENT_BYTES = 128
# A movable buffer takes a pointer and a 64-bit offset.
BUFFER_ARGUMENT_BYTES = 16
# OpenCL cannot say how wide a graphics processor likes its loads; four floats suit all known ones.
GPU_VECTOR_BYTES = 16
# Sizes of first and second level caches where neither OpenCL nor the system tells.
DEFAULT_LEVEL1 = 32 * 1024
DEFAULT_LEVEL2 = 512 * 1024
_CPU_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1024, "M": 1024 * 1024, "G": 1024 * 1024 * 1024}


def read_capabilities(handle: Any) -> Capabilities:
    """The capabilities of one device."""
    extensions = frozenset(handle.extensions.split())
    dtypes = frozenset(DTYPES) if _has_double(handle, extensions) else frozenset(DTYPES) - {float64}
    return Capabilities(
        machine=_machine(handle),
        dtypes=dtypes,
        argument_limit=max(4, (handle.max_parameter_size - SCALAR_ARGUMENT_BYTES) // BUFFER_ARGUMENT_BYTES),
    )


def _has_double(handle: Any, extensions: frozenset[str]) -> bool:
    return "cl_khr_fp64" in extensions or bool(handle.double_fp_config)


def _flavour(is_cpu: bool) -> Flavour:
    forced = environment.value("LAZYGRAD_OPENCL_FLAVOUR", "cpu" if is_cpu else "gpu")
    if forced == "cpu":
        return "cpu"
    if forced == "gpu":
        return "gpu"
    raise ValueError(f"LAZYGRAD_OPENCL_FLAVOUR must be cpu or gpu, got {forced!r}")


def _machine(handle: Any) -> Machine:
    import pyopencl

    is_cpu = bool(handle.type & pyopencl.device_type.CPU)
    flavour = _flavour(is_cpu)
    vectors = read_vectors(handle.native_vector_width_float * 4) if is_cpu else Vectors(GPU_VECTOR_BYTES, 16)
    level1, level2 = _cpu_caches() if is_cpu else (DEFAULT_LEVEL1, handle.global_mem_cache_size or DEFAULT_LEVEL2)
    return Machine(
        flavour=flavour,
        cores=handle.max_compute_units,
        vector_bytes=vectors.bytes if flavour == "cpu" else GPU_VECTOR_BYTES,
        vector_registers=vectors.registers,
        level1_cache=level1,
        level2_cache=level2,
        local_memory=handle.local_mem_size,
        work_group_limit=handle.max_work_group_size,
    )


def _cpu_caches() -> tuple[int, int]:
    """Data caches of the first and second level of one core, as Linux tells them."""
    sizes = {1: DEFAULT_LEVEL1, 2: DEFAULT_LEVEL2}
    for cache in sorted(_CPU_CACHES.glob("index*")) if _CPU_CACHES.is_dir() else ():
        try:
            level = int((cache / "level").read_text())
            kind = (cache / "type").read_text().strip()
            text = (cache / "size").read_text().strip()
            if level in sizes and kind in ("Data", "Unified"):
                sizes[level] = int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)
        except (OSError, ValueError, KeyError, IndexError):
            continue
    return sizes[1], sizes[2]
