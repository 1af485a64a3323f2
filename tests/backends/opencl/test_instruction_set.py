"""Which vectors a processor's code uses, by what the system says of it, and that compilers are told so."""

from __future__ import annotations

import platform

import numpy
import pytest

from backends.opencl.launching import AVX2, VECTORS, Launcher, capabilities
from lazygrad_opencl import instruction_set
from lazygrad_opencl.instruction_set import Vectors, definition, read_vectors
from lazygrad_opencl.prelude import prelude

OLD = "fpu sse sse2 ssse3 sse4_1"
NEW = f"{OLD} avx avx2 fma bmi1 bmi2 f16c"
NEWEST = f"{NEW} avx512f avx512vl avx512dq avx512bw avx512cd"


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Makes the machine one whose processors have the flags, or one that does not tell."""

    def pretend(machine, flags):
        path = tmp_path / "cpuinfo"
        monkeypatch.setattr(platform, "machine", lambda: machine)
        monkeypatch.setattr(instruction_set, "_PROCESSORS", path)
        monkeypatch.delenv("LAZYGRAD_OPENCL_VECTORS", raising=False)
        if flags is not None:
            path.write_text(f"processor\t: 0\nmodel name\t: X\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: none\n")

    return pretend


@pytest.mark.parametrize(
    ("machine", "flags", "native", "expected"),
    [
        ("x86_64", NEWEST, 8, (64, 32)),  # PoCL's LLVM does not know the processor
        ("x86_64", NEW, 64, (32, 16)),
        ("x86_64", f"{NEW} avx512f", 64, (32, 16)),  # Knights Landing has no short vectors of AVX-512
        ("x86_64", OLD, 16, (16, 16)),
        ("x86_64", f"{OLD} avx", 32, (32, 16)),
        ("x86_64", OLD, 64, (32, 16)),
        ("x86_64", None, 64, (64, 32)),
        ("x86_64", None, 4, (16, 16)),
        ("AMD64", None, 32, (32, 16)),
        ("aarch64", NEWEST, 16, (16, 32)),
        ("ppc64le", None, 16, (16, 16)),
    ],
)
def test_the_widest_vectors_of_a_processor(processor, machine, flags, native, expected):
    processor(machine, flags)
    assert read_vectors(native) == expected


def test_the_user_may_want_narrower_ones(processor, monkeypatch):
    processor("x86_64", NEWEST)
    monkeypatch.setenv("LAZYGRAD_OPENCL_VECTORS", "32")
    assert read_vectors(64) == (32, 16)
    processor("x86_64", NEW)
    for wrong in ("64", "8", "wide"):
        monkeypatch.setenv("LAZYGRAD_OPENCL_VECTORS", wrong)
        message = rf"LAZYGRAD_OPENCL_VECTORS must be one of \[16, 32\] on this processor, got '{wrong}'"
        with pytest.raises(ValueError, match=message):
            read_vectors(32)


def test_functions_name_what_they_are_compiled_for():
    assert 'target("avx2,avx512bw,avx512cd,avx512dq,avx512f,avx512vl,bmi,bmi2,f16c,fma")' in definition(64)
    assert definition(64).count("min_vector_width(512)") == 2  # also where the compiler knows the processor
    assert 'target("avx2,bmi,bmi2,f16c,fma")' in definition(32)
    assert definition(16) == "#define INSTRUCTIONS"
    assert "target" not in prelude(capabilities("gpu", Vectors(64, 32)))


@pytest.mark.parametrize("vectors", VECTORS)
def test_the_driver_uses_them(vectors):
    """A root of a whole vector is one builtin, which compilers refuse in functions that are not compiled for it."""
    import pyopencl

    launcher, lanes = Launcher(), vectors.bytes // 4
    text = f"""{prelude(capabilities("cpu", vectors))}
NOT_INLINE void body(__global float* x) {{
    *(__global unaligned_float{lanes}*)x = square_root_float{lanes}(*(__global unaligned_float{lanes}*)x);
}}
__kernel void root(__global float* x) {{ body(x); }}
"""
    array = numpy.arange(lanes, dtype=numpy.float32)
    program = pyopencl.Program(launcher.context, text).build("-cl-std=CL1.2 -Werror")
    flags = pyopencl.mem_flags.READ_WRITE | pyopencl.mem_flags.COPY_HOST_PTR
    buffer = pyopencl.Buffer(launcher.context, flags, hostbuf=array)
    program.root(launcher.queue, (1,), (1,), buffer)
    found = numpy.empty_like(array)
    pyopencl.enqueue_copy(launcher.queue, found, buffer)
    numpy.testing.assert_array_equal(found, numpy.sqrt(array))


def test_this_machines_vectors_are_the_devices():
    from lazygrad_opencl import backend

    machine = backend.open("0").capabilities.machine
    if machine.flavour == "cpu":
        assert (machine.vector_bytes, machine.vector_registers) == read_vectors(AVX2.bytes)
