"""Streaming attention in Triton: it computes the composition, in whatever tiles, and runs on matrix units without spills."""

import os
import re
from dataclasses import replace

import numpy
import pytest

import lazygrad as lg
from lazygrad.kernel.block_size import BlockSize
from lazygrad.kernel.block_streaming import block_streaming
from lazygrad.kernel.forms import is_streaming
from lazygrad.nn import functional
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.planned import A100, AMPERE, H100, HOPPER, MI300, TARGETS, kernels_of, spills
from lazygrad_triton.capabilities import interpreter_capabilities
from lazygrad_triton.compiling import compile_source
from lazygrad_triton.interpreting import InterpretedProgram
from lazygrad_triton.source import alternatives, generate

EVERY_TARGET = os.environ.get("LAZYGRAD_TEST_EVERY_TARGET") == "1"
INTERPRET = "triton:interpret"
INTERPRETER = interpreter_capabilities()
# A wave has 64 lanes, and a core less shared memory than NVIDIA's.
MI300_MACHINE = replace(A100.machine, cores=304, warp_size=64, local_memory=64 * 1024, compute_capability=0)
CAPABILITIES = {AMPERE: A100, HOPPER: H100, MI300: replace(A100, machine=MI300_MACHINE)}


def inputs(batch, m, n, e, d, dtype="float32", seed=0):
    random = numpy.random.default_rng(seed)
    extents = ((m, e), (n, e), (n, d), (m, d))
    return [random.standard_normal((*batch, *matrix)).astype(dtype) for matrix in extents]


def attention(arrays, device, dtype=None, mask=None, **options):
    """The result and its gradients by query, key and value."""
    *leaves, cotangent = (lg.tensor(array, device=device).to(dtype or lg.float32) for array in arrays)
    leaves = [leaf.detach().requires_grad_() for leaf in leaves]
    mask = None if mask is None else lg.tensor(mask, device=device)
    y = functional.scaled_dot_product_attention(*leaves, mask, **options)
    y.backward(cotangent)
    return [y.detach(), *(leaf.grad for leaf in leaves)]


def agree(arrays, tolerance, **options):
    found, expected = (attention(arrays, device, **options) for device in (INTERPRET, "numpy"))
    for got, want in zip(found, expected, strict=True):
        assert got.dtype is want.dtype
        got, want = got.to(lg.float64).numpy(), want.to(lg.float64).numpy()
        numpy.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1, abs(want).max()))


# ---- values


@pytest.mark.parametrize("extents", [(300, 400, 8, 12), (400, 300, 20, 8), (512, 512, 16, 16), (20, 600, 8, 40)])
@pytest.mark.parametrize("causal", [False, True])
def test_long_streams(extents, causal):
    """Streams that have loops of their own for steps that all rows see: with and without overhang, wider and taller."""
    agree(inputs((), *extents), 2e-6, is_causal=causal)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(lg.float16, 2e-3), (lg.bfloat16, 2e-2), (lg.float64, 1e-13)], ids=str
)  # fmt: skip
@pytest.mark.parametrize("extents", [(70, 100, 16, 32), (65, 64, 24, 8)])
def test_dtypes(dtype, tolerance, extents):
    agree(inputs((2,), *extents), tolerance, dtype=dtype, is_causal=True)


def test_masks_hide_rows():
    shown = numpy.random.default_rng(1).random((40, 50)) < 0.5
    shown[7] = False
    agree(inputs((2, 2), 40, 50, 8, 4), 2e-6, mask=shown)
    agree(inputs((2, 2), 40, 50, 8, 4), 2e-6, mask=shown[:1])


def test_scores_of_any_size():
    query, *rest = inputs((2,), 40, 50, 8, 4)
    agree([query * 1e3, *rest], 2e-3)


def test_a_constant_cotangent_has_the_values_type():
    query, key, value, _ = (lg.tensor(x, device=INTERPRET).to(lg.bfloat16) for x in inputs((2,), 40, 50, 8, 4))
    query.requires_grad_()
    functional.scaled_dot_product_attention(query, key, value).sum().backward()
    reference = [x.detach().to("numpy") for x in (query, key, value)]
    reference[0].requires_grad_()
    functional.scaled_dot_product_attention(*reference).sum().backward()
    found, expected = (x.grad.to(lg.float32).numpy() for x in (query, reference[0]))
    numpy.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-2)


def run(kernel, alternative, path):
    """What one kernel writes when it is generated in other sizes."""
    memory = []
    random = numpy.random.default_rng(2)
    for buffer in kernel.buffers:
        values = random.standard_normal(buffer.size) if not buffer.written else numpy.full(buffer.size, numpy.nan)
        memory.append(values.astype(buffer.dtype.numpy).view(numpy.uint8))
    program = InterpretedProgram(kernel, generate(kernel, INTERPRETER, alternative), str(path))
    program.launch(memory, [], [])
    pairs = zip(memory, kernel.buffers, strict=True)
    return [array.view(buffer.dtype.numpy) for array, buffer in pairs if buffer.written]


