"""Activation layers: each applies the function of `nn.functional` with the same name, (*) -> (*).

`inplace=True` also rebinds the input to the result, as the in-place methods do; it saves no memory here, where
intermediate values are the scheduler's choice anyway.
"""

from __future__ import annotations

from typing import Literal

from lazygrad.nn import functional as F
from lazygrad.nn.module import Module
from lazygrad.tensor import Tensor


class _MaybeInplace(Module):
    """An activation with the argument `inplace`, which is printed where it is set."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Show the settings, and `inplace` where it is set."""
        return ", ".join(filter(None, (super().extra_repr(), "inplace=True" if self.inplace else "")))


class ReLU(_MaybeInplace):
    """max(x, 0).

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.ReLU()(lg.tensor([-1.0, 2.0])))
        tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=self.inplace)


class ReLU6(_MaybeInplace):
    """min(max(x, 0), 6).

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.ReLU6()(lg.tensor([-1.0, 2.0, 7.0])))
        tensor([0., 2., 6.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, inplace=self.inplace)


class SiLU(_MaybeInplace):
    """x * sigmoid(x).

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.SiLU()(lg.tensor([0.0, 1.0])))
        tensor([0.0000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, inplace=self.inplace)


class LeakyReLU(_MaybeInplace):
    """x where x > 0, else negative_slope * x.

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.LeakyReLU(0.5)(lg.tensor([-1.0, 2.0])))
        tensor([-0.5000,  2.0000])
    """

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class ELU(_MaybeInplace):
    """x where x > 0, else alpha * (exp(x) - 1).

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.ELU()(lg.tensor([-1.0, 2.0])))
        tensor([-0.6321,  2.0000])
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class Hardtanh(_MaybeInplace):
    """x, kept within [min_val, max_val].

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.Hardtanh(-0.5, 0.5)(lg.tensor([-1.0, 0.25, 2.0])))
        tensor([-0.5000,  0.2500,  0.5000])
    """

    _shown = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if not max_val > min_val:
            raise AssertionError(f"max_val must be larger than min_val, got {min_val} and {max_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.Sigmoid()(lg.tensor([0.0])))
        tensor([0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.sigmoid()


class Tanh(Module):
    """The hyperbolic tangent.

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.Tanh()(lg.tensor([0.0, 1.0])))
        tensor([0.0000, 0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.tanh()


class GELU(Module):
    """x * Phi(x), Phi the standard normal distribution function.

    Args:
        approximate: "none", or "tanh" for the approximation by tanh.

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.GELU()(lg.tensor([-1.0, 1.0])))
        tensor([-0.1587,  0.8413])
    """

    _shown = ("approximate",)

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold.

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.Softplus()(lg.tensor([0.0, 30.0])))
        tensor([ 0.6931, 30.0000])
    """

    _shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class Softmax(Module):
    """exp(x) divided by its sum over `dim`.

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.Softmax(dim=0)(lg.zeros(4)))
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class LogSoftmax(Module):
    """The logarithm of softmax over `dim`, computed without leaving the range of the dtype.

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.LogSoftmax(dim=0)(lg.zeros(2)))
        tensor([-0.6931, -0.6931])
    """

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)
