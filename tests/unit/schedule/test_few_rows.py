"""Few pixels that multiply large weights: weights, their gradients and updates stay as they lie, the little is copied."""

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.kernel.machine import Machine
from unit.schedule.interpreted import check
from unit.schedule.test_fusion import convolution

OUTPUTS, INPUTS = 64, 32


def layer(x, w, m, g, stride=1, padding=1):
    """A convolution between two other computations, its gradients, and an update with momentum."""
    hidden = ops.tanh(x)
    y = convolution(hidden, w, stride, padding)
    by_x, by_w = vjp([ops.tanh(y)], [g], [x, w])
    moved = ops.add(ops.mul(m, 0.9), by_w)
    return [by_x, by_w, moved, ops.sub(w, ops.mul(moved, 0.1))]


def shapes(batch, size, kernel=3, stride=1, padding=1, outputs=OUTPUTS, inputs=INPUTS):
    made = (size + 2 * padding - kernel) // stride + 1
    weight = (outputs, inputs, kernel, kernel)
    return [(batch, inputs, size, size), weight, weight, (batch, outputs, made, made)]


def traffic(made, size):
    """How many buffers of at least so many elements each kernel has."""
    found = {}
    for scheduled in made.kernels:
        large = sum(buffer.size >= size for buffer in scheduled.kernel.buffers)
        if large:
            found.setdefault(scheduled.kernel.name, []).append(large)
    return found


def test_weights_are_read_thrice_and_written_once():
    of = shapes(1, 2)
    large = traffic(check(layer, of), OUTPUTS * INPUTS * 9)
    # The forward pass, the gradient of the input, and gradient and update, which read two such values and write three.
    assert sorted(number for numbers in large.values() for number in numbers) == [1, 1, 5]
    assert "pack" not in large


def test_with_many_pixels_weights_are_packed():
    large = traffic(check(layer, shapes(2, 8)), OUTPUTS * INPUTS * 9)
    assert large["pack"] == [2, 2]


@pytest.mark.parametrize(("batch", "size"), [(1, 1), (1, 3), (2, 2), (3, 3), (8, 2)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0), (2, 1, 0), (3, 1, 0)]
)
def test_values(batch, size, kernel, stride, padding):
    if size + 2 * padding >= kernel:

        def build(x, w, m, g):
            return layer(x, w, m, g, stride, padding)

        check(build, shapes(batch, size, kernel, stride, padding, 40, 12), seed=size)


@pytest.mark.parametrize("rows", [6, 48])
def test_a_linear_layer_of_few_rows_reads_its_weight_in_place(rows):
    def build(x, w, v):
        hidden = ops.tanh(ops.contract(ops.tanh(x), (0, 2), w, (1, 2), (0, 1)))
        return ops.contract(hidden, (0, 1), v, (1, 2), (0, 2))

    large = traffic(check(build, [(rows, 96), (128, 96), (128, 40)]), 48 * 128)
    assert "pack" not in large


def test_few_rows_of_sequences_multiply_packed_weights():
    """Turned, they would lie inside of channels for attention, which reads these."""

    def build(x, w):
        return ops.tanh(ops.contract(ops.tanh(x), (0, 1, 3), w, (2, 3), (0, 1, 2)))

    large = traffic(check(build, [(2, 24, 96), (128, 96)]), 128 * 96)
    assert large["pack"] == [2]


def test_a_result_that_comes_out_row_major_stays_one_kernel():
    def build(x, w):
        return ops.relu(ops.contract(x, (0, 2), w, (1, 2), (0, 1)))

    names = [scheduled.kernel.name for scheduled in check(build, [(10, 32), (48, 32)]).kernels]
    assert names == ["pack", "contract_relu"]


@pytest.mark.parametrize(("pixels", "names"), [(48, ["contract"]), (9, ["contract", "leaf"])])
def test_long_runs_of_columns_are_stored_row_major_at_once(pixels, names):
    """As a convolution of single pixels by many outputs: images lie outside of these in the result, not in sums."""
    made = check(lambda x, w: ops.contract(w, (1, 3), x, (0, 3, 2), (0, 1, 2)), [(4, 8, pixels), (60, 8)])
    assert [scheduled.kernel.name for scheduled in made.kernels if scheduled.kernel.name != "pack"] == names


@pytest.mark.parametrize(("cache", "packed"), [(1 << 20, [2]), (1 << 10, [])])
def test_of_a_tiny_result_the_large_operand_stays_as_it_lies(cache, packed):
    machine = Machine("cpu", cores=2, level2_cache=cache)
    # As a weight's gradient by a few outputs: both lie along the sum, and the result comes out row-major.
    made = check(
        lambda g, x: ops.contract(g, (0, 2), x, (1, 2), (0, 1)), [(3, 300), (48, 300)], machine, tolerance=1e-3
    )
    assert traffic(made, 48 * 300).get("pack", []) == packed
