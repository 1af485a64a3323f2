"""Parameter and Buffer: class, printing, gradients."""

import copy

import numpy as np

import lazygrad as lg
from lazygrad.nn import Buffer, Parameter


def test_prints_as_torch() -> None:
    assert repr(Parameter(lg.ones(2))) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


def test_is_a_leaf_that_requires_grad_also_without_grad_mode() -> None:
    with lg.no_grad():
        parameter = Parameter(lg.ones(2))
    assert isinstance(parameter, lg.Tensor)
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert not Parameter(lg.ones(2), requires_grad=False).requires_grad
    assert tuple(Parameter().shape) == (0,)


def test_equal_parameters_have_gradients_of_their_own() -> None:
    first, second = Parameter(lg.ones(2)), Parameter(lg.ones(2))
    (first * 2 + second * 3).sum().backward()
    assert np.asarray(first.grad.numpy()).tolist() == [2.0, 2.0]
    assert np.asarray(second.grad.numpy()).tolist() == [3.0, 3.0]


def test_results_are_plain_tensors() -> None:
    assert type(Parameter(lg.ones(2)) * 2) is lg.Tensor


def test_deep_copy_keeps_the_class() -> None:
    parameter = Parameter(lg.ones(2), requires_grad=False)
    first, second = copy.deepcopy([parameter, parameter])
    assert first is second
    assert type(first) is Parameter
    assert not first.requires_grad


def test_buffer_knows_whether_it_is_saved() -> None:
    module = lg.nn.Module()
    module.kept = Buffer(lg.ones(1))
    module.dropped = Buffer(lg.ones(1), persistent=False)
    assert list(module.state_dict()) == ["kept"]
    assert not module.kept.requires_grad
