"""Kernels that a GPU would run, compiled without one: all of the conformance table's and of training steps.

Each kernel is compiled for one of three targets in turn; with ``LAZYGRAD_TEST_EVERY_TARGET=1`` for all of them.
"""

import os
import re

import pytest

import lazygrad as lg
from lazygrad.kernel.forms import has_contraction, is_pointwise
from lazygrad.testing import conformance
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.planned import CAPABILITIES, HOPPER, TARGETS, compiled, kernels_of, spills
from backends.triton.steps import gpt_step, resnet_step
from lazygrad_triton.source import generate

EVERY_TARGET = os.environ.get("LAZYGRAD_TEST_EVERY_TARGET") == "1"
ROWS = conformance.rows()


def targets_of(number):
    return TARGETS if EVERY_TARGET else (TARGETS[number % len(TARGETS)],)


def row_tensors(row):
    """The results and gradients of a row's cases: in float32 where it has that, else in its last dtype."""
    dtype = lg.float32 if lg.float32 in row.dtypes else row.dtypes[-1]
    found = []
    for number, case in enumerate(row.cases_for(dtype)):
        arrays = conformance.inputs_of(row, dtype, number)
        found += conformance.call(row, case, arrays, conformance.REFERENCE)[1]
        if row.gradients and number < len(row.cases):
            found += conformance.gradients(row, case, arrays, conformance.REFERENCE, number)
    return [t for t in found if 0 not in t.shape and t._node.result is None]


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.name for row in ROWS])
def test_conformance_kernels(number):
    tensors = row_tensors(ROWS[number])
    for target in targets_of(number) if tensors else ():
        kernels = dict.fromkeys(kernels_of(tensors, CAPABILITIES[target]))
        for binaries in compiled(list(kernels), target):
            assert all(binary.code for binary in binaries)


@pytest.mark.exhaustive
@pytest.mark.parametrize("step", [resnet_step, gpt_step], ids=["resnet18", "gpt"])
@pytest.mark.parametrize("part", range(len(TARGETS)))
def test_steps(step, part):
    """A third of the step's kernels for each target: no spills where products are summed."""
    target = TARGETS[part]
    kernels = list(dict.fromkeys(step(CAPABILITIES[target])))
    chosen = kernels if EVERY_TARGET else kernels[part :: len(TARGETS)]
    for kernel, binaries in zip(chosen, compiled(chosen, target), strict=True):
        for binary in binaries:
            assert binary.shared <= CAPABILITIES[target].machine.local_memory
            if any(has_contraction(body) for body in kernel.bodies):
                assert spills(binary) == 0, f"{kernel.name} spills\n{generate(kernel, CAPABILITIES[target]).text}"


def test_pointwise_loads_and_stores_are_vectors():
    x, y = (lg.rand(512, 1024).realize() for _ in range(2))
    cases = [(x * 2 + y).tanh(), x.to(lg.bfloat16) * 2, lg.relu(x).T.contiguous() + 1]
    for tensor in cases:
        (kernel,) = kernels_of([tensor], CAPABILITIES[HOPPER])
        assert all(is_pointwise(body) for body in kernel.bodies)
        ((binary,),) = compiled([kernel], HOPPER)
        accesses = re.findall(r"\b(?:ld|st)\.global\S*", binary.assembly)
        assert accesses
        assert all(re.search(r"\.v[248]\.", access) for access in accesses), accesses


@pytest.mark.parametrize("transposed", [False, True])
def test_half_products_run_on_matrix_units(transposed):
    a, b = (lg.rand(2048, 2048).to(lg.bfloat16).realize() for _ in range(2))
    (kernel,) = kernels_of([a @ (b.T if transposed else b)], CAPABILITIES[HOPPER])
    ((binary,),) = compiled([kernel], HOPPER)
    assert "wgmma.mma_async" in binary.assembly
    assert "cp.async" in binary.assembly
    assert "ld.global" not in binary.assembly  # operands go to shared memory without passing through registers


