"""What is fused is a claim in numbers: kernels and bytes of schedules, each of which is also run and compared."""

from __future__ import annotations

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import float32
from lazygrad.ir.node import Node
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.printer import print_kernel
from lazygrad.nn.functional.window_maximum import Sliding, largest_of_windows
from lazygrad.ops.movement import Padding, Range, Window
from lazygrad.ops.standardization import squared_distances, standardise
from unit.schedule.interpreted import CPU, GPU, check, schedule_of


def kept(x: Node, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape))


def spread(x: Node, like: Node, axes: tuple[int, ...]) -> Node:
    return ops.expand(ops.reshape(x, kept(like, axes)), like.shape)


def softmax(x: Node) -> Node:
    axes = (x.rank - 1,)
    e = ops.exp(ops.sub(x, spread(ops.max_(x, axes), x, axes)))
    return ops.div(e, spread(ops.sum_(e, axes), e, axes))


def normalized(x: Node, axes: tuple[int, ...]) -> Node:
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    centred = ops.sub(x, spread(ops.mul(ops.sum_(x, axes), 1 / count), x, axes))
    variance = ops.mul(ops.sum_(ops.mul(centred, centred), axes), 1 / count)
    return ops.mul(centred, spread(ops.rsqrt(ops.add(variance, 1e-5)), x, axes))


def convolution(x: Node, w: Node, stride: int = 1, padding: int = 1) -> Node:
    none = Padding(0, 0)
    padded = ops.pad(x, (none, none, Padding(padding, padding), Padding(padding, padding)))
    taps = ops.windows(padded, (Window(2, w.shape[2], stride), Window(3, w.shape[3], stride)))
    return ops.contract(taps, (0, 1, 2, 3, 4, 5), w, (6, 1, 4, 5), (0, 6, 2, 3))


def batch_norm(x: Node, weight: Node, bias: Node) -> Node:
    per_channel = (0, 2, 3)
    return ops.add(ops.mul(normalized(x, per_channel), spread(weight, x, per_channel)), spread(bias, x, per_channel))


def test_softmax_is_one_kernel_forward_and_one_backward():
    assert len(check(softmax, [(12, 33)]).kernels) == 1

    def both(x, g):
        y = softmax(x)
        return [y, *vjp([y], [g], [x])]

    assert len(check(both, [(12, 33), (12, 33)]).kernels) == 1


def test_layer_norm_is_one_kernel():
    made = check(lambda x: normalized(x, (1,)), [(20, 48)])
    assert len(made.kernels) == 1
    (kernel,) = made.kernels
    assert [buffer.size for buffer in kernel.kernel.buffers] == [20 * 48, 20 * 48]


def test_batch_norm_with_its_statistics_is_one_kernel():
    def build(x, w, b):
        count = x.shape[0] * x.shape[2] * x.shape[3]
        mean = ops.mul(ops.sum_(x, (0, 2, 3)), 1 / count)
        return [ops.relu(batch_norm(x, w, b)), mean]

    assert len(check(build, [(4, 16, 5, 5), (16,), (16,)]).kernels) == 1


def test_the_gradient_of_batch_norm_needs_two_sums_more():
    def gradients(x, w, b, cotangent):
        axes = (0, 2, 3)
        mean = ops.mul(ops.sum_(x, axes), 1 / 100)
        variance = ops.mul(squared_distances(x, mean, axes), 1 / 100)
        scale = ops.mul(ops.rsqrt(ops.add(variance, 1e-5)), w)
        y = ops.add(standardise(x, mean, scale, axes), spread(b, x, axes))
        return vjp([y], [cotangent], [x, w, b])

    made = check(gradients, [(4, 16, 5, 5), (16,), (16,), (4, 16, 5, 5)], tolerance=1e-3)
    stages = [stage for scheduled in made.kernels for body in scheduled.kernel.bodies for stage in body.stages]
    # The mean, the variance, the cotangents' sum and that of their products with distances.
    assert sum(len(stage.accumulators) for stage in stages) == 4


