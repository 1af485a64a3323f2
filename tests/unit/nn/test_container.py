"""Sequential, ModuleList, ModuleDict and ParameterList: as lists and dictionaries, and printed."""

from collections import OrderedDict
from typing import Any

import pytest

import lazygrad as lg
from lazygrad import nn


def test_sequential_as_a_list() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(model) == 3
    assert isinstance(model[-1], nn.Linear)
    assert model[-1].out_features == 1
    assert [type(child).__name__ for child in model[:2]] == ["Linear", "ReLU"]
    assert isinstance(model[:2], nn.Sequential)
    model.append(nn.Tanh())
    model.insert(1, nn.Sigmoid())
    assert [type(child).__name__ for child in model] == ["Linear", "Sigmoid", "ReLU", "Linear", "Tanh"]
    assert isinstance(model.pop(1), nn.Sigmoid)
    model[0] = nn.Identity()
    del model[1:]
    assert list(model._modules) == ["0"]
    with pytest.raises(IndexError, match="index 4 is out of range"):
        model[4]


def test_sequential_with_names_keeps_them_in_a_slice() -> None:
    model = nn.Sequential(OrderedDict(first=nn.Linear(2, 2), last=nn.ReLU()))
    assert [name for name, _ in model[1:].named_children()] == ["last"]
    assert tuple(model(lg.ones(1, 2)).shape) == (1, 2)


def test_module_list() -> None:
    layers = nn.ModuleList([nn.Linear(1, 1)])
    layers += [nn.ReLU()]
    assert len([*layers, nn.ReLU()]) == 3
    assert [name for name, _ in layers[1:].named_children()] == ["0"]
    assert [name for name, _ in layers.named_parameters()] == ["0.weight", "0.bias"]
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        layers.append(3)  # type: ignore[arg-type]


def test_module_dict() -> None:
    modules = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Linear(1, 1)})
    modules["c"] = nn.Tanh()
    assert list(modules) == list(modules.keys()) == ["b", "a", "c"]
    assert "a" in modules
    assert "z" not in modules
    assert [name for name, _ in modules.items()] == ["b", "a", "c"]
    assert len(list(modules.values())) == len(modules) == 3
    assert isinstance(modules.pop("b"), nn.ReLU)
    del modules["c"]
    assert [name for name, _ in modules.named_parameters()] == ["a.weight", "a.bias"]
    modules.clear()
    assert len(modules) == 0


def test_parameter_list() -> None:
    parameters = nn.ParameterList([lg.ones(2)])
    parameters.append(nn.Parameter(lg.ones(3), requires_grad=False)).extend([lg.zeros(1)])
    assert [tuple(parameter.shape) for parameter in parameters] == [(2,), (3,), (1,)]
    assert all(isinstance(parameter, nn.Parameter) for parameter in parameters)
    parameters[-1] = lg.ones(4)
    assert tuple(parameters[2].shape) == (4,)
    assert list(parameters.state_dict()) == ["0", "1", "2"]
    with pytest.raises(IndexError):
        parameters[3]


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.Sequential(),
        lambda nn: nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU())),
        lambda nn: nn.ModuleList(),
        lambda nn: nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)]),
        lambda nn: nn.ModuleList([nn.Sequential(nn.Tanh()), nn.Sequential(nn.Tanh())]),
        lambda nn: nn.ModuleDict({"a": nn.ReLU(), "b": nn.ModuleList([nn.Tanh()])}),
    ],
)
def test_prints_as_torch(make: Any) -> None:
    torch = pytest.importorskip("torch")
    assert repr(make(nn)) == repr(make(torch.nn))
