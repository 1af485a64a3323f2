"""Derivatives of functions of tensors: products with vectors, Jacobian and Hessian matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from lazygrad import autodiff, ops
from lazygrad.tensor.grad_mode import enable_grad
from lazygrad.tensor.gradient import grad
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.joining import stack
from lazygrad.tensor.tensor import Tensor

Tensors: TypeAlias = Tensor | tuple[Tensor, ...]


def _listed(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else list(value)


def _like(template: Any, values: list[Tensor]) -> Any:
    return values[0] if isinstance(template, Tensor) else tuple(values)


def _leaves(inputs: Tensors, create_graph: bool) -> list[Tensor]:
    """Tensors to differentiate by: the inputs themselves where the result is to be differentiated too."""
    if create_graph:
        return [tensor if tensor.requires_grad else tensor.detach().requires_grad_() for tensor in _listed(inputs)]
    return [tensor.detach().clone().requires_grad_() for tensor in _listed(inputs)]


def vjp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The value of ``func(*inputs)``, and the product of a vector with its Jacobian matrix.

    Args:
        func: from tensors to a tensor or a tuple of tensors.
        inputs: where it is evaluated.
        v: a tensor like each output; may be left out for one output with one element.
        create_graph: whether the product can be differentiated again.
        strict: whether an output that does not depend on an input is an error rather than zero.

    >>> import lazygrad as lg
    >>> value, product = vjp(lambda x: x**2, lg.tensor([1.0, 2.0]), lg.tensor([1.0, 1.0]))
    >>> product
    tensor([2., 4.])
    """
    with enable_grad():
        leaves = _leaves(inputs, create_graph)
        outputs = func(*leaves)
        products = grad(
            _listed(outputs),
            leaves,
            v,
            create_graph=create_graph,
            allow_unused=strict is False,
            materialize_grads=not strict,
        )
    value = outputs if create_graph else _like(outputs, [output.detach() for output in _listed(outputs)])
    return value, _like(inputs, list(products))


def jvp(
    func: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The value of ``func(*inputs)``, and the product of its Jacobian matrix with a vector (forward mode).

    Args:
        func: from tensors to a tensor or a tuple of tensors.
        inputs: where it is evaluated.
        v: a tensor like each input; may be left out for one input with one element.
        create_graph: whether the product can be differentiated again.
        strict: admitted.
    """
    with enable_grad():
        leaves = _leaves(inputs, create_graph)
        outputs = _listed(func(*leaves))
        tangents = [leaf.new_ones(leaf.shape) for leaf in leaves] if v is None else _listed(v)
        products = autodiff.jvp(
            [output._node for output in outputs],
            [leaf._node for leaf in leaves],
            [tangent._enter() for tangent in tangents],
        )
        results = [
            wrap(node if create_graph else ops.detach(node), *(leaves if create_graph else ())) for node in products
        ]
    values = outputs if create_graph else [output.detach() for output in outputs]
    template = outputs[0] if len(outputs) == 1 else tuple(outputs)
    return _like(template, values), _like(template, results)


def jacobian(func: Callable[..., Tensor], inputs: Tensors, create_graph: bool = False, strict: bool = False) -> Any:
    """The Jacobian matrix of ``func``: (*output shape, *input shape) for each input.

    >>> import lazygrad as lg
    >>> jacobian(lambda x: x**2, lg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    with enable_grad():
        leaves = _leaves(inputs, create_graph)
        output = func(*leaves)
        if not output.requires_grad:
            return _like(inputs, [leaf.new_zeros(*output.shape, *leaf.shape) for leaf in leaves])
        rows = [
            grad(element, leaves, create_graph=create_graph, allow_unused=True, materialize_grads=True)
            for element in output.reshape(-1).unbind()
        ]
    return _like(
        inputs,
        [
            stack([row[position] for row in rows]).reshape(*output.shape, *leaf.shape)
            for position, leaf in enumerate(leaves)
        ],
    )


def hessian(func: Callable[..., Tensor], inputs: Tensors, create_graph: bool = False, strict: bool = False) -> Any:
    """The second derivatives of a scalar function: (*input shape, *input shape), for each pair of inputs.

    >>> import lazygrad as lg
    >>> hessian(lambda x: (x**3).sum(), lg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    several = not isinstance(inputs, Tensor)
    count = len(_listed(inputs))

    def slope(position: int) -> Callable[..., Tensor]:
        def function(*given: Tensor) -> Tensor:
            return grad(func(*given), given[position], create_graph=True, allow_unused=True, materialize_grads=True)[0]

        return function

    rows = [jacobian(slope(position), inputs, create_graph) for position in range(count)]
    return tuple(rows) if several else rows[0]


def vhp(
    func: Callable[..., Tensor], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """The value of a scalar function, and the product of a vector with its Hessian matrix."""
    with enable_grad():
        leaves = _leaves(inputs, create_graph)
        output = func(*leaves)
        slopes = grad(output, leaves, create_graph=True, allow_unused=True, materialize_grads=True)
        live = [
            (slope, weight) for slope, weight in zip(slopes, _weights(v, leaves), strict=True) if slope.requires_grad
        ]
        if not live:
            return output.detach(), _like(inputs, [leaf.new_zeros(leaf.shape) for leaf in leaves])
        products = grad(
            [slope for slope, _ in live],
            leaves,
            [weight for _, weight in live],
            create_graph=create_graph,
            allow_unused=True,
            materialize_grads=True,
        )
    return (output if create_graph else output.detach()), _like(inputs, list(products))


hvp = vhp  # a Hessian matrix is symmetric


def _weights(v: Tensors | None, leaves: list[Tensor]) -> list[Tensor]:
    return [leaf.new_ones(leaf.shape) for leaf in leaves] if v is None else _listed(v)