def test_a_linear_layer_with_bias_and_relu_is_one_contraction_and_its_packing():
    def build(x, w, b):
        return ops.relu(ops.add(ops.contract(x, (0, 1), w, (2, 1), (0, 2)), spread(b, w_out(x, w), (0,))))

    def w_out(x, w):
        return ops.placeholder((x.shape[0], w.shape[0]), x.dtype, x.device)

    made = check(build, [(10, 32), (48, 32), (48,)])
    assert [k.kernel.name for k in made.kernels] == ["pack", "contract_add_relu"]


def test_an_sgd_step_over_sixty_parameters_is_four_launches():
    shapes = [(8 + i, 3) for i in range(60)]

    def build(*leaves):
        parameters, gradients, momenta = leaves[:60], leaves[60:120], leaves[120:]
        results = []
        for p, g, m in zip(parameters, gradients, momenta, strict=True):
            buffer = ops.add(ops.mul(m, 0.9), g)
            results += [buffer, ops.sub(p, ops.mul(buffer, 0.01))]
        return results

    made = check(build, shapes * 3)
    assert len(made.kernels) <= 5


def block(x, w1, g1, b1, w2, g2, b2):
    h = ops.relu(batch_norm(convolution(x, w1), g1, b1))
    return ops.relu(ops.add(batch_norm(convolution(h, w2), g2, b2), x))


BLOCK = [(2, 16, 6, 6), (16, 16, 3, 3), (16,), (16,), (16, 16, 3, 3), (16,), (16,)]


def test_resnets_basic_block_forward():
    made = check(block, BLOCK, tolerance=1e-3)
    names = [k.kernel.name for k in made.kernels]
    assert names.count("contract") == 2
    # The input's copy with a halo, two packed weights, two convolutions, two fused batch norms.
    assert len(names) == 7, names


def test_resnets_basic_block_forward_and_backward():
    def both(*leaves):
        *inputs, cotangent = leaves
        y = block(*inputs)
        return [y, *vjp([y], [cotangent], inputs)]

    made = check(both, [*BLOCK, BLOCK[0]], tolerance=2e-3)
    contractions = [k for k in made.kernels if k.kernel.name.startswith("contract")]
    assert len(contractions) == 6
    assert len(made.kernels) <= 17, [k.kernel.name for k in made.kernels]


def test_what_is_read_in_steps_hands_its_layout_on():
    """Between a convolution and its pooled image lie maxima of columns, which read the convolution through a relu."""

    def build(x, w, cotangent, factors):
        y = ops.relu(batch_norm(convolution(x, w), factors, factors))
        pooled, _ = largest_of_windows(y, [Sliding(axis, 3, 2, 1, 1, 1) for axis in (3, 2)], False)
        return [pooled, *vjp([pooled], [cotangent], [x])]

    made = check(build, [(2, 16, 8, 8), (24, 16, 3, 3), (2, 24, 4, 4), (24,)])
    maxima = [slot.layout for slot in made.slots if slot.shape == (2, 24, 4, 8)]
    assert maxima
    assert all(part.stride == 1 for layout in maxima for part in layout.parts if part.axis == 1)


def test_a_kernel_is_named_after_what_it_stores():
    """The relu and its square would be in the product's kernel, but are computed again by those that sum them."""

    def build(x, w):
        y = ops.contract(x, (0, 1), w, (1, 2), (0, 2))
        positive = ops.relu(y)
        return [y, ops.sum_(positive, (0,)), ops.sum_(ops.mul(positive, positive), (1,))]

    made = check(build, [(20, 48), (48, 16)])
    assert [kernel.kernel.name for kernel in made.kernels] == ["contract", "sum", "sum"]


