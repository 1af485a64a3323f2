"""In-place methods: what they change, who sees it, and where they are refused."""

import numpy
import pytest

import lazygrad as lg
from unit.tensor.against_torch import agree, numbers

CHANGES = {
    "add_": lambda x: x.add_(2, alpha=3),
    "sub_": lambda x: x.sub_(1),
    "mul_": lambda x: x.mul_(2),
    "div_": lambda x: x.div_(3),
    "pow_": lambda x: x.pow_(2),
    "+=": lambda x: x.__iadd__(1),
    "*=": lambda x: x.__imul__(2),
    "clamp_": lambda x: x.clamp_(-1, 1),
    "exp_": lambda x: x.exp_(),
    "neg_": lambda x: x.neg_(),
    "relu_": lambda x: x.relu_(),
    "sigmoid_": lambda x: x.sigmoid_(),
    "zero_": lambda x: x.zero_(),
    "fill_": lambda x: x.fill_(3),
    "copy_": lambda x: x.copy_(x[:1].clone()),
    "masked_fill_": lambda x: x.masked_fill_(x > 0, 9),
    "tril_": lambda x: x.tril_(),
    "lerp_": lambda x: x.lerp_(x * 2, 0.5),
    "round_": lambda x: x.round_(),
    "addcmul_": lambda x: x.addcmul_(x * 2, x.detach().clone(), value=2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_values_and_gradients(name):
    def changed(lib, x):
        y = x * 1
        result = CHANGES[name](y)
        assert result is y
        return y

    agree(changed, numbers(3, 3))


def test_dtype_and_shape_stay():
    x = lg.arange(3)
    x += 1
    x *= 2
    assert x.dtype is lg.int64
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type int64"):
        x += 0.5
    with pytest.raises(RuntimeError, match=r"output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"):
        x += lg.ones(2, 3, dtype=lg.int64)
    assert x.tolist() == [2, 4, 6]
    y = lg.zeros(2, dtype=lg.float64)
    y.copy_(lg.tensor([1, 2]))
    assert y.dtype is lg.float64
    with pytest.raises(RuntimeError, match="copy_"):
        y.copy_(lg.ones(3))


def test_a_leaf_that_requires_grad_is_protected():
    w = lg.ones(2, requires_grad=True)
    for change in (
        lambda: w.add_(1),
        lambda: w.__iadd__(1),
        lambda: w.zero_(),
        lambda: w.__setitem__(0, 1),
        lambda: w.normal_(),
    ):
        with pytest.raises(
            RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"
        ):
            change()
    with lg.no_grad():
        w.add_(1)
        w[0] = 5
    assert w.requires_grad
    assert w.is_leaf
    assert w.tolist() == [5, 2]
    (w * w).sum().backward()
    assert w.grad.tolist() == [10, 4]


def test_data_and_detach_share_their_value():
    w = lg.ones(2, requires_grad=True)
    twin = w.detach()
    w.data.add_(1)
    assert w.tolist() == twin.tolist() == [2, 2]
    twin.mul_(3)
    assert w.tolist() == w.data.tolist() == [6, 6]
    assert w.requires_grad
    assert not twin.requires_grad
    (w**2).sum().backward()
    assert w.grad.tolist() == [12, 12]


def test_other_views_and_copies_do_not_share():
    x = lg.zeros(2, 2)
    row, copy = x[0], x.clone()
    x.add_(1)
    assert row.tolist() == [0, 0]
    assert copy.tolist() == [[0, 0], [0, 0]]


def test_setting_data():
    w = lg.ones(2, requires_grad=True)
    loss = (w * 2).sum()
    w.data = lg.tensor([3.0, 4.0])
    assert w.tolist() == [3, 4]
    loss.backward()
    assert w.grad.tolist() == [2, 2]


def test_twins_of_history():
    x = lg.ones(2, requires_grad=True)
    y = x * 2
    twin = y.detach()
    with pytest.raises(RuntimeError, match="detached twin"):
        twin.add_(1)
    alone = (x * 3).detach()
    alone.add_(1)
    assert alone.tolist() == [4, 4]
    y.add_(1)
    assert twin.tolist() == [3, 3]
    y.detach_()
    assert y.is_leaf
    assert not y.requires_grad


def test_a_tensor_takes_up_history_by_assignment():
    x = lg.tensor([2.0], requires_grad=True)
    y = lg.zeros(3)
    y[1] = x[0] * 3
    assert y.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [3]


def test_rebinding_under_no_grad_drops_history():
    x = lg.ones(2, requires_grad=True)
    y = x * 2
    with lg.no_grad():
        y.zero_()
    assert not y.requires_grad
    assert y.tolist() == [0, 0]


def test_swapping_by_copies():
    a, b = lg.tensor([1.0]), lg.tensor([2.0])
    keep = a.clone()
    a.copy_(b)
    b.copy_(keep)
    assert (a.item(), b.item()) == (2, 1)


def test_shared_values_stay_apart():
    source = lg.full((2,), 5.0)
    one, other = lg.nn.Parameter(source.clone()), lg.nn.Parameter(source.clone())
    with lg.no_grad():
        one.copy_(source)
        other.copy_(source)
    lg.realize(one, other)
    (one * 2 + other * 3).sum().backward()
    assert one.grad.tolist() == [2, 2]
    assert other.grad.tolist() == [3, 3]
    assert numpy.array_equal(source.numpy(), [5, 5])
