"""Activations: elementwise functions of any shape (*), and normalised exponentials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import DType
from lazygrad.ir.node import Node
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.inplace import check_writable, rebind
from lazygrad.tensor.mathematics import sigmoid, tanh
from lazygrad.tensor.random import Generator, uniform_node
from lazygrad.tensor.softmax import log_softmax as _log_softmax
from lazygrad.tensor.softmax import softmax as _softmax

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "tanh",
]


def _finished(input: Tensor, node: Node, name: str, inplace: bool = False) -> Tensor:
    if inplace:
        check_writable(input)
    result = wrap(node, input, name=name)
    return rebind(input, result, name.lower() + "_") if inplace else result


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0).

    >>> import lazygrad as lg
    >>> relu(lg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _finished(input, ops.relu(input._enter()), "Relu", inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6); the gradient is zero at both bounds."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """The value x within [min_val, max_val]; the gradient is zero at both bounds."""
    x = input._enter()
    above = ops.where(ops.le(x, min_val), min_val, x)
    return _finished(input, ops.where(ops.le(max_val, x), max_val, above), "Hardtanh", inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """The value x where x > 0, else negative_slope * x."""
    x = input._enter()
    return _finished(input, ops.where(ops.lt(0.0, x), x, ops.mul(x, negative_slope)), "LeakyRelu", inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``leaky_relu`` with a slope for each channel (dimension 1), or one for all."""
    slope = weight.reshape(1, -1, *(1 for _ in input.shape[2:])) if weight.numel() > 1 and input.dim() > 1 else weight
    x = input._enter()
    return wrap(ops.where(ops.lt(0.0, x), x, (input * slope)._enter()), input, weight, name="PreluKernel")


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """The value x where x > 0, else alpha * (exp(x) - 1)."""
    return _finished(input, _exponential_linear(input._enter(), alpha, 1.0, 1.0), "Elu", inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The scaled ``elu`` that keeps mean and variance (Klambauer et al. 2017)."""
    node = _exponential_linear(input._enter(), 1.6732632423543772, 1.0507009873554805, 1.0)
    return _finished(input, node, "Elu", inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    return _finished(input, _exponential_linear(input._enter(), alpha, 1.0, 1.0 / alpha), "Celu", inplace)


def _exponential_linear(x: Node, alpha: float, scale: float, rate: float) -> Node:
    # The exponential of positive x may overflow; it is not selected, but its derivative must not be inf * 0.
    below = ops.where(ops.lt(0.0, x), 0.0, x)
    exponential = ops.mul(ops.expm1(below if rate == 1 else ops.mul(below, rate)), alpha * scale)
    return ops.where(ops.lt(0.0, x), x if scale == 1 else ops.mul(x, scale), exponential)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """The product x * Phi(x), Phi the normal distribution function; "tanh" approximates it."""
    x = input._enter()
    if approximate == "tanh":
        inner = ops.mul(ops.add(x, ops.mul(ops.mul(ops.mul(x, x), x), 0.044715)), math.sqrt(2 / math.pi))
        return wrap(ops.mul(ops.mul(x, 0.5), ops.add(ops.tanh(inner), 1.0)), input, name="Gelu")
    if approximate != "none":
        raise RuntimeError(f"gelu: approximate argument must be either none or tanh, got {approximate!r}")
    return wrap(ops.mul(ops.mul(x, 0.5), ops.add(ops.erf(ops.mul(x, math.sqrt(0.5))), 1.0)), input, name="Gelu")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """The product x * sigmoid(x)."""
    x = input._enter()
    return _finished(input, ops.mul(x, ops.sigmoid(x)), "Silu", inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """The product x * tanh(softplus(x))."""
    x = input._enter()
    return _finished(input, ops.mul(x, ops.tanh(softplus_node(x))), "Mish", inplace)


def softplus_node(x: Node) -> Node:
    """log(1 + exp(x)), which never overflows and has its derivatives, of any order, at every x."""
    ramp, correction = softplus_parts(x)
    return ops.add(ramp, correction)


def softplus_parts(x: Node) -> tuple[Node, Node]:
    """max(x, 0) and log1p(exp(-|x|)), whose sum is log(1 + exp(x)).

    Written with one comparison for both: on either side of it the sum is log(1 + exp(x)) identically, not only up to
    the bend at 0, so that its derivatives are those at 0 too. With ``abs`` and ``maximum``, which have no slope there,
    the second derivative would be 0 instead of 1/4.
    """
    negative = ops.lt(x, 0.0)
    correction = ops.log1p(ops.exp(ops.where(negative, x, ops.neg(x))))
    return ops.where(negative, 0.0, x), correction


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold."""
    x = input._enter()
    scaled = x if beta == 1 else ops.mul(x, beta)
    smooth = softplus_node(scaled)
    node = ops.where(ops.lt(threshold, scaled), x, smooth if beta == 1 else ops.div(smooth, beta))
    return wrap(node, input, name="Softplus")


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x))."""
    return wrap(ops.neg(softplus_node(ops.neg(input._enter()))), input, name="LogSigmoid")


def softsign(input: Tensor) -> Tensor:
    """The quotient x / (1 + |x|)."""
    return input / (input.abs() + 1)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """The line x / 6 + 1/2, within [0, 1]."""
    x = input._enter()
    middle = ops.add(ops.div(x, 6.0), 0.5)
    node = ops.where(ops.le(x, -3.0), 0.0, ops.where(ops.le(3.0, x), 1.0, middle))
    return _finished(input, node, "Hardsigmoid", inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """The product x * hardsigmoid(x)."""
    x = input._enter()
    middle = ops.div(ops.mul(x, ops.add(x, 3.0)), 6.0)
    node = ops.where(ops.le(x, -3.0), 0.0, ops.where(ops.le(3.0, x), x, middle))
    return _finished(input, node, "Hardswish", inplace)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along ``dim``, times the sigmoid of the second."""
    first, second = input.chunk(2, dim)
    return first * second.sigmoid()


def _dimension(dim: int | None, rank: int) -> int:
    """Torch's old rule for a missing ``dim``."""
    return (0 if rank in (0, 1, 3) else 1) if dim is None else dim


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` over ``dim``."""
    return _softmax(input, _dimension(dim, input.dim()), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """``softmax`` of ``-x``."""
    return _softmax(-input, _dimension(dim, input.dim()), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """The logarithm of ``softmax``."""
    return _log_softmax(input, _dimension(dim, input.dim()), dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, dim: int = -1, generator: Generator | None = None
) -> Tensor:
    """A sample of the relaxed categorical distribution; ``hard`` makes it one-hot in value only."""
    x = logits._cell.node
    uniform = wrap(ops.sub(1.0, uniform_node(x.shape, x.dtype, x.device, generator)))
    soft = _softmax((logits - (-(uniform.log())).log()) / tau, dim)
    if not hard:
        return soft
    steps = ops.arange(soft.shape[dim], x.device)
    line = tuple(soft.shape[dim] if axis == dim % x.rank else 1 for axis in range(x.rank))
    one_hot = (soft.argmax(dim, keepdim=True) == wrap(ops.reshape(steps, line))).to(soft.dtype)
    return one_hot - soft.detach() + soft
