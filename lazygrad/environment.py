"""The environment variables lazygrad reads: one list, from which ``python -m lazygrad info`` and README are made.

In: a name of the list. Out: what the user set, or the default. A name that is not on the list is refused, so that
no variable exists undocumented.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

# When this process began to import lazygrad. Source files that are newer may not be what runs.
IMPORTED_AT = time.time()


class EnvironmentVariable(NamedTuple):
    """A variable's name, what it does, and what holds when it is not set (in words for the reader)."""

    name: str
    meaning: str
    default: str


VARIABLES: tuple[EnvironmentVariable, ...] = (
    EnvironmentVariable(
        "LAZYGRAD_DEVICE", "where new tensors are made: opencl, opencl:1, triton:0, numpy", "the best available device"
    ),
    EnvironmentVariable(
        "LAZYGRAD_DEBUG", "what is printed: 1 schedule and timing, 2 kernels, 3 source, 4 graph", "0, nothing"
    ),
    EnvironmentVariable("LAZYGRAD_PROFILE", "a file to which a trace of all kernels is written at exit", "none"),
    EnvironmentVariable(
        "LAZYGRAD_VERIFY", "1 checks every kernel's result against the NumPy reference (slow)", "0, no checks"
    ),
    EnvironmentVariable(
        "LAZYGRAD_CACHE", "the folder of compiled kernels and checkpoints", "lazygrad in the user's cache folder"
    ),
    EnvironmentVariable(
        "LAZYGRAD_CACHE_LIMIT", "how much that folder may hold besides checkpoints: bytes, or a size like 500M", "2G"
    ),
    EnvironmentVariable(
        "LAZYGRAD_TUNE",
        "1 measures several block sizes of each new kernel on the device and keeps the fastest on disk (Triton)",
        "0, what was found before serves, else a heuristic",
    ),
    EnvironmentVariable(
        "LAZYGRAD_OPENCL_FLAVOUR",
        "cpu or gpu: the kind of code made for OpenCL devices, whatever they are (to test one on the other)",
        "what the device is",
    ),
    EnvironmentVariable(
        "LAZYGRAD_OPENCL_VECTORS",
        "16, 32 or 64: bytes of the vectors that a processor's code uses, if it has them (32 is AVX2, 64 AVX-512)",
        "the widest that the processor has",
    ),
)
_KEYS = {variable.name: os.environ.encodekey(variable.name) for variable in VARIABLES}
# Where the mapping has its variables. It takes a microsecond, and an exception, to tell that there is none of a name;
# each replay of a captured function asks for two.
_RAW: Mapping[Any, Any] = os.environ._data  # type: ignore[attr-defined]


def value(name: str, default: str = "") -> str:
    """What the variable is set to; ``default`` when it is unset or empty. KeyError when it is not on the list."""
    if name not in _KEYS:
        raise KeyError(f"{name} is not among lazygrad's environment variables; add it to lazygrad/environment.py")
    raw = _RAW.get(_KEYS[name])
    return os.environ.decodevalue(raw) if raw else default


def level(name: str) -> int:
    """The variable as a number: 0 when it is unset. ValueError names the variable when it is not a number."""
    text = value(name, "0")
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be a whole number, got {text!r}") from None
