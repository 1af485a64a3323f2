"""Module: registration, listing, modes, conversion, hooks, printing."""

import copy
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 3)
        self.scale = nn.Parameter(lg.ones(3))
        self.register_buffer("seen", lg.zeros(()))
        self.register_buffer("scratch", lg.zeros(2), persistent=False)

    def forward(self, x: lg.Tensor) -> Any:
        return self.fc(x) * self.scale


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Block()
        self.second = nn.Sequential(nn.Linear(3, 2), nn.ReLU())

    def forward(self, x: lg.Tensor) -> Any:
        return self.second(self.first(x))


def test_names_in_order_of_registration() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "first.scale",
        "first.fc.weight",
        "first.fc.bias",
        "second.0.weight",
        "second.0.bias",
    ]
    assert [name for name, _ in net.named_buffers()] == ["first.seen", "first.scratch"]
    assert [name for name, _ in net.named_modules()] == [
        "",
        "first",
        "first.fc",
        "second",
        "second.0",
        "second.1",
    ]
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert [name for name, _ in net.named_parameters(prefix="net", recurse=False)] == []
    assert len(list(net.parameters())) == 5
    assert len(list(net.buffers())) == 2


def test_shared_members_are_listed_once_unless_asked() -> None:
    net = nn.Module()
    net.a = nn.Linear(2, 2)
    net.b = net.a
    assert [name for name, _ in net.named_parameters()] == ["a.weight", "a.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert [name for name, _ in net.named_children()] == ["a"]
    assert list(net.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]


def test_assignment_moves_a_name_between_registries() -> None:
    module = nn.Module()
    module.x = 1
    module.x = nn.Parameter(lg.ones(2))
    assert "x" in module._parameters
    assert "x" not in vars(module)
    module.x = None
    assert module.x is None
    assert list(module.parameters()) == []
    module.x = nn.Linear(1, 1)
    assert [name for name, _ in module.named_children()] == ["x"]
    module.y = nn.Buffer(lg.ones(2), persistent=False)
    module.y = lg.zeros(2)
    assert [name for name, _ in module.named_buffers()] == ["y"]
    assert list(module.state_dict()) == ["x.weight", "x.bias"]


def test_reassigning_a_parameter_keeps_its_place() -> None:
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(lg.ones(2, 2))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_deleting_a_member() -> None:
    layer = nn.Linear(2, 2)
    del layer.bias
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'bias'"):
        layer.bias  # noqa: B018
    with pytest.raises(AttributeError):
        del layer.bias


def test_errors_of_registration() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"cannot assign 'Tensor' as parameter 'weight' .*Parameter or None"):
        layer.weight = lg.ones(2, 2)
    layer.child = nn.ReLU()
    with pytest.raises(TypeError, match="cannot assign 'int' as child module 'child'"):
        layer.child = 3
    layer.register_buffer("state", lg.ones(1))
    with pytest.raises(TypeError, match="cannot assign 'int' as buffer 'state'"):
        layer.state = 3
    with pytest.raises(KeyError, match="attribute 'forward' already exists"):
        layer.register_buffer("forward", lg.ones(1))
    with pytest.raises(KeyError, match="t contain"):
        layer.register_parameter("a.b", None)
    with pytest.raises(KeyError, match="t be empty"):
        layer.add_module("", nn.ReLU())
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        layer.add_module("number", 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'Tensor' object to parameter 'p'"):
        layer.register_parameter("p", lg.ones(2))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda: nn.Parameter(lg.ones(1)), nn.ReLU])
def test_assignment_before_init_names_the_cause(make: Any) -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.member = make()

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Forgetful()


def test_a_module_without_forward_says_so() -> None:
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match='Module \\[Empty\\] is missing the required "forward"'):
        Empty()(1)


def test_paths() -> None:
    net = Net()
    assert net.get_submodule("first.fc") is net.first.fc
    assert net.get_submodule("") is net
    assert net.get_parameter("first.fc.weight") is net.first.fc.weight
    assert net.get_buffer("first.seen") is net.first.seen
    with pytest.raises(AttributeError, match="Block has no child module `last`"):
        net.get_submodule("first.last")
    with pytest.raises(AttributeError, match=r"no parameter `first\.seen`"):
        net.get_parameter("first.seen")


def test_modes_reach_all_children() -> None:
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    with pytest.raises(ValueError, match="expected to be boolean"):
        net.train(1)  # type: ignore[arg-type]