@pytest.mark.parametrize(
    ("precision", "instruction"), [("highest", "fma.rn.f32"), ("high", "tf32"), ("medium", "bf16")]
)
def test_float32_precision(precision, instruction):
    a, b = (lg.rand(2048, 2048).realize() for _ in range(2))
    lg.set_float32_matmul_precision(precision)
    try:
        *_, kernel = kernels_of([a @ b], CAPABILITIES[HOPPER])
    finally:
        lg.set_float32_matmul_precision("highest")
    ((binary,),) = compiled([kernel], HOPPER)
    assert instruction in binary.assembly
    assert ("mma" in binary.assembly) == (precision != "highest")


def updated(gradient, parameter, mean, square):
    """What Adam makes of a gradient: more values beside each sum than registers hold at once."""
    mean = mean * 0.9 + gradient * 0.1
    square = square * 0.99 + gradient * gradient * 0.01
    return [gradient, mean, square, parameter - mean / (square.sqrt() + 1e-8)]


def test_long_epilogues_run_in_parts_without_spills():
    a, b = (lg.rand(2048, 2048).to(lg.bfloat16).realize() for _ in range(2))
    state = [lg.rand(2048, 2048).realize() for _ in range(3)]
    (kernel,) = kernels_of(updated((a @ b).float(), *state), CAPABILITIES[HOPPER])
    assert "halves(" in generate(kernel, CAPABILITIES[HOPPER]).text
    ((binary,),) = compiled([kernel], HOPPER)
    assert spills(binary) == 0


def test_stores_of_tiles_that_overhang_are_vectors():
    a, b = lg.rand(1024, 256).to(lg.bfloat16).realize(), lg.rand(3000, 256).to(lg.bfloat16).realize()
    (kernel,) = kernels_of([(a @ b.T).float()], CAPABILITIES[HOPPER])
    ((binary,),) = compiled([kernel], HOPPER)
    stores = re.findall(r"\bst\.global\S*", binary.assembly)
    assert stores
    assert all(".v4." in store for store in stores)


@pytest.mark.parametrize("transposed", [False, True])
def test_tf32_operands_are_turned_for_warp_groups(transposed):
    a, b = (lg.rand(2048, 2048).realize() for _ in range(2))
    lg.set_float32_matmul_precision("high")
    try:
        kernels = kernels_of([a @ (b.T if transposed else b)], CAPABILITIES[HOPPER])
    finally:
        lg.set_float32_matmul_precision("highest")
    assert len(kernels) == (1 if transposed else 2)
    ((binary,),) = compiled(kernels[-1:], HOPPER)
    assert "wgmma.mma_async" in binary.assembly
    copies = re.findall(r"cp\.async\.c[ag]\S* .*?(0x[0-9a-f]+)", binary.assembly)
    assert set(copies) == {"0x10"}, copies


def test_tf32_gradients_of_weights_run_on_single_warps():
    """Neither operand lies along the sum, and windows cannot be turned."""
    x, g = (lg.rand(32, 64, 28, 28).realize() for _ in range(2))
    w = lg.rand(64, 64, 3, 3).realize().requires_grad_()
    lg.set_float32_matmul_precision("high")
    try:
        (gradient,) = lg.autograd.grad(lg.nn.functional.conv2d(x, w, padding=1), [w], g)
    finally:
        lg.set_float32_matmul_precision("highest")
    kernels = [k for k in kernels_of([gradient], CAPABILITIES[HOPPER]) if any(map(has_contraction, k.bodies))]
    ((binary,),) = compiled(kernels, HOPPER)
    assert re.search(r"mma\.sync\S*tf32", binary.assembly)
    assert "wgmma" not in binary.assembly


def test_doubles_beside_masks_of_bytes():
    q, k, v = (lg.rand(2, 16, 16, dtype=lg.float64).realize() for _ in range(3))
    mask = (lg.rand(16, 16) > 0.5).realize()
    attended = lg.nn.functional.scaled_dot_product_attention(q, k, v, mask)
    assert all(compiled(kernels_of([attended], CAPABILITIES[HOPPER]), HOPPER))
