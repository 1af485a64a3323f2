"""What CUDA devices can do, read from the driver, and what the interpreter pretends to be.

In: the attributes of a device. Out: ``Capabilities``.
"""

from __future__ import annotations

from collections.abc import Mapping

from lazygrad.kernel.machine import Machine, MatrixUnits
from lazygrad.runtime import Capabilities

# Below this compute capability Triton generates no code.
OLDEST_CAPABILITY = 80
# Parameters take at most this many bytes on every driver; a movable buffer is a pointer and an offset.
PARAMETER_BYTES = 4096
BUFFER_PARAMETER_BYTES = 16
SCALAR_PARAMETER_BYTES = 128
# The widest load of one thread.
LOAD_BYTES = 16
# The one generation whose warps multiply matrices in fours.
HOPPER = 90
INTERPRETED_CORES = 4
# What streams compute (see lazygrad_triton.streaming).
COMPOSITES = frozenset(
    {
        "attention", "attention_logsumexp", "attention_query_gradient", "attention_key_gradient",
        "attention_value_gradient",
    }
)  # fmt: skip

# What is asked of a device, by the driver's names.
ATTRIBUTES = (
    "COMPUTE_CAPABILITY_MAJOR",
    "COMPUTE_CAPABILITY_MINOR",
    "MULTIPROCESSOR_COUNT",
    "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN",
    "MAX_SHARED_MEMORY_PER_MULTIPROCESSOR",
    "L2_CACHE_SIZE",
    "MAX_REGISTERS_PER_MULTIPROCESSOR",
    "MAX_THREADS_PER_BLOCK",
    "WARP_SIZE",
)


def compute_capability(attributes: Mapping[str, int]) -> int:
    """The generation as one number: 90 for 9.0."""
    return attributes["COMPUTE_CAPABILITY_MAJOR"] * 10 + attributes["COMPUTE_CAPABILITY_MINOR"]


def cuda_capabilities(attributes: Mapping[str, int]) -> Capabilities:
    """The capabilities of a CUDA device; ``attributes`` has a value for each of ``ATTRIBUTES``."""
    capability = compute_capability(attributes)
    units: MatrixUnits = "warp group" if capability == HOPPER else "warp"
    return _capabilities(
        Machine(
            flavour="block",
            cores=attributes["MULTIPROCESSOR_COUNT"],
            vector_bytes=LOAD_BYTES,
            level1_cache=attributes["MAX_SHARED_MEMORY_PER_MULTIPROCESSOR"],
            level2_cache=attributes["L2_CACHE_SIZE"],
            local_memory=attributes["MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"],
            work_group_limit=attributes["MAX_THREADS_PER_BLOCK"],
            warp_size=attributes["WARP_SIZE"],
            registers=attributes["MAX_REGISTERS_PER_MULTIPROCESSOR"],
            matrix_units=units,
            compute_capability=capability,
            composites=COMPOSITES,
        )
    )


def interpreter_capabilities() -> Capabilities:
    """An Ampere device with so few cores that tests run few block programs."""
    return _capabilities(
        Machine(
            flavour="block",
            cores=INTERPRETED_CORES,
            vector_bytes=LOAD_BYTES,
            level1_cache=192 * 1024,
            level2_cache=4 * 1024 * 1024,
            local_memory=160 * 1024,
            work_group_limit=1024,
            matrix_units="warp",
            compute_capability=OLDEST_CAPABILITY,
            composites=COMPOSITES,
        )
    )


def _capabilities(machine: Machine) -> Capabilities:
    return Capabilities(
        machine=machine,
        argument_limit=(PARAMETER_BYTES - SCALAR_PARAMETER_BYTES) // BUFFER_PARAMETER_BYTES,
    )
