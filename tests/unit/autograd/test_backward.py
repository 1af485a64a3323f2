"""backward: accumulation, weights, retained gradients, hooks, refusals."""

import pytest

import lazygrad as lg
from unit.tensor.against_torch import agree, numbers


def leaf(*values):
    return lg.tensor(values, requires_grad=True)


def test_the_autograd_tutorial():
    a, b = leaf(2.0, 3.0), leaf(6.0, 4.0)
    q = 3 * a**3 - b**2
    q.backward(gradient=lg.tensor([1.0, 1.0]))
    assert str(9 * a**2 == a.grad) == "tensor([True, True])"
    assert str(-2 * b == b.grad) == "tensor([True, True])"
    a.grad = b.grad = None
    q.sum().backward()
    assert (9 * a**2 == a.grad).all()
    assert (-2 * b == b.grad).all()


def test_a_vector_needs_weights():
    with pytest.raises(RuntimeError, match=r"only for scalar outputs.*\[2\].*gradient=torch.ones_like") as caught:
        (leaf(1.0, 2.0) * 2).backward()
    assert "grad can be implicitly created" in str(caught.value)


def test_gradients_accumulate_in_one_tensor():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward()
    first = x.grad
    y.backward(retain_graph=True)
    assert x.grad is first
    assert x.grad.tolist() == [4, 8]
    x.grad.zero_()
    assert first.tolist() == [0, 0]


def test_a_gradient_does_not_lead_back_into_its_graph():
    x = leaf(3.0)
    (x**3).sum().backward()
    (x.grad * x).sum().backward()
    assert x.grad.item() == 27 + 27
    assert not x.grad.requires_grad


def test_dtypes_and_shapes_of_gradients():
    x = lg.ones(3, 1, dtype=lg.float16, requires_grad=True)
    (x * lg.ones(3, 4)).sum().backward()
    assert x.grad.dtype is lg.float16
    assert x.grad.shape == (3, 1)


def test_equal_leaves_are_two():
    x, y = lg.ones(2, requires_grad=True), lg.ones(2, requires_grad=True)
    (x * 2 + y * 3).sum().backward()
    assert x.grad.tolist() == [2, 2]
    assert y.grad.tolist() == [3, 3]


def test_a_leaf_and_its_source_are_two():
    source = lg.tensor([1.0, 2.0])
    parameter = lg.nn.Parameter(source)
    (parameter * source).sum().backward()
    assert parameter.grad.tolist() == [1, 2]
    constant = lg.tensor([3.0])
    before = constant * 2
    constant.requires_grad_()
    (before * constant).sum().backward()
    assert constant.grad.item() == 6


def test_detached_values_are_constants():
    x = leaf(2.0)
    y = x * x
    (y.detach() * x + x.detach() * x + x.data).sum().backward()
    assert x.grad.item() == 4 + 2


def test_no_grad():
    x = leaf(2.0)
    with lg.no_grad():
        y = x * x
        assert not lg.is_grad_enabled()
        with lg.enable_grad():
            z = x * 3
    assert not y.requires_grad
    assert z.requires_grad
    (y * x).sum().backward()
    assert x.grad.item() == 4

    @lg.no_grad()
    def one():
        return x * 2

    @lg.no_grad
    def other():
        return x * 2

    assert not one().requires_grad
    assert not other().requires_grad
    assert lg.is_grad_enabled()
    with lg.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    lg.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    lg.set_grad_enabled(True)
    with lg.inference_mode():
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_is_left_on_an_error():
    with pytest.raises(ValueError, match="out"), lg.no_grad():
        raise ValueError("out")
    assert lg.is_grad_enabled()


def test_frozen_leaves():
    x, y = leaf(2.0), leaf(3.0)
    y.requires_grad_(False)
    (x * y).backward(lg.ones(1))
    assert x.grad.item() == 3
    assert y.grad is None
    with pytest.raises(RuntimeError, match="only change requires_grad flags of leaf"):
        (x * 2).requires_grad_(False)


def test_retained_gradients():
    x = leaf(2.0)
    y = x * 3
    z = y * y
    y.retain_grad()
    z.sum().backward()
    assert y.grad.item() == 12
    assert x.grad.item() == 36
    assert y.retains_grad
    with pytest.raises(RuntimeError, match="can't retain_grad"):
        lg.ones(1).retain_grad()


def test_hooks():
    x = leaf(2.0)
    seen = []
    y = x * 3
    y.register_hook(lambda gradient: seen.append(gradient.item()))
    handle = x.register_hook(lambda gradient: gradient * 10)
    y.sum().backward()
    assert x.grad.item() == 30
    assert seen == [1]
    handle.remove()
    x.grad = None
    y.sum().backward()
    assert x.grad.item() == 3
    z = x * 2
    z.register_hook(lambda gradient: gradient * 2)
    with pytest.raises(RuntimeError, match="may look at the gradient"):
        z.sum().backward()


def test_only_some_inputs():
    x, y = leaf(2.0), leaf(3.0)
    (x * y).sum().backward(inputs=[x])
    assert x.grad.item() == 3
    assert y.grad is None
    z = y * 2
    (z * z).sum().backward(inputs=z)
    assert z.grad.item() == 12
    assert y.grad is None


def test_several_roots():
    x = leaf(2.0)
    lg.autograd.backward([x * 2, x * 3], [lg.tensor([1.0]), lg.tensor([10.0])])
    assert x.grad.item() == 32


def test_leaves_and_history():
    x = leaf(1.0)
    y = x + 1
    assert x.is_leaf
    assert not y.is_leaf
    assert lg.ones(1).is_leaf
    assert x.grad_fn is None
    assert y.grad_fn.name() == "AddBackward0"
    assert not (x > 0).requires_grad
    assert not x.argmax().requires_grad
    assert x.clone().grad_fn.name() == "CloneBackward0"


def test_assigning_a_gradient():
    x = leaf(1.0, 2.0)
    x.grad = lg.ones(2)
    (x * 3).sum().backward()
    assert x.grad.tolist() == [4, 4]
    del x.grad
    assert x.grad is None
    with pytest.raises(RuntimeError, match="assigned grad must have shape"):
        x.grad = lg.ones(3)
    with pytest.raises(TypeError, match="expected to be a Tensor or None"):
        x.grad = 1


def test_updated_leaves_and_old_graphs():
    x = leaf(2.0)
    loss = (x * x).sum()
    with lg.no_grad():
        x.add_(1)
    loss.backward()
    assert x.grad.item() == 4  # graphs are immutable: the loss was of the old value
    (x * x).sum().backward()
    assert x.grad.item() == 4 + 6


def test_a_leaf_computed_in_between_stays_one_leaf():
    x = lg.full((1,), 3.0, requires_grad=True)
    y = x * x
    repr(x)
    z = x * 2
    (y + z).sum().backward()
    assert x.grad.item() == 6 + 2
    (gradient,) = lg.autograd.grad((y + z).sum(), x)
    assert gradient.item() == 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lg.ones(1).backward(), "does not require grad and does not have a grad_fn"),
        (lambda: (leaf(1.0, 2.0) * 2).backward(lg.ones(3)), r"grad_output\[0\] has a shape of \[3\]"),
        (lambda: (leaf(1.0) > 0).backward(), "does not require grad"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


def test_compositions():
    agree(lambda lib, x, y: ((x @ y).tanh().softmax(1) * x[:, :2]).sum(), numbers(3, 4), numbers(4, 2))
    agree(lambda lib, x: lib.stack([x[i] * i for i in range(3)]).max(0).values.exp().mean(), numbers(3, 4))
