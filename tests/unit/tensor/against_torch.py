"""The same expression in lazygrad and in torch: values, shapes, dtypes and gradients must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import lazygrad

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def numpy_device() -> Iterator[None]:
    """Tests of the face run on the reference device, whatever the machine has."""
    lazygrad.set_default_device("numpy")
    yield
    lazygrad.set_default_device(None)


def numbers(*shape: int, seed: int = 0, dtype: str = "float64", low: float = -2.0, high: float = 2.0) -> Any:
    """Random numbers without ties and away from zero."""
    drawn = numpy.random.default_rng((seed, *shape)).uniform(low, high, shape)
    return numpy.asarray(numpy.where(abs(drawn) < 0.05, drawn + 0.1, drawn), dtype)


def dtype_name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def both(value: Any, requires_grad: bool = True) -> tuple[Any, Any]:
    """A NumPy array as a tensor of each library; everything else as it is."""
    if not isinstance(value, numpy.ndarray):
        return value, value
    wanted = requires_grad and value.dtype.kind == "f"
    return lazygrad.tensor(value, requires_grad=wanted), torch.tensor(value, requires_grad=wanted)


def to_array(tensor: Any) -> numpy.ndarray[Any, Any]:
    array: numpy.ndarray[Any, Any] = tensor.detach().numpy()
    return array


def assert_same(ours: Any, theirs: Any, tolerance: float = 1e-9) -> None:
    """Equal structure, dtypes, shapes and values."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other, tolerance)
    elif isinstance(theirs, torch.Tensor):
        assert dtype_name(ours.dtype) == dtype_name(theirs.dtype)
        assert tuple(ours.shape) == tuple(theirs.shape)
        numpy.testing.assert_allclose(to_array(ours), to_array(theirs), rtol=tolerance, atol=tolerance)
    else:
        assert ours == theirs


def agree(
    function: Callable[..., Any],
    *inputs: Any,
    gradients: bool = True,
    tolerance: float = 1e-9,
) -> None:
    """``function(library, *inputs)`` gives the same in both, and the same gradients for random cotangents."""
    pairs = [both(value, gradients) for value in inputs]
    ours = function(lazygrad, *(one for one, _ in pairs))
    theirs = function(torch, *(other for _, other in pairs))
    assert_same(ours, theirs, tolerance)
    results = ours if isinstance(ours, (tuple, list)) else [ours]
    expected = theirs if isinstance(theirs, (tuple, list)) else [theirs]
    flowing = [
        (one, other)
        for one, other in zip(results, expected, strict=True)
        if isinstance(other, torch.Tensor) and other.requires_grad
    ]
    if not gradients or not flowing:
        return
    weights = [numbers(*other.shape, seed=7, dtype=dtype_name(other.dtype)) for _, other in flowing]
    lazygrad.autograd.backward([one for one, _ in flowing], [lazygrad.tensor(w) for w in weights])
    torch.autograd.backward([other for _, other in flowing], [torch.tensor(w) for w in weights])
    for one, other in pairs:
        if isinstance(other, torch.Tensor) and other.requires_grad:
            if other.grad is None:
                assert one.grad is None or not to_array(one.grad).any()
            else:
                wanted = torch.zeros_like(other) if other.grad is None else other.grad
                got = lazygrad.zeros_like(one) if one.grad is None else one.grad
                assert_same(got, wanted, tolerance)


def agree_to_order(order: int, function: Callable[..., Any], *inputs: Any, tolerance: float = 1e-9) -> None:
    """As ``agree`` for one result, and its derivatives up to ``order``: each one's along a random direction, again."""
    pairs = [both(value) for value in inputs]
    ours = function(lazygrad, *(one for one, _ in pairs))
    theirs = function(torch, *(other for _, other in pairs))
    assert_same(ours, theirs, tolerance)
    moving = [pair for pair in pairs if isinstance(pair[1], torch.Tensor) and pair[1].requires_grad]
    for step in range(order):
        direction = numbers(*theirs.shape, seed=step + 1, dtype=dtype_name(theirs.dtype))
        ours = _gradients(lazygrad, (ours * lazygrad.tensor(direction)).sum(), [one for one, _ in moving])
        theirs = _gradients(torch, (theirs * torch.tensor(direction)).sum(), [other for _, other in moving])
        assert_same(ours, theirs, tolerance)


def _gradients(lib: Any, result: Any, inputs: list[Any]) -> Any:
    """All gradients in one row, differentiable again."""
    found = lib.autograd.grad(result, inputs, create_graph=True)
    return lib.cat([gradient.reshape(-1) for gradient in found])