def test_apply_visits_children_first() -> None:
    visited = []
    Net().apply(lambda module: visited.append(type(module).__name__))
    assert visited == ["Linear", "Block", "Linear", "ReLU", "Sequential", "Net"]


def test_freezing_and_zero_grad() -> None:
    net = Net()
    net.first.requires_grad_(False)
    net(lg.ones(1, 2)).sum().backward()
    assert net.first.fc.weight.grad is None
    assert net.second[0].weight.grad is not None
    net.zero_grad(set_to_none=False)
    assert np.asarray(net.second[0].bias.grad.numpy()).tolist() == [0.0, 0.0]
    net.zero_grad()
    assert net.second[0].bias.grad is None


def test_conversion_keeps_parameter_objects_and_integer_buffers() -> None:
    layer = nn.BatchNorm1d(3)
    weight = layer.weight
    assert layer.double() is layer
    assert layer.weight is weight
    assert weight.dtype == lg.float64
    assert weight.requires_grad
    assert layer.running_mean.dtype == lg.float64
    assert layer.num_batches_tracked.dtype == lg.int64
    assert layer.half().weight.dtype == lg.float16
    assert layer.float().weight.dtype == lg.float32
    assert layer.to(lg.zeros(1, dtype=lg.float64)).weight.dtype == lg.float64
    assert layer.to(layer.weight.device, lg.float32, non_blocking=True).weight.dtype == lg.float32
    assert layer.to(dtype=lg.float64).weight.dtype == lg.float64
    with pytest.raises(TypeError, match="only accepts floating point"):
        layer.to(lg.int32)
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        layer.to(devise="x")  # type: ignore[call-overload]


def test_conversion_converts_gradients() -> None:
    layer = nn.Linear(2, 2)
    layer(lg.ones(1, 2)).sum().backward()
    layer.double()
    assert layer.weight.grad.dtype == lg.float64


def test_forward_hooks_see_and_replace() -> None:
    layer = nn.Identity()
    before = layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
    after = layer.register_forward_hook(lambda module, args, output: output * args[0])
    assert layer(lg.tensor(2.0)).item() == 9.0
    before.remove()
    assert layer(lg.tensor(2.0)).item() == 4.0
    after.remove()
    after.remove()
    assert layer(lg.tensor(2.0)).item() == 2.0


def test_hooks_with_keywords_and_order() -> None:
    class Scale(nn.Module):
        def forward(self, x: lg.Tensor, factor: float = 1.0) -> lg.Tensor:
            return x * factor

    layer = Scale()
    calls = []
    layer.register_forward_hook(lambda module, args, output: calls.append("second"))
    layer.register_forward_hook(lambda module, args, output: calls.append("first"), prepend=True)
    layer.register_forward_hook(lambda module, args, kwargs, output: calls.append(kwargs["factor"]), with_kwargs=True)
    with layer.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"factor": kwargs["factor"] * 2}), with_kwargs=True
    ):
        assert layer(lg.tensor(1.0), factor=3.0).item() == 6.0
    assert calls == ["first", "second", 6.0]
    layer.register_forward_pre_hook(lambda module, args, kwargs: 5, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"must return None or \(args, kwargs\)"):
        layer(lg.tensor(1.0), factor=3.0)


def test_prints_nested() -> None:
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Block(\n"
        "    (fc): Linear(in_features=2, out_features=3, bias=True)\n"
        "  )\n"
        "  (second): Sequential(\n"
        "    (0): Linear(in_features=3, out_features=2, bias=True)\n"
        "    (1): ReLU()\n"
        "  )\n"
        ")"
    )


def test_lines_of_extra_repr_are_printed_apart() -> None:
    class Wordy(nn.Module):
        def extra_repr(self) -> str:
            return "a=1\nb=2"

    assert repr(Wordy()) == "Wordy(\n  a=1\n  b=2\n)"
    assert repr(nn.Module()) == "Module()"


def test_deep_copy_is_independent() -> None:
    net = Net()
    copied = copy.deepcopy(net)
    with lg.no_grad():
        copied.first.scale.fill_(5.0)
    assert isinstance(copied.first.scale, nn.Parameter)
    assert np.asarray(net.first.scale.detach().numpy()).tolist() == [1.0, 1.0, 1.0]
    assert np.asarray(copied.first.scale.detach().numpy()).tolist() == [5.0, 5.0, 5.0]


def test_dir_lists_members() -> None:
    names = dir(Net())
    assert "first" in names
    assert "forward" in names
    assert "0" not in dir(nn.Sequential(nn.ReLU()))