def test_every_size_computes_the_same(tmp_path):
    tensors = attention(inputs((2,), 100, 260, 24, 8), "numpy", is_causal=True)
    kernels = [k for k in kernels_of(tensors, INTERPRETER) if is_streaming(k.bodies[0])]
    assert len(kernels) == 3
    for kernel in kernels:
        heuristic, *others = alternatives(kernel, INTERPRETER)
        assert len(set(others)) == len(others) > 4
        expected = run(kernel, heuristic, tmp_path / "first.py")
        for number, other in enumerate(others[::5]):
            for got, want in zip(run(kernel, other, tmp_path / f"{number}.py"), expected, strict=True):
                numpy.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


# ---- text and tiles


def planned(batch, m, n, e, dtype=lg.bfloat16, capabilities=H100, mask=None, **options):
    """The kernels of attention and its gradients."""
    tensors = attention(inputs(batch, m, n, e, e), "numpy", dtype=dtype, mask=mask, **options)
    return [k for k in kernels_of(tensors, capabilities) if is_streaming(k.bodies[0])]


def test_a_causal_mask_is_applied_along_the_diagonal_only():
    forward, _, by_key = planned((2,), 1024, 1024, 64, is_causal=True)
    for kernel, (inner, outer) in ((forward, (1, 2)), (by_key, (2, 1))):
        loops = generate(kernel, H100).text.split("for start")
        assert len(loops) == 3
        assert "tl.where(m" not in loops[inner]
        assert "tl.where(m" in loops[outer]


def test_loops_without_masks_and_overhang_have_no_masks():
    for kernel in planned((2,), 1024, 1024, 64):
        (_, loop) = generate(kernel, H100).text.split("for start")
        assert "mask=" not in loop


def test_small_grids_take_smaller_tiles():
    many, few = (planned((batch,), 1024, 1024, 64)[0].bodies[0] for batch in (64, 1))
    assert block_streaming(many, H100.machine).rows > block_streaming(few, H100.machine).rows
    tile = block_streaming(few, H100.machine, BlockSize(2048, 2048, 1, 4, 1)).size
    assert (tile.rows, tile.columns) == (1024, 1024)  # not longer than what there is


# ---- what compilers make of it


def built(kernel, target):
    """The binary of a kernel, which fits into shared memory."""
    (binary,) = compile_source(kernel, generate(kernel, CAPABILITIES[target]), target)
    assert binary.shared <= CAPABILITIES[target].machine.local_memory
    return binary


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("causal", [False, True])
def test_half_types_run_on_matrix_units_and_nothing_spills(width, causal):
    for number, kernel in enumerate(planned((4, 8), 1024, 1024, width, is_causal=causal)):
        for target in TARGETS if EVERY_TARGET else (TARGETS[(number + causal) % 2],):
            binary = built(kernel, target)
            assert spills(binary) == 0, f"{kernel.name} for {target.name}"
            unit = {HOPPER: "wgmma.mma_async", AMPERE: "mma.sync"}.get(target, "v_mfma")
            assert unit in binary.assembly
            if target in (HOPPER, AMPERE):
                blocks = re.split(r"^\$L__BB", binary.assembly, flags=re.MULTILINE)
                assert all("ld.global" not in block for block in blocks if unit in block)  # loads bypass registers


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", [lg.float32, lg.float64], ids=str)
def test_wide_types_do_not_spill(dtype):
    for number, kernel in enumerate(planned((2, 8), 512, 512, 64, dtype=dtype, is_causal=True)):
        for target in TARGETS[:2] if EVERY_TARGET else (TARGETS[number % 2],):
            assert spills(built(kernel, target)) == 0, f"{kernel.name} for {target.name}"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("width", "dtype"), [(160, lg.bfloat16), (256, lg.bfloat16), (256, lg.float32), (128, lg.float64)]
)  # fmt: skip
def test_the_longest_rows_fit(width, dtype):
    kernels = planned((2,), 256, 256, width, dtype=dtype)
    for kernel in kernels if EVERY_TARGET else kernels[2:]:
        built(kernel, AMPERE)


@pytest.mark.exhaustive
def test_a_mask_of_all_scores_fits_into_shared_memory_too():
    mask = numpy.zeros((1024, 1024), numpy.float32)
    for kernel in planned((4, 8), 1024, 1024, 128, mask=mask):
        assert spills(built(kernel, HOPPER)) == 0
