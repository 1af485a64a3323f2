"""Gradients that are built only when nobody has met the graph before: the same numbers, with no reverse walk."""

from contextlib import nullcontext

import numpy
import pytest

import lazygrad as lg
from integration.interpreted_device import opened
from lazygrad import autodiff, ops, runtime
from lazygrad.ir.composition import meaning
from lazygrad.ir.dtype import float32
from lazygrad.ir.node import topological
from lazygrad.tensor import deferred_gradient

DEVICES = ["numpy:0", "interpreted:0", "opencl:0"]  # the reference defers nothing


def on(device, function):
    """What a function computes there."""
    with opened() if device == "interpreted:0" else nullcontext():
        lg.set_default_device(device)
        try:
            return function()
        finally:
            lg.set_default_device(None)


def same_on_all(function):
    expected, *others = [on(device, function) for device in DEVICES]
    for found in others:
        for want, got in zip(expected, found, strict=True):
            numpy.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    return expected


@pytest.fixture
def walks(monkeypatch):
    """How often a reverse walk was made."""
    made = []
    walk = autodiff.vjp
    monkeypatch.setattr(autodiff, "vjp", lambda *args, **kwargs: made.append(1) or walk(*args, **kwargs))
    return made


@pytest.fixture(params=DEVICES[1:])
def compiling(request):
    with opened() if request.param == "interpreted:0" else nullcontext():
        lg.set_default_device(request.param)
        yield request.param
        lg.set_default_device(None)


def parameter(*shape, seed=0):
    values = numpy.random.default_rng(seed).standard_normal(shape).astype(numpy.float32)
    return lg.tensor(values, requires_grad=True)


