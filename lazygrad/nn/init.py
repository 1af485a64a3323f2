"""Initial values for parameters: torch's `nn.init`, with its names, defaults and formulas.

In: a tensor. Out: the same tensor, rebound to new values (a lazy random or constant expression), which
no gradient flows through.
"""

from __future__ import annotations

import math
import warnings
from typing import Literal, TypeAlias

import lazygrad
from lazygrad.tensor import Tensor

FanMode: TypeAlias = Literal["fan_in", "fan_out"]

# torch's constant for selu; the others follow from the nonlinearity's second moment.
_SELU_GAIN = 3.0 / 4


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor that keeps a signal's scale through `nonlinearity`.

    Args:
        nonlinearity: "linear", "conv1d", "conv2d", "conv3d" (and transposed), "sigmoid", "tanh", "relu",
            "leaky_relu" or "selu".
        param: the negative slope of "leaky_relu" (default 0.01).

    Example:
        >>> calculate_gain("leaky_relu", 0.2)
        1.3867504905630728
    """
    match nonlinearity:
        case "linear" | "sigmoid" | "conv1d" | "conv2d" | "conv3d":
            return 1.0
        case "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d":
            return 1.0
        case "tanh":
            return 5.0 / 3
        case "relu":
            return math.sqrt(2.0)
        case "selu":
            return _SELU_GAIN
        case "leaky_relu":
            slope = 0.01 if param is None else param
            if isinstance(slope, bool) or not isinstance(slope, int | float):
                raise ValueError(f"negative_slope {slope} not a valid number")
            return math.sqrt(2.0 / (1 + slope**2))
        case _:
            raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Fill `tensor` with values drawn evenly from [a, b)."""
    with lazygrad.no_grad():
        return tensor.uniform_(a, b)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill `tensor` with values from the normal distribution of this mean and standard deviation."""
    with lazygrad.no_grad():
        return tensor.normal_(mean, std)


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Tensor:
    """Fill `tensor` from the normal distribution, cut off to the interval [a, b].

    A uniform number is put through the inverse of the distribution function, rather than drawing again
    whatever falls outside: the graph is then the same for all values.

    Example:
        >>> import lazygrad as lg
        >>> values = trunc_normal_(lg.empty(1000), a=-1.0, b=1.0)
        >>> bool((values.abs() <= 1.0).all())
        True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    low = math.erf((a - mean) / (std * math.sqrt(2.0)))
    high = math.erf((b - mean) / (std * math.sqrt(2.0)))
    with lazygrad.no_grad():
        tensor.uniform_(low, high)
        values = _inverse_erf(tensor) * (std * math.sqrt(2.0)) + mean
        return tensor.copy_(values.clamp(a, b))


# M. Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2010), single precision; highest
# power first, in w - 2.5 for w = -log(1 - x*x) < 5, else in sqrt(w) - 3.
_INVERSE_ERF_CENTRE = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_INVERSE_ERF_TAIL = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)
# 1 - x*x must stay above zero where rounding brings x to 1: -log of this is far beyond any bound used.
_SMALLEST_COMPLEMENT = 1e-30


def _inverse_erf(x: Tensor) -> Tensor:
    w = -((1.0 - x) * (1.0 + x)).clamp(min=_SMALLEST_COMPLEMENT).log()
    centre = _polynomial(_INVERSE_ERF_CENTRE, w - 2.5)
    tail = _polynomial(_INVERSE_ERF_TAIL, w.sqrt() - 3.0)
    return (centre * (w < 5.0) + tail * (w >= 5.0)) * x


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    result = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        result = result * x + coefficient
    return result


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill `tensor` with `val`.

    Example:
        >>> import lazygrad as lg
        >>> constant_(lg.empty(2), 3.0)
        tensor([3., 3.])
    """
    with lazygrad.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill `tensor` with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill `tensor` with zeros."""
    return constant_(tensor, 0.0)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Return how many inputs an output sees, and how many outputs an input reaches.

    `tensor` is a weight of shape (outputs, inputs, *kernel).
    """
    if tensor.dim() < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, "
            f"got shape {tuple(tensor.shape)}"
        )
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill a weight evenly from [-r, r], r = gain * sqrt(6 / (fan_in + fan_out)) (Glorot, Bengio 2010).

    Example:
        >>> import lazygrad as lg
        >>> weight = xavier_uniform_(lg.empty(2, 4))
        >>> bool((weight.abs() <= 1.0).all())
        True
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill a weight normally with deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot, Bengio 2010)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> Tensor:
    """Fill a weight evenly from [-r, r], r = gain * sqrt(3 / fan) (He et al. 2015).

    Args:
        tensor: a weight of shape (outputs, inputs, *kernel).
        a: the negative slope, for "leaky_relu".
        mode: which fan keeps its scale: "fan_in" that of the forward pass, "fan_out" that of gradients.
        nonlinearity: what follows the layer; see `calculate_gain`.

    Example:
        >>> import lazygrad as lg
        >>> weight = kaiming_uniform_(lg.empty(8, 3), nonlinearity="linear")
        >>> bool((weight.abs() <= 1.0).all())
        True
    """
    if 0 in tensor.shape:
        return tensor
    bound = math.sqrt(3.0) * _kaiming_deviation(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> Tensor:
    """Fill a weight normally with deviation gain / sqrt(fan) (He et al. 2015); see `kaiming_uniform_`."""
    if 0 in tensor.shape:
        return tensor
    return normal_(tensor, 0.0, _kaiming_deviation(tensor, a, mode, nonlinearity))


def _kaiming_deviation(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def fan_in_uniform_(weight: Tensor, bias: Tensor | None) -> None:
    """Fill the weight and bias of a linear map or convolution evenly from +-1/sqrt(fan_in), torch's default.

    Args:
        weight: shape (outputs, inputs, *kernel).
        bias: shape (outputs,), or None.
    """
    # With this slope the gain cancels the square root of 3 of an even distribution.
    kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = _calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        uniform_(bias, -bound, bound)
