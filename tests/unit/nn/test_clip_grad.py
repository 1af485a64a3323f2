"""Gradient clipping and parameter vectors against torch."""

import math
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

GRADIENTS = [np.array([[3.0, -4.0]], dtype=np.float32), np.array([12.0, 0.5, -1.0], dtype=np.float32)]


def with_gradients(library: Any) -> list[Any]:
    parameters = [library.nn.Parameter(library.ones(gradient.shape)) for gradient in GRADIENTS]
    parameters.append(library.nn.Parameter(library.ones(2)))
    for parameter, gradient in zip(parameters, GRADIENTS, strict=False):
        (parameter * library.tensor(gradient)).sum().backward()
    return parameters


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.7, 1000.0])
def test_norm_and_clipped_gradients(norm_type: float, max_norm: float) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = with_gradients(lg), with_gradients(torch)
    our_norm = lg.nn.utils.clip_grad_norm_(iter(ours), max_norm, norm_type)
    their_norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert our_norm.item() == pytest.approx(their_norm.item(), rel=1e-6)
    for our, their in zip(ours[:2], theirs[:2], strict=True):
        np.testing.assert_allclose(our.grad.numpy(), their.grad.numpy(), rtol=1e-6)
    assert ours[2].grad is None


def test_clipped_values() -> None:
    parameters = with_gradients(lg)
    lg.nn.utils.clip_grad_value_(parameters, 1.0)
    assert np.asarray(parameters[0].grad.numpy()).tolist() == [[1.0, -1.0]]
    assert np.asarray(parameters[1].grad.numpy()).tolist() == [1.0, 0.5, -1.0]


def test_norm_of_nothing_and_of_one_tensor() -> None:
    assert lg.nn.utils.get_total_norm([]).item() == 0.0
    assert lg.nn.utils.get_total_norm(lg.tensor([3.0, 4.0])).item() == pytest.approx(5.0)


def test_non_finite_norm_is_an_error_on_request() -> None:
    parameter = lg.nn.Parameter(lg.ones(1))
    (parameter * math.inf).sum().backward()
    with pytest.raises(RuntimeError, match="non-finite"):
        lg.nn.utils.clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)


def test_vector_round_trip() -> None:
    source, target = lg.nn.Linear(3, 2), lg.nn.Linear(3, 2)
    vector = lg.nn.utils.parameters_to_vector(source.parameters())
    lg.nn.utils.vector_to_parameters(vector, target.parameters())
    assert tuple(vector.shape) == (8,)
    np.testing.assert_array_equal(source.weight.detach().numpy(), target.weight.detach().numpy())
    np.testing.assert_array_equal(source.bias.detach().numpy(), target.bias.detach().numpy())
    with pytest.raises(ValueError, match="has 8 elements, the parameters have 6"):
        lg.nn.utils.vector_to_parameters(vector, [target.weight])
