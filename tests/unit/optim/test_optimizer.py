"""Optimizer: groups, closures, gradients, state, messages."""

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.nn import Parameter
from lazygrad.optim import SGD, Adam, AdamW, Optimizer


def parameter(*values: float) -> Parameter:
    return Parameter(lg.tensor(list(values)))


def values(tensor: lg.Tensor) -> list[float]:
    return [float(value) for value in np.asarray(tensor.detach().numpy()).reshape(-1)]


def test_groups_take_defaults_and_keep_their_own_options() -> None:
    first, second = parameter(1.0), parameter(2.0)
    optimizer = SGD([{"params": first}, {"params": [second], "lr": 0.5}], lr=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    assert optimizer.param_groups[0]["params"][0] is first
    optimizer.add_param_group({"params": [parameter(3.0)], "momentum": 0.9})
    assert optimizer.param_groups[2]["momentum"] == 0.9
    assert optimizer.defaults["lr"] == 0.1


def test_named_parameters_are_accepted() -> None:
    layer = lg.nn.Linear(2, 1)
    optimizer = SGD(layer.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"][1] is layer.bias


def test_what_is_given_as_parameters_is_checked() -> None:
    shared = parameter(1.0)
    with pytest.raises(TypeError, match="iterable of Tensors or dicts, but got Parameter"):
        SGD(shared, lr=0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty parameter list"):
        SGD([], lr=0.1)
    with pytest.raises(TypeError, match="one of the params is int"):
        SGD([3], lr=0.1)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="non-leaf"):
        SGD([shared * 2], lr=0.1)
    with pytest.raises(TypeError, match="ordered collections"):
        SGD([{"params": {shared}}], lr=0.1)
    with pytest.raises(ValueError, match="more than one parameter group"):
        SGD([{"params": shared}, {"params": shared}], lr=0.1)
    with pytest.raises(ValueError, match="with/without names"):
        SGD([("name", shared), parameter(1.0)], lr=0.1)  # type: ignore[list-item]
    with pytest.warns(UserWarning, match="duplicate parameters"):
        SGD([shared, shared], lr=0.1)
    with pytest.raises(TypeError, match="must be a dict"):
        SGD([shared], lr=0.1).add_param_group([shared])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD(p, lr=-1.0), "Invalid learning rate: -1.0"),
        (lambda p: SGD(p, momentum=-1.0), "Invalid momentum value: -1.0"),
        (lambda p: SGD(p, weight_decay=-1.0), "Invalid weight_decay value: -1.0"),
        (lambda p: SGD(p, nesterov=True), "Nesterov momentum requires"),
        (lambda p: SGD(p, differentiable=True), "differentiable=True is not supported"),
        (lambda p: Adam(p, lr=-1.0), "Invalid learning rate: -1.0"),
        (lambda p: Adam(p, eps=-1.0), "Invalid epsilon value: -1.0"),
        (lambda p: Adam(p, betas=(0.9, 1.0)), "Invalid beta parameter at index 1: 1.0"),
        (lambda p: AdamW(p, weight_decay=-1.0), "Invalid weight_decay value: -1.0"),
    ],
)
def test_options_are_checked(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make([parameter(1.0)])


def test_step_without_gradients_changes_nothing() -> None:
    weight = parameter(1.0)
    optimizer = Adam([weight])
    assert optimizer.step() is None
    assert values(weight) == [1.0]
    assert not optimizer.state_dict()["state"]


def test_closure_is_evaluated_with_gradients() -> None:
    weight = parameter(2.0)
    optimizer = SGD([weight], lr=0.25)

    def closure() -> lg.Tensor:
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    with lg.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 4.0
    assert values(weight) == [1.0]


def test_step_keeps_the_parameter_a_leaf_and_its_views_follow() -> None:
    weight = parameter(1.0)
    alias = weight.detach()
    weight.sum().backward()
    SGD([weight], lr=0.5).step()
    assert weight.is_leaf
    assert weight.requires_grad
    assert values(alias) == [0.5]


def test_zero_grad() -> None:
    weight = parameter(1.0)
    optimizer = SGD([weight], lr=0.5)
    optimizer.zero_grad()
    weight.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert values(weight.grad) == [0.0]
    optimizer.zero_grad()
    assert weight.grad is None


def test_loading_a_state_that_does_not_fit() -> None:
    first, second = parameter(1.0), parameter(2.0)
    state = SGD([first, second], lr=0.1).state_dict()
    with pytest.raises(ValueError, match=r"doesn't match the size.*has 2 parameters, this optimizer's has 1"):
        SGD([first], lr=0.1).load_state_dict(state)
    with pytest.raises(ValueError, match="different number of parameter groups: 1, this optimizer has 2"):
        SGD([{"params": first}, {"params": second}], lr=0.1).load_state_dict(state)


def test_loaded_state_is_a_copy_in_the_parameters_dtype() -> None:
    source, target = parameter(1.0), Parameter(lg.tensor([1.0], dtype=lg.float64))
    optimizer, other = SGD([source], lr=0.1, momentum=0.9), SGD([target], lr=0.1, momentum=0.9)
    (source * 3).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    other.load_state_dict(state)
    assert other.state[target]["momentum_buffer"].dtype == lg.float64
    target.sum().backward()
    other.step()
    assert values(state["state"][0]["momentum_buffer"]) == [3.0]


def test_a_subclass_must_say_how_to_update() -> None:
    weight = parameter(1.0)
    weight.sum().backward()
    with pytest.raises(NotImplementedError, match=r"must define _update\(\)"):
        Optimizer([weight], {}).step()


def test_prints_as_torch() -> None:
    torch = pytest.importorskip("torch")
    ours = SGD([{"params": parameter(1.0)}, {"params": parameter(1.0), "lr": 1}], lr=0.1)
    tensors = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    theirs = torch.optim.SGD([{"params": tensors[0]}, {"params": tensors[1], "lr": 1}], lr=0.1)
    assert repr(ours) == repr(theirs)
