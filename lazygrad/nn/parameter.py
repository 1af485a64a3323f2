"""The two tensor classes a Module recognises when they are assigned to its attributes.

In: a tensor. Out: a handle on the same values that a Module registers by its type: a `Parameter` among
its parameters, a `Buffer` among its buffers.
"""

from __future__ import annotations

from typing import Any

import lazygrad
from lazygrad.tensor import Tensor


class Parameter(Tensor):
    """A tensor that a Module trains: assigning one to an attribute registers it.

    Args:
        data: the initial values, any shape and dtype. Default: an empty tensor of shape (0,).
        requires_grad: whether gradients flow to it, also when it is made under `no_grad`.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.Parameter(lg.ones(2))
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        """Make a new leaf of this class that starts with the values of `data`."""
        values = lazygrad.empty(0) if data is None else data
        parameter: Parameter = Tensor._make_subclass(cls, values, requires_grad)
        return parameter

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        """Do nothing: `__new__` has made the whole handle."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """Return an independent parameter with equal values (what `copy.deepcopy(model)` needs)."""
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.data.clone(), self.requires_grad)
        copied: Parameter = memo[id(self)]
        return copied

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that belongs to a Module's state and is not trained, such as a running mean.

    Args:
        data: the initial values. Default: an empty tensor of shape (0,).
        persistent: whether the buffer is part of the module's `state_dict()`.

    Example:
        >>> import lazygrad as lg
        >>> module = lg.nn.Module()
        >>> module.offset = lg.nn.Buffer(lg.zeros(2))
        >>> list(module.state_dict())
        ['offset']
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        """Make a new handle of this class that starts with the values of `data`."""
        values = lazygrad.empty(0) if data is None else data
        buffer: Buffer = Tensor._make_subclass(cls, values, values.requires_grad)
        buffer.persistent = persistent
        return buffer

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        """Do nothing: `__new__` has made the whole handle."""
