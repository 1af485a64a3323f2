"""History: whether operations on a tensor are recorded, where the record is cut, and who looks at gradients.

In: tensors. Out: the same tensors with their history begun, cut or watched. ``gradient`` walks the history back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from lazygrad.ir.node import Node
from lazygrad.tensor.handle import Handle, submit_later, tensor_of, wrap
from lazygrad.tensor.hooks import RemovableHandle

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

# The nodes of tensors with history whose gradient is retained or looked at by hooks, with these tensors.
WATCHERS: WeakKeyDictionary[Node, list[ref[Handle]]] = WeakKeyDictionary()


class GradientFunction:
    """What ``grad_fn`` is: the name torch has for the operation that made a tensor."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        """For example ``MulBackward0``."""
        return self._name

    def __repr__(self) -> str:
        return f"<{self._name} object>"


def gradient_function(tensor: Tensor) -> GradientFunction | None:
    """What ``tensor.grad_fn`` is."""
    if tensor.is_leaf:
        return None
    cell = tensor._cell
    name, _, number = (cell.name or cell.node.op.name.title().replace("_", "")).partition("/")
    return GradientFunction(f"{name}Backward{number or 0}")


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Sets whether operations on this tensor are to be recorded. For leaves only.

    >>> import lazygrad as lg
    >>> x = lg.ones(2).requires_grad_()
    >>> (x * x).requires_grad
    True
    """
    if requires_grad and not self._cell.node.dtype.is_float:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    if self._cell.history:
        if self._requires_grad:
            if not requires_grad:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a "
                    "computed variable in a subgraph that doesn't require differentiation use "
                    "var_no_grad = var.detach()."
                )
            return self
        if requires_grad:
            # A detached twin becomes a leaf of its own.
            self._cell = self._cell.without_history()
    if requires_grad and self._cell.depth:
        submit_later(self._cell)
    self._requires_grad = requires_grad
    return self


def detach(self: Tensor) -> Tensor:
    """A twin through which no gradient flows: in-place changes of one are seen by the other.

    >>> import lazygrad as lg
    >>> x = lg.ones(2, requires_grad=True)
    >>> x.detach().zero_()
    tensor([0., 0.])
    >>> x
    tensor([0., 0.], requires_grad=True)
    """
    twin = tensor_of(self._cell)
    twin._origin = ref(self) if self._requires_grad else self._origin
    return twin


def detach_(self: Tensor) -> Tensor:
    """Cuts this tensor off from the graph that computes it: it becomes a leaf."""
    self._cell = self._cell.without_history()
    self._requires_grad = False
    return self


def clone(self: Tensor, *, memory_format: object = None) -> Tensor:
    """A tensor with equal values that in-place changes of this one do not reach.

    ``memory_format`` is admitted: how a tensor lies in memory is the compiler's choice.
    """
    return wrap(self._enter(), self, name="Clone")


def retain_grad(self: Tensor) -> None:
    """Has ``backward`` fill the ``.grad`` of this tensor although it is no leaf.

    >>> import lazygrad as lg
    >>> x = lg.ones(2, requires_grad=True)
    >>> y = x * 3
    >>> y.retain_grad()
    >>> (y * y).sum().backward()
    >>> y.grad
    tensor([6., 6.])
    """
    if not self._requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if self._cell.history and not self._retains_grad:
        self._retains_grad = True
        _watch(self)


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Calls ``hook(gradient)`` in each backward pass; for a leaf its result is the gradient then."""
    if not self._requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    self._hooks = self._hooks or {}
    if self._cell.history:
        _watch(self)
    return RemovableHandle(self._hooks, hook)


def _watch(tensor: Tensor) -> None:
    watchers = WATCHERS.setdefault(tensor._cell.node, [])
    if not any(watcher() is tensor for watcher in watchers):
        watchers.append(ref(tensor))
