"""Triton's compiler for targets that are not here: binaries, their resources, the cache on disk, errors."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from lazygrad.ir.dtype import bfloat16, float32
from lazygrad.kernel.kernel import BufferDeclaration, Kernel
from lazygrad.runtime import BackendError, CompileError, statistics
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.cuda_objects import Image
from backends.triton.fake_cuda import FakeCuda
from backends.triton.handwritten import SIZE, each, found_device, kernel, source, times, times_source
from lazygrad_triton import compiling, resources
from lazygrad_triton.binaries import Binary, Target
from lazygrad_triton.compiling import Compiler, Request, compile_source
from lazygrad_triton.device import TritonDevice
from lazygrad_triton.generated import GeneratedSource, Launch
from lazygrad_triton.signature import signature

HOPPER = Target("cuda", 90)
AMPERE = Target("cuda", 80)
MI300 = Target("hip", "gfx942", 64)
TESTS = Path(__file__).parents[2]
COPY = Kernel(
    "copy",
    (),
    (BufferDeclaration(float32, 4096, movable=True), BufferDeclaration(float32, 4096, written=True)),
    (float32,),
)
COPY_SOURCE = source(
    COPY, "i = tl.program_id(0) * 1024 + tl.arange(0, 1024)\ntl.store(b1 + i, tl.load(b0 + o0 + i) * s0)", 4, 4
)
PRODUCT = Kernel(
    "product", (), (*(BufferDeclaration(bfloat16, 64 * 64),) * 2, BufferDeclaration(float32, 64 * 64, True))
)
PRODUCT_SOURCE = source(
    PRODUCT,
    """
m = tl.arange(0, 64)
i = m[:, None] * 64 + m[None, :]
sums = tl.dot(tl.load(b0 + i), tl.load(b1 + i), tl.full((64, 64), 0, tl.float32), out_dtype=tl.float32)
tl.store(b2 + i, sums)
""",
    warps=4,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def request(which, made, aligned=True):
    return Request(which.name, made, signature(which), aligned)


def only(cache, pattern):
    (found,) = cache.glob(f"triton/{pattern}")
    return found


# ---- what comes out


@pytest.mark.parametrize("target", [HOPPER, AMPERE], ids=lambda target: target.name)
def test_nvidia(target, cache):
    (binary,) = compile_source(COPY, COPY_SOURCE, target)
    assert binary.code.startswith(b"\x7fELF")
    assert (binary.target, binary.function, binary.threads, binary.shared) == (target, "copy_kernel", 128, 0)
    assert set(binary.scratch) <= {0}
    assert f".target {target.name}" in binary.assembly
    assert "ld.global.v4" in binary.assembly
    assert "st.global.v4" in binary.assembly
    used = resources.resources(binary)
    assert 8 <= used.registers <= 64
    assert used._replace(registers=0) == (0, 0, 0, 0)
    version = versions.installed_version()
    assert only(cache, f"{target.name}-triton-{version}/copy_*.py").read_text() == COPY_SOURCE.text


def test_loads_are_narrow_where_nothing_is_promised():
    (plain,) = compile_source(COPY, COPY_SOURCE, HOPPER, aligned=False)
    assert "ld.global.v4" not in plain.assembly
    assert "st.global.v4" in plain.assembly


def test_amd():
    if versions.numbers(versions.installed_version()) < (3, 3):
        pytest.skip("Triton 3.2 has no linker for AMD, it looks for ROCm's")
    (binary,) = compile_source(COPY, COPY_SOURCE, MI300)
    assert binary.code.startswith(b"\x7fELF")
    assert (binary.function, binary.threads) == ("copy_kernel", 256)
    assert "global_load_dwordx4" in binary.assembly
    used = resources.resources(binary)
    assert 4 <= used.registers <= 64
    assert (used.spills, used.stack) == (0, 0)


def test_matrix_units():
    (hopper,) = compile_source(PRODUCT, PRODUCT_SOURCE, HOPPER)
    (ampere,) = compile_source(PRODUCT, PRODUCT_SOURCE, AMPERE)
    assert "wgmma.mma_async" in hopper.assembly
    assert "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" in ampere.assembly
    assert hopper.shared >= 2 * 64 * 64 * 2
    assert resources.resources(hopper).shared == hopper.shared


def test_spills_are_seen(tmp_path):
    many = Kernel("many", (), (BufferDeclaration(float32, 1 << 15), BufferDeclaration(float32, 1 << 15, written=True)))
    body = """
