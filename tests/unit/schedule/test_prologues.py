"""Operands of contractions that block programs compute while they load them: where that happens, and what comes out.

Kernels are counted on a machine with one core, which cuts no sums into pieces.
"""

from __future__ import annotations

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import bfloat16, float16, float32
from lazygrad.kernel.machine import Machine
from lazygrad.ops.movement import Padding, Window
from unit.schedule.interpreted import CPU, GPU, check

BLOCK = Machine("block", cores=1, local_memory=160 * 1024)
MANY_CORES = Machine("block", cores=64, local_memory=160 * 1024)
SMALL = [(32, 64), (64, 96)]


def product(a, b):
    return ops.contract(a, (0, 1), b, (1, 2), (0, 2))


def scaled(x, factors, axis):
    (extent,) = factors.shape
    shape = tuple(extent if each == axis else 1 for each in range(x.rank))
    return ops.mul(x, ops.expand(ops.reshape(factors, shape), x.shape))


def names(made):
    return [scheduled.kernel.name for scheduled in made.kernels]


def operand_types(made):
    """The types of the buffers that the contraction reads."""
    (kernel,) = [s.kernel for s in made.kernels if "contract" in s.kernel.name]
    return [buffer.dtype for buffer in kernel.buffers if not buffer.written]


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (lambda x, w: product(x, ops.relu(w)), SMALL),
        (lambda x, w: product(ops.relu(x), ops.add(w, 1)), SMALL),
        (lambda x, w, s: product(x, scaled(w, s, 0)), [*SMALL, (64,)]),
        (lambda x, w, s, t: product(x, ops.add(scaled(w, s, 1), scaled(w, t, 1))), [*SMALL, (96,), (96,)]),
        (lambda x, w: product(x, ops.permute(ops.relu(w), (1, 0))), [(32, 64), (96, 64)]),
        (lambda x, w: ops.contract(ops.relu(x), (0, 1, 2), w, (0, 2, 3), (0, 1, 3)), [(3, 32, 64), (3, 64, 48)]),
        (lambda x, w: product(x, ops.add(w, 1)), [(33, 61), (61, 37)]),
    ],
    ids=["relu", "both", "by row", "by column", "transposed", "batches", "overhanging"],
)
def test_cheap_operands_are_computed_in_the_product(build, shapes):
    assert names(check(build, shapes, BLOCK)) == ["contract"]


@pytest.mark.parametrize("dtype", [float16, bfloat16])
def test_parameters_are_converted_in_the_product(dtype):
    made = check(lambda x, w: product(ops.cast(x, dtype), ops.cast(w, dtype)), SMALL, BLOCK, 2e-2)
    assert names(made) == ["contract"]
    assert operand_types(made) == [float32, float32]


def test_half_width_results_are_rounded_before_they_are_multiplied():
    def build(x, w):
        return product(x, ops.mul(ops.relu(w), 1.001))  # rounds back to most numbers

    made = check(build, SMALL, BLOCK, 2e-2, dtype=bfloat16)
    assert names(made) == ["contract"]
    assert operand_types(made) == [bfloat16, bfloat16]
    (contraction,) = made.kernels[0].kernel.bodies[0].stages[0].accumulators
    assert [operand.inputs[0].dtype for operand in contraction.operands] == [bfloat16, bfloat16]


def test_pieces_of_half_width_sums_stay_half_width():
    made = check(product, [(32, 2048), (2048, 32)], MANY_CORES, 2e-2, dtype=bfloat16)
    assert names(made) == ["contract", "sum_cast"]
    assert operand_types(made) == [bfloat16, bfloat16]


def test_windows_of_half_width_pieces_read_no_copy_of_every_window():
    def build(x, w):
        padded = ops.pad(x, (Padding(0, 0), Padding(0, 0), Padding(1, 1), Padding(1, 1)))
        seen = ops.windows(padded, (Window(2, 3), Window(3, 3)))
        return ops.contract(seen, (0, 1, 2, 3, 4, 5), w, (6, 1, 4, 5), (0, 6, 2, 3))

    made = check(build, [(1, 64, 8, 8), (32, 64, 3, 3)], MANY_CORES, 5e-2, dtype=bfloat16)
    assert max(slot.layout.size for slot in made.slots) < 3 * 3 * 64 * 8 * 8