@pytest.mark.parametrize("machine", [CPU, GPU])
def test_strided_convolution_and_its_gradients(machine):
    def both(x, w, g):
        y = convolution(x, w, stride=2)
        return [y, *vjp([y], [g], [x, w])]

    check(both, [(2, 8, 9, 9), (16, 8, 3, 3), (2, 16, 5, 5)], machine, tolerance=1e-3)


@pytest.mark.parametrize("machine", [CPU, GPU])
def test_max_pooling_and_its_gradient(machine):
    def both(x, g):
        y = ops.max_(ops.windows(x, (Window(2, 3, 2), Window(3, 3, 2))), (4, 5))
        return [y, *vjp([y], [g], [x])]

    check(both, [(2, 4, 9, 9), (2, 4, 4, 4)], machine)


def test_pooling_two_axes_is_two_kernels_forward_and_two_backward():
    """One for each axis; with all taps of all windows stored, the gradient alone would be more than is written."""
    slidings = [Sliding(axis, 3, 2, 1, 1, 1) for axis in (2, 3)]

    def both(x, g):
        y, _ = largest_of_windows(x, slidings)
        return [y, *vjp([y], [g], [x])]

    made = check(both, [(2, 4, 16, 16), (2, 4, 8, 8)])
    assert len(made.kernels) == 4
    written = [slot.layout.size * slot.dtype.bits // 8 for slot in made.slots]
    image = 2 * 4 * 16 * 16 * 4
    assert sum(written) < 4.2 * image


def test_values_that_are_cheap_to_compute_again_are_not_stored():
    def build(x, w, v):
        centred = ops.sub(x, 1.0)
        return [ops.contract(w, (0, 1), v, (1, 2), (0, 2)), ops.sum_(centred, (0,)), ops.sum_(centred, (1,))]

    made = check(build, [(30, 40), (8, 8), (8, 16)])
    assert len(made.slots) == 3


def test_dear_values_are_stored_once():
    def build(x):
        dear = ops.exp(ops.tanh(ops.exp(x)))
        return [ops.sum_(dear, (0,)), ops.sum_(dear, (1,))]

    made = check(build, [(30, 40)])
    assert len(made.slots) == 3


@pytest.mark.parametrize("machine", [CPU, GPU])
def test_of_a_gelu_the_tanh_is_stored_and_not_what_follows_from_it(machine):
    def both(x, w1, w2, g):
        h = ops.contract(x, (0, 1), w1, (1, 2), (0, 2))
        curve = ops.tanh(ops.mul(ops.add(h, ops.mul(0.045, ops.mul(h, ops.mul(h, h)))), 0.8))
        y = ops.contract(ops.mul(ops.mul(h, 0.5), ops.add(curve, 1.0)), (0, 1), w2, (1, 2), (0, 2))
        return [y, *vjp([y], [g], [x, w1, w2])]

    made = check(both, [(40, 48), (48, 64), (64, 48), (40, 48)], machine)
    texts = [print_kernel(scheduled.kernel) for scheduled in made.kernels]
    assert sum("tanh(" in text for text in texts) == 1
    written = sum(slot.layout.size for slot in made.slots if slot.layout.size == 40 * 64)
    assert written == 4 * 40 * 64  # before the gelu, the tanh, after it, the gradient


def test_long_reductions_are_split_for_parallel_work():
    made = check(lambda x: ops.sum_(x, (0, 1)), [(512, 512)], tolerance=1e-3)
    assert len(made.kernels) == 2


@pytest.mark.parametrize(
    ("shape", "axes", "kernels"),
    [((1024, 768), (0,), 2), ((2048, 768), (1,), 1), ((8, 64, 32, 32), (0, 2, 3), 2), ((1024, 20_000), (0,), 1)],
    ids=["columns", "rows", "channels", "many columns"],
)
def test_block_programs_share_columns_in_pieces(shape, axes, kernels):
    """A program adds up 32 columns side by side, so few columns leave cores idle; rows are programs of their own."""
    x = ops.placeholder(shape, float32, "numpy")
    made = schedule_of([ops.sum_(x, axes)], [x], Machine("block", cores=132))
    assert len(made.kernels) == kernels


def test_asking_twice_gives_two_results():
    made = check(lambda x: [ops.exp(x), ops.exp(x)], [(5,)])
    assert len(set(made.roots)) == 2


def test_a_leaf_or_a_constant_as_a_result_is_copied():
    made = check(lambda x: [x, ops.constant(3, (4,), x.dtype, x.device)], [(5,)])
    assert all(slot >= made.leaves for slot in made.roots)


def test_components_never_wait_for_each_other():
    """exp(x) feeds a contraction whose result joins exp(x) again: one kernel before, one after."""

    def build(x, w):
        e = ops.exp(x)
        c = ops.contract(e, (0, 1), w, (1, 2), (0, 2))
        return ops.add(ops.mul(e, 2.0), ops.tanh(c))

    check(build, [(16, 16), (16, 16)])


def test_a_flattened_and_permuted_chain_stays_one_kernel():
    def build(x):
        y = ops.permute(ops.relu(ops.reshape(ops.add(x, 1.0), (4, 30))), (1, 0))
        return ops.mul(y, 3.0)

    assert len(check(build, [(4, 5, 6)]).kernels) == 1


def test_many_shared_diamonds_do_not_blow_up():
    def build(x):
        for _ in range(60):
            x = ops.mul(ops.add(x, x), 0.5)
        return x

    assert len(check(build, [(8,)]).kernels) <= 2


def test_attention_reads_heads_in_place():
    def build(q, k, v):
        def heads(x):
            return ops.permute(ops.reshape(x, (2, 8, 4, 16)), (0, 2, 1, 3))

        scores = ops.mul(ops.contract(heads(q), (0, 1, 2, 3), heads(k), (0, 1, 4, 3), (0, 1, 2, 4)), 0.25)
        mixed = ops.contract(softmax(scores), (0, 1, 2, 4), heads(v), (0, 1, 4, 3), (0, 1, 2, 3))
        return ops.reshape(ops.permute(mixed, (0, 2, 1, 3)), (2, 8, 64))

    check(build, [(2, 8, 64)] * 3)


def test_slices_of_steps_scatter_back():
    def both(x, g):
        y = ops.slice_(x, (Range(1, 9, 3), Range(0, 5)))
        return [y, *vjp([y], [g], [x])]

    check(both, [(10, 5), (3, 5)])


def test_what_a_channel_shares_costs_each_element_little():
    """A normalized value in front of a pooling is computed in each of its readers, and stored for none of them."""
    shape, count = (3, 8, 12, 10), 3 * 12 * 10

    def forward_and_mask(x, g):
        per_channel = (0, 2, 3)
        centred = ops.sub(x, spread(ops.div(ops.sum_(x, per_channel), float(count)), x, per_channel))
        variance = ops.div(ops.sum_(ops.mul(centred, centred), per_channel), float(count))
        y = ops.relu(ops.mul(centred, spread(ops.rsqrt(ops.add(variance, 1e-5)), x, per_channel)))
        pooled = ops.max_(ops.windows(y, (Window(2, 2, 2), Window(3, 2, 2))), (4, 5))
        return [pooled, ops.where(ops.lt(0.0, y), g, 0.0)]

    made = check(forward_and_mask, [shape, shape])
    assert sum(slot.shape == shape for slot in made.slots) == 1  # the second root


def test_a_common_constant_is_no_reason_to_run_together():
    def sums(a, b, w):
        products = [ops.mul(ops.contract(x, (0, 1), w, (1, 2), (0, 2)), 0.3) for x in (a, b)]
        return [ops.sum_(ops.exp(ops.mul(product, 0.7)), (0,)) for product in products]

    made = check(sums, [(40, 16), (40, 16), (16, 24)], tolerance=1e-3)
    readers = [
        sum(not b.written for b in kernel.kernel.buffers) for kernel in made.kernels if "sum" in kernel.kernel.name
    ]
    assert max(readers) == 1