i = tl.arange(0, 16384)
a = tl.load(b0 + i)
b = tl.load(b0 + 16384 + i)
tl.debug_barrier()
tl.store(b1 + i, a + b)
tl.store(b1 + 16384 + i, a - b)
"""
    (binary,) = compile_source(many, source(many, body), HOPPER)
    used = resources.resources(binary)
    assert used.spills > 1000
    assert used.stack > 1000
    cubin = tmp_path / "cubin"
    cubin.write_bytes(binary.code)
    tool = Path(versions.assembler(90)[0]).with_name("cuobjdump")
    told = subprocess.run([tool, "--dump-resource-usage", cubin], capture_output=True, text=True, check=True).stdout
    assert f"REG:{used.registers} STACK:{used.stack} " in told


def test_products_and_sums_fuse():
    which = kernel("fused")
    (binary,) = compile_source(which, source(which, each("tl.load(b0 + i) * 3.0 + 1.0")), HOPPER)
    assert "fma.rn.f32" in binary.assembly or "mul.f32" in binary.assembly  # which the assembler fuses
    assert "mul.rn.f32" not in binary.assembly


def test_binaries_as_bytes():
    binary = Binary(MI300, "f", bytes(range(256)), "text\nwith ünïcode", 256, 1024, (0, 128))
    assert Binary.from_bytes(binary.to_bytes()) == binary


def test_several_launches_and_several_files():
    body = "i = tl.arange(0, 64)\ntl.store(b1 + i, tl.load(b0 + i))"
    two = kernel("two")
    made = source(two, body, launches=(Launch("first", 1, 1), Launch("second", 1, 2)))
    with statistics.counting() as counted:
        built = Compiler(AMPERE).build([request(two, made), request(times(3), times_source(times(3), None))])
    assert [[(each.function, each.threads) for each in binaries] for binaries in built] == [
        [("first", 32), ("second", 64)], [("times3_kernel", 32)],
    ]  # fmt: skip
    assert (counted.programs_built, counted.kernels_built) == (3, 2)


# ---- on disk

PROCESS = """
import json, sys
from backends.triton.test_compiling import AMPERE, Compiler, request, times, times_source
from lazygrad_triton import compiling
from lazygrad.runtime.statistics import total
wanted = [times(n) for n in map(int, sys.argv[1].split(","))]
built = Compiler(AMPERE).build([request(each, times_source(each, None)) for each in wanted])
assert [binary.function for (binary,) in built] == [f"{each.name}_kernel" for each in wanted]
print(json.dumps([total.programs_built, total.programs_loaded, "triton" in sys.modules, len(compiling._workers._idle)]))
"""


def process(cache: Path, factors: str, **more: str) -> tuple[list[int], str]:
    """Compiles in a new process: binaries built, loaded, whether Triton was imported, compiler processes; warnings."""
    environment = {**os.environ, "LAZYGRAD_CACHE": str(cache), **more}
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, factors], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_second_process_compiles_only_what_is_new(cache, tmp_path):
    others = tmp_path / "own cache of Triton"
    (built, loaded, imported, workers), warned = process(
        cache, "2,3", TRITON_CACHE_DIR=str(others), TRITON_INTERPRET="1"
    )
    assert (built, loaded, imported, warned) == (2, 0, False, "")
    assert workers >= 1
    assert process(cache, "3,2") == ([0, 2, False, 0], "")
    assert process(cache, "2,5,3")[0][:2] == [1, 2]
    assert not others.exists()
    assert not list(cache.rglob(".unfinished-*"))


def test_a_damaged_entry_is_built_again(cache, caplog):
    which = times(2)
    first = Compiler(AMPERE).build([request(which, times_source(which, None))])
    path = only(cache, "*/times2_kernel_*.binary")
    path.write_bytes(path.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING), statistics.counting() as counted:
        again = Compiler(AMPERE).build([request(which, times_source(which, None))])
    assert f"the cache entry {path} is damaged; it is built again" in caplog.text
    assert (counted.programs_built, counted.programs_loaded) == (1, 0)
    assert again == first


def test_a_cache_folder_that_cannot_be_made(cache):
    cache.write_text("a file stands where the folder should be")
    (binary,) = compile_source(times(2), times_source(times(2), None), AMPERE)
    assert binary.function == "times2_kernel"
    with pytest.raises(CompileError, match=r"The source is below. Triton says:(.|\n)*wrong_name(.|\n)*# bad\n"):
        compile_source(kernel("bad"), source(kernel("bad"), each("wrong_name")), AMPERE)


def test_what_makes_another_binary(cache):
    which = times(2)
    text = times_source(which, None).text
    requests = [
        request(which, GeneratedSource(text, (Launch("times2_kernel", 1, warps, stages),)))
        for warps, stages in ((1, 1), (2, 1), (1, 2))
    ]
    Compiler(AMPERE).build([*requests, request(which, GeneratedSource(text, (Launch("times2_kernel", 9, 1, 1),)))])
    assert len(list(cache.glob("triton/*/times2_kernel_*.binary"))) == 3  # the size of the grid makes none


# ---- errors


def test_an_error_names_everything(cache):
    bad = kernel("bad")
    with pytest.raises(CompileError) as caught:
        compile_source(bad, source(bad, each("tl.load(b0 + i) + wrong_name")), AMPERE)
    message = str(caught.value)
    version = versions.installed_version()
    assert message.startswith(f"Triton {version} refused generated source for sm_80: kernel bad, needed at {__file__}:")
    path = Path(message.split("The source is in ")[1].split(". Triton says")[0])
    assert path.parent == cache / "triton" / f"sm_80-triton-{version}"
    assert "wrong_name" in path.read_text()
    assert "wrong_name is not defined" in message
    assert "tl.load(b0 + i) + wrong_name" in message.split("Triton says")[1]


def test_what_the_compiler_prints_is_in_the_error():
    loud = kernel("loud")
    text = source(loud, each("tl.load(b0 + i) + missing")).text.replace(
        "import triton\n", "import os\nimport triton\nos.write(2, b'said by the machine')\nprint('and by Python')\n", 1
    )
    with pytest.raises(CompileError, match=r"Triton says:(.|\n)*missing(.|\n)*said by the machine(.|\n)*and by Python"):
        compile_source(loud, GeneratedSource(text, (Launch("loud_kernel", 1),)), AMPERE)


def test_a_compiler_that_ends_does_not_end_this_process(cache):
    which = kernel("fatal")
    text = source(which, each("0.0")).text.replace(
        "import triton\n", "import os\nimport triton\nos.write(2, b'LLVM ERROR: no such thing')\nos.abort()\n", 1
    )
    with pytest.raises(CompileError) as caught:
        compile_source(which, GeneratedSource(text, (Launch("fatal_kernel", 1),)), AMPERE)
    assert f"the compiler's process ended with status {-signal.SIGABRT}" in str(caught.value)
    assert "LLVM ERROR: no such thing" in str(caught.value)
    assert compile_source(times(2), times_source(times(2), None), AMPERE)


def test_a_process_that_has_gone_is_replaced():
    assert compile_source(times(7), times_source(times(7), None), AMPERE)
    for worker in compiling._workers._idle:
        worker._process.kill()
        worker._process.wait()
    assert compile_source(times(8), times_source(times(8), None), AMPERE)


def test_one_error_among_many_does_not_lose_the_others(cache):
    bad = kernel("bad")
    requests = [request(times(n), times_source(times(n), None)) for n in (2, 3)]
    with pytest.raises(CompileError, match="kernel bad"):
        Compiler(AMPERE).build([requests[0], request(bad, source(bad, each("wrong_name"))), requests[1]])
    with statistics.counting() as counted:
        Compiler(AMPERE).build(requests)
    assert counted.programs_loaded == 2


def test_no_triton(monkeypatch):
    monkeypatch.setattr(versions, "installed_version", lambda: None)
    with pytest.raises(BackendError, match="Triton is not installed"):
        Compiler(AMPERE)


# ---- from the compiler to the driver


class RealBuilder:
    """Compiles as on a machine with a device, and tells the fake driver what the machine code stands for."""

    def __init__(self, cuda):
        self.cuda = cuda
        self.compiler = Compiler(HOPPER)

    def build(self, requests):
        built = self.compiler.build(requests)
        for each_request, binaries in zip(requests, built, strict=True):
            types = tuple(each_request.signature.types.values())
            divisible = each_request.signature.divisible(each_request.aligned)
            for launch, binary in zip(each_request.source.launches, binaries, strict=True):
                self.cuda.cubins[binary.code] = Image(
                    each_request.source.text, launch.function, types, divisible, 32 * launch.warps, binary.shared,
                    binary.scratch,
                )  # fmt: skip
        return built


def test_what_is_compiled_is_launched_as_it_wants_to_be():
    cuda = FakeCuda()
    opened = TritonDevice(found_device(cuda), lambda k, c: COPY_SOURCE, RealBuilder(cuda))
    (program,) = opened.compile([COPY])
    x = numpy.arange(5000, dtype=numpy.float32)
    read, written = opened.from_host(x, float32), opened.from_host(x[:4096], float32)
    for offset in (0, 160, 7):
        program.launch([read.allocation.memory, written.allocation.memory], [offset], [0.5])
        numpy.testing.assert_array_equal(opened.to_host(written), x[offset : offset + 4096] * 0.5)
    assert len(cuda.cubins) == 2
    assert SIZE not in {launch[1] for launch in cuda.launches}