def trained(steps=3, between=lambda loss, parameters: None, loss_of=None):
    """Parameters and gradients after some steps; ``between`` is called between backward() and the step."""
    x, y = parameter(4, 3), parameter(3, 2, seed=1)
    optimizer = lg.optim.SGD([x, y], lr=0.1, momentum=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(x, y) if loss_of is not None else (x @ y).tanh().square().sum()
        loss.backward()
        between(loss, (x, y))
        optimizer.step()
    return [x.detach().numpy(), y.detach().numpy(), x.grad.numpy(), y.grad.numpy(), loss.detach().numpy()]


def test_a_step_that_was_met_before_makes_no_reverse_walk(compiling, walks):
    trained(steps=5)
    assert len(walks) == 1
    trained(steps=2)
    assert len(walks) == 1


def test_training_gives_the_same():
    same_on_all(trained)


def test_the_loss_is_read_before_the_step():
    """What is behind the computed loss belongs to no structure."""
    same_on_all(lambda: trained(between=lambda loss, _: loss.item()))


def test_a_gradient_is_read_before_the_step():
    same_on_all(lambda: trained(between=lambda _, parameters: parameters[0].grad.numpy()))


def test_gradients_are_changed_before_the_step():
    def clip(_, parameters):
        lg.nn.utils.clip_grad_norm_(parameters, 0.1)

    same_on_all(lambda: trained(between=clip))


def test_two_backward_passes_before_a_step():
    def again(loss, parameters):
        x, y = parameters
        (x.sum() * y.sum()).backward()
        loss.backward()

    same_on_all(lambda: trained(between=again))


def test_a_gradient_that_is_the_old_value_of_what_is_updated():
    """One parameter's gradient is another parameter, which the step would overwrite."""

    def run():
        x, y = parameter(5), parameter(5, seed=1)
        optimizer = lg.optim.SGD([x, y], lr=0.25)
        found = []
        for _ in range(4):
            optimizer.zero_grad()
            (x + 1).backward(y)
            (y * y).sum().backward()
            optimizer.step()
            found += [x.grad.numpy(), y.grad.numpy(), x.detach().numpy(), y.detach().numpy()]
        return found

    same_on_all(run)


def test_a_gradient_that_nobody_has_asked_for_yet():
    """It is computed with the step that takes the old parameters away, also if the loss is known already."""

    def run():
        data, weight = parameter(4, 3), parameter(3, 2, seed=1)
        optimizer = lg.optim.SGD([weight], lr=0.1)
        found = []
        for look in (False, True, False, True):
            optimizer.zero_grad()
            data.grad = None
            loss = (data @ weight).exp().sum()
            if look:
                loss.item()
            loss.backward()
            optimizer.step()
            found += [data.grad.numpy(), weight.detach().numpy()]
        return found

    same_on_all(run)


def test_graphs_that_differ_in_what_is_detached():
    """Their values are computed alike; their gradients are not."""

    def run():
        found = []
        for _ in range(2):
            for detached in (False, True):
                found += trained(2, loss_of=lambda x, y, d=detached: (x @ y * (x.detach() if d else x).sum()).sum())
        return found

    found = same_on_all(run)
    assert not numpy.allclose(found[2], found[7])


def test_marks_tell_graphs_apart(compiling):
    """Nodes that are nothing but marks differ in whether a derivative passes."""
    x = parameter(3)
    leaf = x._node
    for mark, factor in (ops.leaf, 2), (ops.detach, 1), (ops.leaf, 2):
        squares = ops.sum_(ops.mul(leaf, mark(leaf)), (0,))
        (gradient,) = deferred_gradient.deferred(squares, ops.constant(1, (), float32, leaf.device), [leaf])
        runtime.realize([gradient])
        numpy.testing.assert_allclose(runtime.to_host(gradient.result), factor * x.detach().numpy(), rtol=1e-6)


def test_losses_that_are_known_before_the_step():
    """Of these the structure does not tell how they came about."""

    def run():
        found = []
        for power in (2, 3, 4):
            x = parameter(3)
            loss = (x**power).sum()
            loss.item()
            loss.backward()
            found.append(x.grad.numpy())
        return found

    same_on_all(run)


def test_leaves_that_share_their_elements():
    def run():
        found = []
        for _ in range(2):
            for separate in (False, True):
                x = parameter(3)
                y = x.detach().requires_grad_() if separate else x
                (x * y * y).sum().backward()
                found += [x.grad.numpy(), y.grad.numpy()]
        return found

    same_on_all(run)


def test_numbers_of_the_host_are_those_of_the_call():
    def run():
        x = parameter(3)
        found = []
        for number in (2.0, 3.0, 5.0):
            x.grad = None
            (x * lg.argument(number) + lg.argument(number + 1)).square().sum().backward()
            found.append(x.grad.numpy())
        return found

    same_on_all(run)


def test_updates_by_hand_chain_backward_passes():
    def run():
        x = parameter(3)
        for _ in range(3):
            x.grad = None
            (x * x * x).sum().backward()
            with lg.no_grad():
                x -= 0.1 * x.grad
        return [x.detach().numpy(), x.grad.numpy()]

    same_on_all(run)


def test_only_some_of_the_gradients_are_asked_for():
    def run():
        x, y = parameter(4, 3), parameter(3, 2, seed=1)
        (x @ y).sum().backward(inputs=[y])
        assert x.grad is None
        first = y.grad.numpy()
        (x @ y).sum().backward()
        return [first, x.grad.numpy(), y.grad.numpy()]

    same_on_all(run)


def test_the_settings_are_those_of_the_call_of_backward(compiling):
    """And graphs that were built under other settings are other graphs."""
    x = parameter(6, 3)
    index = lg.tensor([0, 0, 2, 5])

    def adds_in_order(deterministic, later):
        lg.use_deterministic_algorithms(deterministic)
        try:
            x.grad = None
            x[index].square().sum().backward()
            lg.use_deterministic_algorithms(later)
            (gradient,) = x.grad._cell.node.inputs
            assert gradient.op is deferred_gradient.GRADIENT
            scatters = [n for n in topological([gradient], meaning) if n.op.name == "scatter"]
            assert scatters
            return {n.attributes.ordered for n in scatters}, gradient.attributes.key
        finally:
            lg.use_deterministic_algorithms(False)

    assert adds_in_order(True, later=False)[0] == {True}
    assert adds_in_order(False, later=True)[0] == {False}
    assert adds_in_order(True, later=True)[1] != adds_in_order(False, later=False)[1]


@pytest.mark.parametrize("way", ["hook", "retained", "create_graph", "several", "checkpoint"])
def test_what_is_built_at_once(compiling, walks, way):
    """Where somebody looks at the graph, or its structure does not tell all."""
    x = parameter(3)
    middle = lg.checkpoint(lambda v: v.exp() * 2, x) if way == "checkpoint" else x.exp() * 2
    if way == "hook":
        middle.register_hook(lambda gradient: None)
    if way == "retained":
        middle.retain_grad()
    if way == "several":
        lg.autograd.backward([middle.sum(), x.sum()])
    else:
        middle.sum().backward(create_graph=way == "create_graph")
    assert walks
    extra = 1 if way == "several" else 0
    numpy.testing.assert_allclose(x.grad.detach().numpy(), 2 * numpy.exp(x.detach().numpy()) + extra, rtol=1e-5)