@pytest.mark.parametrize(
    ("build", "shapes", "kernels"),
    [
        (lambda x, w: product(x, ops.relu(w)), [(1024, 64), (64, 128)], ["relu", "contract"]),
        (lambda x, w: product(x, ops.exp(w)), SMALL, ["exp", "contract"]),
        (lambda x, w, m: product(x, ops.mul(w, m)), [*SMALL, (64, 96)], ["mul", "contract"]),
        (lambda x, w: [ops.relu(w), product(x, ops.relu(w))], SMALL, ["relu", "contract"]),
        (lambda x, w, v: product(x, ops.relu(product(w, v))), [(32, 64), (64, 48), (48, 96)], None),
    ],
    ids=["many tiles", "expensive", "two large values", "a result", "an epilogue"],
)
def test_other_operands_are_stored(build, shapes, kernels):
    found = names(check(build, shapes, BLOCK, 1e-2))
    assert found == (kernels or ["contract_relu", "contract"])


@pytest.mark.parametrize("machine", [CPU, GPU], ids=["cpu", "gpu"])
def test_only_block_programs_have_prologues(machine):
    assert "relu" in names(check(lambda x, w: product(x, ops.relu(w)), SMALL, machine))


def test_one_value_for_several_products_counts_for_each():
    def build(count):
        def products(*inputs):
            w = ops.add(inputs[0], 1)
            return [product(x, w) for x in inputs[1:]]

        return products, [(64, 96), *([(32, 64)] * count)]

    assert names(check(*build(4), BLOCK)) == ["contract"] * 4
    assert names(check(*build(5), BLOCK)) == ["add", *["contract"] * 5]


def test_rows_are_normalised_in_the_product():
    def build(x, w):
        factors = ops.rsqrt(ops.add(ops.sum_(ops.mul(x, x), (1,)), 1.0))
        return product(scaled(x, factors, 0), w)

    made = check(build, [(32, 64), (64, 96)], BLOCK)
    assert len(made.kernels) == 2
    assert all(slot.layout.size != 32 * 64 for slot in made.slots)


def paddings(low, high):
    return (Padding(0, 0), Padding(0, 0), Padding(low, high), Padding(low, high))


def test_zeros_around_stay_zeros_behind_a_prologue():
    """What both convolutions read is stored once, with a halo; one adds 1 to it, but not to the zeros around."""

    def build(x, w, pointwise, patches):
        stem = ops.contract(x, (0, 1, 2, 3), w, (4, 1), (0, 4, 2, 3))
        shortcut = ops.contract(stem, (0, 1, 2, 3), pointwise, (4, 1), (0, 4, 2, 3))
        padded = ops.pad(ops.add(stem, 1), paddings(1, 1))
        seen = ops.windows(padded, (Window(2, 2, 2), Window(3, 2, 2)))
        return [shortcut, ops.contract(seen, (0, 1, 2, 3, 4, 5), patches, (6, 1, 4, 5), (0, 6, 2, 3))]

    made = check(build, [(2, 16, 6, 6), (32, 16), (32, 32), (48, 32, 2, 2)], BLOCK)
    assert [store.value.op for store in made.kernels[0].kernel.bodies[0].stages[1].stores] == ["reduced"]
    halos = [slot for slot in made.slots if slot.layout.size == 2 * 32 * 8 * 8]
    assert len(halos) == 1


def test_windows_over_what_the_user_gave_read_a_copy():
    def build(x, w):
        seen = ops.windows(ops.pad(ops.add(x, 1), paddings(1, 1)), (Window(2, 2, 2), Window(3, 2, 2)))
        return ops.contract(seen, (0, 1, 2, 3, 4, 5), w, (6, 1, 4, 5), (0, 6, 2, 3))

    assert names(check(build, [(2, 16, 6, 6), (48, 16, 2, 2)], BLOCK))[0] == "add"


def test_scattered_operands_are_gathered_and_computed_at_once():
    """The side of neighbours is too short: a copy has more, and what makes the copy computes the value."""

    def build(x, w):
        return ops.contract(x, (0, 1, 3), ops.add(w, 1), (1, 2, 3), (0, 2))

    made = check(build, [(64, 48, 2), (48, 64, 2)], BLOCK)
    assert names(made)[-1].startswith("contract")


def test_gradients():
    def build(x, w, g):
        y = product(x, ops.relu(ops.add(w, 1)))
        return [y, *vjp([y], [g], [x, w])]

    check(build, [*SMALL, (32, 96)], BLOCK)
