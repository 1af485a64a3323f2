"""Programs with one entry: each function gets its own arguments, and nothing but its own machine code is run."""

from __future__ import annotations

import numpy
import pytest

from lazygrad_opencl import backend

if not backend.devices():
    pytest.skip("there is no OpenCL device", allow_module_level=True)

from backends.opencl.handwritten import SIZE, found_devices, kernel, source
from lazygrad.ir.dtype import bfloat16, bool_, float16, float32, float64, int8, int16, int32, int64, uint8
from lazygrad_opencl import driver_cache, parallel
from lazygrad_opencl.device import OpenCLDevice
from lazygrad_opencl.entry import KERNEL, MOST_ARGUMENTS, MOST_ITEMS, Function, Signature, can_enter, merge

is_pocl = found_devices()[0].handle.platform.name == driver_cache.PLATFORM_NAME
SCALARS = {
    bool_: True, uint8: 200, int8: -100, int16: -30_000, int32: -(2**31), int64: 2**40, float16: 1.5, bfloat16: -3.0,
    float32: 0.1, float64: 0.1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Nothing that other tests have compiled."""
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def own_code(monkeypatch, texts):
    """A device that takes the texts, by kernels' names, for what its own generator makes."""
    device = OpenCLDevice(found_devices()[0])
    monkeypatch.setattr(device, "_generate", lambda kernel, capabilities: texts[kernel.name])
    return device


def written(kernel, body, **options):
    """As the generator writes it: nothing happens without buffers."""
    return source(kernel, f"if (!b0) return;\n{body}", **options)


def run(device, kernels, scalars):
    """The elements that each kernel writes, of 0, 1, 2, ..."""
    x = numpy.arange(SIZE, dtype=numpy.float32)
    read = device.from_host(x, float32)
    results = []
    for program, own in zip(device.compile(kernels), scalars, strict=True):
        out = device.from_host(
            numpy.zeros(SIZE, program.kernel.buffers[1].dtype.numpy), program.kernel.buffers[1].dtype
        )
        program.launch([read.allocation.memory, out.allocation.memory], [3] * program._movable, own)
        results.append(device.to_host(out))
    return results


LOOP = "for (int i = 0; i < %d; i++) b1[i] = %s;"


def test_arguments_of_all_types_reach_their_function(monkeypatch):
    device = own_code(monkeypatch, texts := {})
    types = [each for each in SCALARS if each in device.dtypes]
    kernels, scalars, expected = [], [], []
    for number, dtype in enumerate(types):
        narrow = float32 if dtype in (float16, bfloat16) else dtype
        plain = kernel(f"plain{number}", (dtype,), out=narrow)
        texts[plain.name] = written(plain, LOOP % (SIZE, "s0"))
        kernels.append(plain)
        scalars.append((SCALARS[dtype],))
        expected.append(numpy.full(SIZE, SCALARS[dtype], narrow.numpy))
    several = kernel("several", (int32, float32, int64), movable=True)
    body = "scratch[0] = 7;\n" + LOOP % (SIZE - 3, "b0[o0 + i] * s1 + s0 + s2 + scratch[0]")
    texts["several"] = written(several, body, scratch_bytes=128)
    kernels.append(several)
    scalars.append((-5, 0.5, 100))
    x = numpy.arange(SIZE, dtype=numpy.float32)
    expected.append(numpy.append((x + 3)[:-3] * 0.5 - 5 + 100 + 7, [0, 0, 0]).astype(numpy.float32))
    for result, wanted in zip(run(device, kernels, scalars), expected, strict=True):
        numpy.testing.assert_array_equal(result, wanted)


def times_kernels(count, loop=LOOP, groups=1):
    kernels = [kernel(f"times{n}") for n in range(count)]
    texts = {each.name: written(each, loop % (SIZE, f"b0[i] * {n}"), groups=groups) for n, each in enumerate(kernels)}
    return kernels, texts


def assert_multiplied(results):
    for n, result in enumerate(results):
        numpy.testing.assert_array_equal(result, numpy.arange(SIZE) * n)


@pytest.mark.skipif(not is_pocl, reason="only PoCL's machine code is kept beside a stub")
def test_one_file_a_program(monkeypatch, cache):
    monkeypatch.setattr(parallel, "FEW_FUNCTIONS", 100)
    kernels, texts = times_kernels(3)
    for _ in range(2):
        assert_multiplied(run(own_code(monkeypatch, texts), kernels, [()] * 3))
        names = [path.name for path in cache.glob("opencl/*/*")]
        assert sum(name.endswith(".code") for name in names) == 1
        assert not [name for name in names if name.endswith((".binary", ".machine"))]


@pytest.mark.skipif(not is_pocl, reason="others are asked for their binaries")
def test_the_bitcode_of_another_program_is_not_taken(monkeypatch, cache):
    """It mentions the same functions, where it calls them."""
    monkeypatch.setattr(driver_cache, "place", lambda *arguments: (_ for _ in ()).throw(OSError))
    kernels, texts = times_kernels(3, LOOP.replace("b1[i] =", "b1[i] = 1 * "))
    assert_multiplied(run(own_code(monkeypatch, texts), kernels, [()] * 3))
    others = [path.read_bytes() for path in driver_cache.folder().glob("*/*/program.bc")]
    found = driver_cache.bitcodes
    assert others
    monkeypatch.setattr(driver_cache, "bitcodes", lambda kernel: iter([*others, *found(kernel)]))
    kernels, texts = times_kernels(3, LOOP.replace("b1[i] =", "b1[i] = 0 +"))
    assert_multiplied(run(own_code(monkeypatch, texts), kernels, [()] * 3))


@pytest.mark.skipif(not is_pocl, reason="only PoCL's machine code is kept beside a stub")
@pytest.mark.parametrize("why", ["not found", "no room", "elsewhere"])
def test_machine_code_that_the_driver_does_not_run_is_not_needed(monkeypatch, cache, why):
    kernels, texts = times_kernels(3)
    if why == "not found":
        monkeypatch.setattr(driver_cache, "is_in_place", lambda *arguments: False)
    elif why == "no room":

        def full(*arguments):
            raise OSError("no space left on device")

        monkeypatch.setattr(driver_cache, "place", full)
    else:
        monkeypatch.setattr("lazygrad_opencl.build.compile_job", lambda *arguments: (_ for _ in ()).throw(RuntimeError))
        monkeypatch.setattr(parallel, "FEW_FUNCTIONS", 100)
    device = own_code(monkeypatch, texts)
    assert_multiplied(run(device, kernels, [()] * 3))
    assert not list(cache.glob("opencl/*/*.code"))
    assert (device._builder.is_kept) == (why != "not found")
    monkeypatch.undo()
    monkeypatch.setenv("LAZYGRAD_CACHE", str(cache))
    assert_multiplied(run(own_code(monkeypatch, texts), kernels, [()] * 3))


def test_launches_for_which_there_is_other_machine_code_are_kernels_of_their_own(monkeypatch):
    once = LOOP.replace("b1[i] =", "if (get_group_id(0) == 0) b1[i] =")
    kernels, texts = times_kernels(2, once, MOST_ITEMS + 1)
    device = own_code(monkeypatch, texts)
    assert_multiplied(run(device, kernels, [()] * 2))
    assert all(program._shared.home.number is None for program in device.compile(kernels))


def test_a_kernel_of_its_own_makes_no_entry():
    function = Function("f", f"{KERNEL}f(__global float* b0) {{\n}}\n", Signature(1, (), False))
    assert merge("", [function, Function("g", "__kernel void g() {}\n")]) is None
    merged = merge("", [function])
    assert merged is not None
    assert merged.text.count("__kernel") == merged.stub.count("__kernel") == 1
    assert (merged.pointers, merged.words) == (1, 0)


def test_programs_are_divided_before_an_entry_has_too_many_arguments():
    wide = [Function(f"f{n}", f"{KERNEL}f{n}() {{}}\n", signature) for n, signature in enumerate(
        [Signature(100, (), False), Signature(2, ("long",) * 20, True), Signature(2, ("long",) * 30, True)]
    )]  # fmt: skip
    assert [len(group) for group in parallel._groups(wide, 2)] == [2, 1]
    assert merge("", wide[:2]) is not None
    assert merge("", wide) is None
    assert not can_enter([Signature(MOST_ARGUMENTS, (), False)])


def test_equal_programs_have_equal_entries():
    functions = [
        Function(f"f{n}", f"{KERNEL}f{n}(__global float* b0) {{\n}}\n", Signature(1, (), False)) for n in (1, 2)
    ]
    first, again, other = merge("", functions), merge("", functions), merge("", functions[::-1])
    assert first == again
    assert first.kernel != other.kernel
