"""In-place methods: a tensor is bound to the result of the operation of the same name.

Nothing is overwritten: nodes are immutable, and the buffer of the old value is reused when nobody holds it
any more. The tensor's detached twins (``.data``, ``.detach()``) follow; other views of it (slices, reshapes)
do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from lazygrad import ops
from lazygrad.ir.dtype import bool_
from lazygrad.ir.node import Node
from lazygrad.ir.promotion import CATEGORY
from lazygrad.ir.shape import Shape
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.handle import Handle, wrap
from lazygrad.tensor.operands import Operand, cast, constant, number, spread

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

P = ParamSpec("P")


def in_place(function: Callable[Concatenate[Tensor, P], Tensor]) -> Callable[Concatenate[Tensor, P], Tensor]:
    """The in-place method for ``function``, named with torch's trailing underscore."""

    def method(self: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        check_writable(self)
        return rebind(self, function(self, *args, **kwargs), method.__name__)

    method.__name__ = method.__qualname__ = f"{function.__name__}_"
    method.__doc__ = f"Like ``{function.__name__}``, and binds this tensor to the result."
    return method


def check_writable(tensor: Tensor) -> None:
    """RuntimeError (torch's words) for a leaf that requires grad while gradients are recorded."""
    if tensor._requires_grad and SWITCH.enabled and not tensor._cell.history:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation; wrap the change in "
            "`with lazygrad.no_grad():` or make it on .data"
        )


def rebind(tensor: Tensor, result: Tensor, name: str) -> Tensor:
    """Binds ``tensor`` to the value of ``result``; shape, dtype and device of ``tensor`` stay as they are."""
    old, node = tensor._cell.node, result._cell.node
    if node.device != old.device:
        raise RuntimeError(f"{name}: the tensor is on {old.device}, the result on {node.device}; move with .to(device)")
    if CATEGORY[node.dtype.kind] > CATEGORY[old.dtype.kind]:
        raise RuntimeError(
            f"{name}: result type {node.dtype.name} can't be cast to the desired output type {old.dtype.name}"
        )
    if node.shape != old.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(old.shape)} doesn't match the broadcast shape {list(node.shape)}"
        )
    return rebind_node(tensor, cast(node, old.dtype), result)


def rebind_node(tensor: Tensor, node: Node, result: Tensor) -> Tensor:
    """Binds ``tensor`` to ``node``, which has the history of ``result``."""
    return _bind(tensor, node, result._cell.history and result._requires_grad, result._cell.depth)


def _bind(tensor: Tensor, node: Node, history: bool, depth: int) -> Tensor:
    if tensor._cell.history and tensor._requires_grad and not history:
        if SWITCH.enabled:
            # The tensor goes on to require grad, as in torch, and passes a gradient of zero on.
            old = tensor._enter()
            node = ops.where(ops.constant(False, node.shape, bool_, node.device), old, node)
            history, depth = True, max(depth, tensor._cell.depth) + 1
        else:
            tensor._requires_grad = False
    tensor._rebind(node, history, depth)
    return tensor


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Binds this tensor to the values of ``src``, broadcast to its shape, converted to its dtype and device.

    ``non_blocking`` is admitted: a transfer is submitted and never waited for.

    >>> import lazygrad as lg
    >>> lg.zeros(2, 2).copy_(lg.tensor([1, 2]))
    tensor([[1., 2.],
            [1., 2.]])
    """
    check_writable(self)
    node = self._cell.node
    if src._cell.node.device != node.device:
        src = src.to(node.device)
    entered = src._enter()
    if entered.shape != node.shape and not _fits(entered.shape, node.shape):
        raise RuntimeError(f"copy_: a source of shape {list(entered.shape)} cannot be broadcast to {list(node.shape)}")
    history = src._requires_grad and SWITCH.enabled and node.dtype.is_float
    return _bind(self, spread(cast(entered, node.dtype), node.shape), history, src._cell.depth + 1)


def _fits(shape: Shape, target: Shape) -> bool:
    """Whether ``shape`` can be broadcast to ``target``."""
    if len(shape) > len(target):
        return False
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(target), strict=False))


def filled(tensor: Tensor, node: Node) -> Tensor:
    """Binds ``tensor`` to a node without history."""
    check_writable(tensor)
    return rebind_node(tensor, node, wrap(node))


def zero_(self: Tensor) -> Tensor:
    """Binds this tensor to zeros."""
    return fill_(self, 0)


def fill_(self: Tensor, value: Operand) -> Tensor:
    """Binds this tensor to one number everywhere.

    >>> import lazygrad as lg
    >>> lg.zeros(2).fill_(3)
    tensor([3., 3.])
    """
    x = self._cell.node
    if not isinstance(value, Handle):
        return filled(self, constant(number(value), x.shape, x.dtype, x.device))
    check_writable(self)
    node = spread(cast(value._enter(), x.dtype), x.shape)
    return rebind_node(self, node, wrap(node, value))
