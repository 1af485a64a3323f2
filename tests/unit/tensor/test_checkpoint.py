"""Checkpoints: the same numbers, for less memory and one more forward pass."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy
import pytest

import lazygrad as lg
from integration.interpreted_device import opened
from lazygrad import autodiff, ops
from lazygrad.ir.dtype import float32
from lazygrad.ir.node import topological
from lazygrad.ops.random import RANDOM_BITS
from lazygrad.ops.recomputation import AFTER
from lazygrad.passes import simplify
from lazygrad.runtime.structure import abstract, linearize
from lazygrad.schedule.memory import plan_memory
from lazygrad.schedule.plan import plan
from unit.schedule.interpreted import ALIGNMENT, CPU


@pytest.fixture(params=["numpy:0", "interpreted:0", "opencl:0"])
def chosen(request):
    with opened() if request.param == "interpreted:0" else nullcontext():
        lg.set_default_device(request.param)
        yield request.param
        lg.set_default_device(None)


class Block(lg.nn.Module):
    """A residual block with everything that may go wrong when it is computed twice."""

    def __init__(self, width):
        super().__init__()
        self.inner = lg.nn.Sequential(
            lg.nn.Conv2d(width, 2 * width, 3, padding=1),
            lg.nn.BatchNorm2d(2 * width),
            lg.nn.ReLU(),
            lg.nn.Dropout(0.25),
            lg.nn.Conv2d(2 * width, width, 1),
        )

    def forward(self, x):
        return lg.relu(x + self.inner(x))


class Network(lg.nn.Module):
    def __init__(self, blocks, apply):
        super().__init__()
        lg.manual_seed(1)
        self.blocks = lg.nn.ModuleList([Block(4) for _ in range(blocks)])
        self.head = lg.nn.Linear(4, 3)
        self.apply_block = apply

    def forward(self, x):
        for block in self.blocks:
            x = self.apply_block(block, x)
        return self.head(x.mean((2, 3)))


def plainly(function, *args, **kwargs):
    return function(*args, **kwargs)


def nested(function, *args):
    """A checkpoint within one within one."""
    return lg.checkpoint(lambda *a: lg.checkpoint(lambda *b: lg.checkpoint(function, *b) * 1.5, *a) + 0.5, *args)


def nested_plainly(function, *args):
    return function(*args) * 1.5 + 0.5


def trained(apply, steps=2, look=False, compiled=False):
    """All state after some steps."""
    network = Network(3, apply)
    optimizer = lg.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    generator = numpy.random.default_rng(0)
    x = lg.tensor(generator.standard_normal((6, 4, 8, 8)).astype(numpy.float32), requires_grad=True)
    y = lg.tensor(generator.integers(0, 3, 6))

    def step():
        optimizer.zero_grad()
        loss = lg.nn.functional.cross_entropy(network(x), y)
        if look:
            loss.item()
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = lg.compile(step) if compiled else step
    losses = [run() for _ in range(steps)]
    found = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    found.update({f"grad {n}": p.grad.numpy() for n, p in enumerate(network.parameters())})
    return {**found, "x": x.grad.numpy(), "losses": numpy.stack([loss.numpy() for loss in losses])}


def same(ours, theirs):
    """Equal to the last bit; on OpenCL up to rounding, since kernels that store less may add in another order."""
    assert ours.keys() == theirs.keys()
    tolerance = 2e-5 if lg.get_default_device().type == "opencl" else 0
    for name in ours:
        numpy.testing.assert_allclose(ours[name], theirs[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("way", ["step", "look", "compiled"])
def test_training_is_the_same(chosen, way):
    options = {"look": way == "look", "compiled": way == "compiled"}
    same(trained(lg.checkpoint, **options), trained(plainly, **options))


def test_checkpoints_within_checkpoints(chosen):
    same(trained(nested), trained(nested_plainly))


def test_torchs_arguments_are_admitted(chosen):
    def reentrant(function, *args):
        return lg.checkpoint(function, *args, use_reentrant=True, preserve_rng_state=False)

    same(trained(reentrant), trained(plainly))


@dataclass
class Pair:
    first: lg.Tensor
    rest: dict


def several(x, scale=1.0, *, shift):
    hidden = lg.tanh(x * scale) + shift
    return Pair(hidden.exp(), {"sum": hidden.sum(0), "x": x, "positions": [hidden.argmax(1), 5]})


def test_results_may_be_several_and_nested(chosen):
    start = lg.tensor(numpy.linspace(-1, 1, 12).reshape(3, 4).astype(numpy.float32))
    found = []
    for apply in (lg.checkpoint, plainly):
        x, shift = start.clone().requires_grad_(), lg.ones(4, requires_grad=True)
        made = apply(several, x, 2.0, shift=shift)
        assert made.rest["x"] is x
        assert made.rest["positions"][1] == 5
        loss = (made.first * made.first).sum() + (made.rest["sum"] * made.rest["positions"][0].sum()).exp().mean()
        loss.backward()
        found.append({"x": x.grad.numpy(), "shift": shift.grad.numpy(), "loss": loss.detach().numpy()})
    same(*found)


def test_what_the_function_takes_from_outside_is_an_input_and_is_not_computed_again():
    x = lg.rand(4, 4, requires_grad=True)
    outside = x.exp()
    result = lg.checkpoint(lambda a: (a * outside).tanh(), x)
    region = result._cell.node.attributes.region
    assert outside._cell.node not in region.nodes
    assert [node.op.name for node in region.nodes] == ["mul", "tanh"]


def test_without_gradients_it_is_a_call():
    x = lg.rand(4, requires_grad=True)
    with lg.no_grad():
        assert lg.checkpoint(lg.exp, x)._cell.node.op.name == "exp"
    constant = lg.checkpoint(lg.exp, lg.rand(4))
    assert constant._cell.node.op.name == "exp"
    assert not constant.requires_grad


def test_a_tensor_keeps_its_name_and_its_hooks(chosen):
    x = lg.tensor([0.5, 1.0], requires_grad=True)
    seen, held = [], []

    def function(x):
        inner = x.exp()
        inner.register_hook(lambda g: seen.append(g.numpy()))
        held.append(inner)
        return inner * 2

    y = lg.checkpoint(function, x)
    assert str(y.grad_fn).startswith("<MulBackward0")
    y.retain_grad()
    (y * y).sum().backward()
    numpy.testing.assert_allclose(y.grad.numpy(), 4 * numpy.exp([0.5, 1.0]), rtol=1e-6)
    numpy.testing.assert_allclose(seen[0], 8 * numpy.exp([0.5, 1.0]), rtol=1e-6)


def test_second_derivatives_are_the_same(chosen):
    found = []
    for apply in (lg.checkpoint, plainly):
        x = lg.tensor([[0.3, -1.2], [0.7, 0.1]], requires_grad=True)
        w = lg.tensor([[0.5, 0.25], [-1.0, 2.0]], requires_grad=True)
        y = apply(lambda x, w=w: (x @ w).tanh().exp(), x)
        (slope,) = lg.autograd.grad((y * y).sum(), x, create_graph=True)
        (slope * slope).sum().backward()
        found.append({"slope": slope.detach().numpy(), "x": x.grad.numpy(), "w": w.grad.numpy()})
    same(*found)


def test_a_function_that_changes_its_argument_in_place(chosen):
    found = []
    for apply in (lg.checkpoint, plainly):
        x = lg.tensor([0.5, -1.0], requires_grad=True)
        y = x * 2

        def function(y):
            y.relu_()
            return y.exp(), y

        first, changed = apply(function, y)
        assert changed is y
        (first * first + y).sum().backward()
        found.append({"x": x.grad.numpy(), "y": y.detach().numpy()})
    same(*found)


# ---- memory


class Linear(lg.nn.Module):
    """A block that keeps four times as much inside as it gives."""

    def __init__(self, width):
        super().__init__()
        self.norm = lg.nn.LayerNorm(width)
        self.wide, self.narrow = lg.nn.Linear(width, 4 * width), lg.nn.Linear(4 * width, width)
        self.dropout = lg.nn.Dropout(0.1)

    def forward(self, x):
        return x + self.dropout(self.narrow(lg.nn.functional.gelu(self.wide(self.norm(x)))))


DEPTH, ROWS, WIDTH = 24, 256, 32


def deep_step(apply):
    """The schedule of loss and gradients of a deep network."""
    lg.manual_seed(0)
    blocks = [Linear(WIDTH) for _ in range(DEPTH)]
    parameters = [p for block in blocks for p in block.parameters()]
    x, y = lg.rand(ROWS, WIDTH), lg.rand(ROWS, WIDTH)
    lg.realize(x, y, *parameters)
    hidden = x
    for block in blocks:
        hidden = apply(block, hidden)
    loss = ((hidden - y) ** 2).mean()
    gradients = lg.autograd.grad(loss, parameters)
    structure = linearize([t._cell.node for t in (loss.detach(), *gradients)])
    graph = abstract(structure, "numpy:0")
    return plan(graph.roots, graph.leaves, graph.arguments, CPU, 64)


def arena(schedule):
    return plan_memory(schedule, frozenset(), ALIGNMENT).arena


def test_the_arena_of_a_deep_network_is_a_fraction():
    kept, again = deep_step(plainly), deep_step(lg.checkpoint)
    between = ROWS * WIDTH * 4
    # Each block keeps its wide values four times and its narrow ones about three times.
    assert arena(kept) > DEPTH * 15 * between
    # Now each keeps its input, and one block at a time its values and their cotangents.
    assert arena(again) < DEPTH * between + 16 * between
    # What a block computes again: norm, packed weights, first product, random bits; not the second product.
    assert len(again.kernels) <= len(kept.kernels) + 4 * DEPTH
    names = [kernel.kernel.name for kernel in again.kernels]
    assert sum(name.startswith("random_bits") for name in names) == 2 * DEPTH
    stored = [slot.dtype for slot in again.slots if slot.shape == (ROWS, WIDTH)]
    assert all(dtype is float32 for dtype in stored)  # no random bits, no masks


def test_random_bits_are_drawn_again():
    x = lg.rand(8, 8, requires_grad=True)
    y = lg.checkpoint(lambda x: lg.nn.functional.dropout(x.exp(), 0.5), x.sin())
    (g,) = lg.autograd.grad((y * y).sum(), x)
    roots = simplify(abstract(linearize([g._cell.node]), "numpy:0").roots)
    assert sum(node.op is RANDOM_BITS for node in topological(roots)) == 2


# ---- in the graph


def leaf(*shape):
    return ops.placeholder(shape, float32, "numpy:0")


def test_simplification_keeps_copies_apart_and_drops_what_waits_for_nothing():
    x, g = leaf(8, 8), leaf(8, 8)
    late = ops.exp(g)
    (kept,) = simplify([ops.mul(ops.exp(x), ops.mul(ops.exp(ops.after(x, late)), late))])
    assert sum(node.op.name == "exp" for node in topological([kept])) == 3
    for first in (g, ops.constant(1.0, (8, 8), float32, "numpy:0"), ops.permute(g, (1, 0))):
        (same_value,) = simplify([ops.mul(ops.exp(x), ops.exp(ops.after(x, first)))])
        assert sum(node.op.name == "exp" for node in topological([same_value])) == 1


def test_a_reduction_of_what_waits_waits_too():
    x, w = leaf(8, 6), leaf(8, 8)
    late = ops.exp(ops.sum_(x, (1,)))
    again = ops.sum_(ops.permute(ops.after(x, late), (1, 0)), (0,))
    (root,) = simplify([ops.mul(ops.mul(ops.sum_(x, (1,)), again), late)])
    assert sum(node.op.name == "sum" for node in topological([root])) == 2
    assert w.shape == (8, 8)


def test_a_gradient_that_is_differentiated_again_keeps_everything():
    x = lg.rand(4, requires_grad=True)
    y = lg.checkpoint(lambda x: x.exp().sin(), x)
    (kept,) = lg.autograd.grad((y * y).sum(), x, create_graph=True)
    (again,) = lg.autograd.grad((y * y).sum(), x)
    copies = [any(n.op is AFTER for n in topological([t._cell.node])) for t in (kept, again)]
    assert copies == [False, True]


def test_forward_mode_goes_through_checkpoints():
    x = ops.leaf(leaf(3))
    region = ops.recomputation.Region([ops.exp(x)])
    (tangent,) = autodiff.jvp([ops.checkpoint(ops.exp(x), region)], [x], [leaf(3)])
    assert tangent.shape == (3,)
