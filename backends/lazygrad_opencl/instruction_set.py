"""The vectors that a processor computes with, and what PoCL's compiler has to be told so that it uses them.

OpenCL's own question, the native width of vectors, is answered by PoCL for the processor that it runs on, while the
LLVM inside it may be older: the one from PyPI takes Zen 4 for Zen 3, splits each vector of 64 bytes in two and runs out
of registers, three times slower than if it had been asked for vectors of 32 bytes. So on x86-64 the processor is asked
itself, through Linux, and functions name what LLVM is to compile them for, where that is more than it would.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import NamedTuple

from lazygrad import environment

_PROCESSORS = Path("/proc/cpuinfo")
_X86_64 = ("x86_64", "amd64")
_ARM_64 = ("aarch64", "arm64")
# What processors must have for code with AVX2, and with AVX-512.
_AVX2 = frozenset({"avx2", "fma", "bmi1", "bmi2", "f16c"})
_AVX512 = _AVX2 | {"avx512f", "avx512vl", "avx512dq", "avx512bw", "avx512cd"}
# LLVM's names of features that Linux calls otherwise.
_LLVM_NAMES = {"bmi1": "bmi"}
SSE_BYTES, AVX2_BYTES, AVX512_BYTES = 16, 32, 64


class Vectors(NamedTuple):
    """Bytes of a vector register, and how many there are."""

    bytes: int
    registers: int


def read_vectors(native_bytes: int) -> Vectors:
    """Of this machine's processor, or narrower ones if the user wants; ``native_bytes`` is what its OpenCL says.

    Raises:
        ValueError: the user wants vectors that the processor does not have.
    """
    found = _widest(native_bytes)
    wanted = environment.value("LAZYGRAD_OPENCL_VECTORS", str(found.bytes))
    choices = [size for size in (SSE_BYTES, AVX2_BYTES, AVX512_BYTES) if size <= found.bytes]
    if wanted not in map(str, choices):
        raise ValueError(f"LAZYGRAD_OPENCL_VECTORS must be one of {choices} on this processor, got {wanted!r}")
    return found if found.bytes == int(wanted) else Vectors(int(wanted), _registers(int(wanted)))


def _widest(native_bytes: int) -> Vectors:
    flags = _flags() if platform.machine().lower() in _X86_64 else frozenset()
    if flags >= _AVX512:
        native_bytes = AVX512_BYTES
    elif flags >= _AVX2:
        native_bytes = AVX2_BYTES
    elif flags:  # an older one, of which some compute 32 bytes at once and some 16
        native_bytes = min(native_bytes, AVX2_BYTES)
    size = max(SSE_BYTES, native_bytes)
    return Vectors(size, _registers(size))


def _registers(size: int) -> int:
    """AVX-512 and 64-bit ARM have 32 registers, x86 before it 16."""
    return 32 if size >= AVX512_BYTES or platform.machine().lower() in _ARM_64 else 16


def _flags() -> frozenset[str]:
    """What Linux says that the first processor can do; nothing on other systems."""
    try:
        with _PROCESSORS.open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == "flags":
                    return frozenset(value.split())
    except OSError:
        pass
    return frozenset()


def definition(vector_bytes: int) -> str:
    """Defines ``INSTRUCTIONS``: attributes, each behind a comma, with which functions use vectors of so many bytes.

    Where a compiler uses AVX-512 by itself it may still prefer half vectors, unless a function says that it has whole
    ones.
    """
    if vector_bytes == AVX512_BYTES:
        macro, features, width = "__AVX512F__", _AVX512, f", min_vector_width({8 * AVX512_BYTES})"
    elif vector_bytes == AVX2_BYTES:
        macro, features, width = "__AVX__", _AVX2, ""
    else:
        return "#define INSTRUCTIONS"
    names = ",".join(sorted(_LLVM_NAMES.get(each, each) for each in features))
    return f"""\
#if !defined(__x86_64__) || !defined(__clang__)
#define INSTRUCTIONS
#elif defined({macro})
#define INSTRUCTIONS{width}
#else
#define INSTRUCTIONS , target("{names}"){width}
#endif"""
