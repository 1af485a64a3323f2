"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import lazygrad
from lazygrad.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the elements of all parameters, one after the other: shape (total number,).

    Example:
        >>> import lazygrad as lg
        >>> tuple(parameters_to_vector(lg.nn.Linear(3, 2).parameters()).shape)
        (8,)
    """
    return lazygrad.cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Fill the parameters, in order, from a vector such as `parameters_to_vector` gives.

    Example:
        >>> import lazygrad as lg
        >>> layer = lg.nn.Linear(1, 2, bias=False)
        >>> vector_to_parameters(lg.tensor([1.0, 2.0]), layer.parameters())
        >>> layer.weight.detach()
        tensor([[1.],
                [2.]])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, but got: {type(vec).__name__}")
    listed = list(parameters)
    total = sum(parameter.numel() for parameter in listed)
    if vec.numel() != total:
        raise ValueError(f"the vector has {vec.numel()} elements, the parameters have {total}")
    start = 0
    with lazygrad.no_grad():
        for parameter in listed:
            end = start + parameter.numel()
            parameter.copy_(vec[start:end].reshape(parameter.shape))
            start = end
