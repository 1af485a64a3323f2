"""Kernels that give memory back run first; nothing runs before what it needs."""

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import float32
from lazygrad.schedule.memory import plan_memory
from unit.schedule.interpreted import ALIGNMENT, schedule_of

LAYERS = 12
WIDTH = 256


def network():
    x = ops.placeholder((1024, WIDTH), float32, "numpy:0")
    weights = [ops.leaf(ops.placeholder((WIDTH, WIDTH), float32, "numpy:0")) for _ in range(LAYERS)]
    current = x
    for weight in weights:
        current = ops.tanh(ops.contract(current, (0, 1), weight, (1, 2), (0, 2)))
    loss = ops.sum_(current, (0, 1))
    gradients = vjp([loss], [ops.constant(1, (), float32, "numpy:0")], weights)
    return gradients, [x, *(weight.inputs[0] for weight in weights)]


def test_activations_die_as_the_backward_pass_goes():
    roots, leaves = network()
    made = schedule_of(roots, leaves)
    plan = plan_memory(made, frozenset(), ALIGNMENT)
    activation = 1024 * WIDTH * 4
    # Each layer's output, and what the backward pass needs at one time; not each layer's output and cotangent.
    assert plan.arena <= (LAYERS + 3) * activation + 3 * WIDTH * WIDTH * 4


def test_every_kernel_comes_after_those_it_reads_from():
    made = schedule_of(*network())
    written = set(range(made.leaves))
    for kernel in made.kernels:
        for slot, declared in zip(kernel.slots, kernel.kernel.buffers, strict=True):
            assert declared.written or slot in written
        written |= {s for s, d in zip(kernel.slots, kernel.kernel.buffers, strict=True) if d.written}
