"""lazygrad: deep learning in pure Python, with torch's face.

Operations on tensors build a graph; gradients are more graph; what is asked for is compiled into few device
kernels and run. ``import lazygrad as torch`` runs a torch script that stays within the covered operations.

Importing this module loads no device library; ``nn``, ``optim``, ``vision`` and the other subpackages are
loaded when they are first used.

>>> import lazygrad as lg
>>> a = lg.tensor([2.0, 3.0], requires_grad=True)
>>> (3 * a**3).sum().backward()
>>> print(9 * a**2 == a.grad)
tensor([True, True])
"""

from __future__ import annotations

from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

# The public names by subject: here with their origin, below in __all__; ruff sees to it that the two agree. Packed,
# since a name a line would be five hundred lines.
# fmt: off
# isort: off
from lazygrad.tensor import Tensor
from lazygrad.tensor.handle import is_tensor
from lazygrad.tensor.size import Size
from lazygrad.tensor.creation import (
    arange, argument, as_tensor, empty, eye, from_numpy, full, linspace, ones, tensor, zeros,
)
from lazygrad.tensor.creation_like import empty_like, full_like, ones_like, zeros_like
from lazygrad.tensor.random import (
    Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state,
)
from lazygrad.tensor.sampling import (
    bernoulli, multinomial, normal, rand, rand_like, randint, randint_like, randn, randn_like, randperm,
)
from lazygrad.tensor.realization import realize
from lazygrad.ir.dtype import DType as dtype  # noqa: N813, torch's name
from lazygrad.ir.dtype import bool_ as bool
from lazygrad.ir.dtype import bfloat16, float16, float32, float64, int8, int16, int32, int64, uint8
from lazygrad.ir.promotion import promote as promote_types
from lazygrad.tensor.operands import result_type
from lazygrad.tensor.number_info import finfo, iinfo, is_floating_point, numel
from lazygrad.tensor.devices import device, get_default_device, set_default_device
from lazygrad.tensor.arithmetic import (
    add, addcdiv, addcmul, arctan2, atan2, clamp, clamp_max, clamp_min, clip, div, divide, floor_divide, fmod, hypot,
    lerp, logaddexp, maximum, minimum, mul, multiply, pow, remainder, rsub, sub, subtract, true_divide,
)
from lazygrad.tensor.mathematics import (
    abs, absolute, acos, acosh, arccos, arcsin, arctan, asin, asinh, atan, atanh, ceil, cos, cosh, erf, erfc, exp, exp2,
    expm1, fix, floor, frac, log, log1p, log2, log10, neg, negative, positive, reciprocal, relu, round, rsqrt, sigmoid,
    sign, sin, sinh, sqrt, square, tan, tanh, trunc,
)
from lazygrad.tensor.comparison import (
    allclose, bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor, eq, equal, ge,
    greater, greater_equal, gt, isclose, isfinite, isinf, isnan, le, less, less_equal, logical_and, logical_not,
    logical_or, logical_xor, lt, ne, not_equal,
)
from lazygrad.tensor.reduction import all, any, count_nonzero, cumsum, mean, nansum, prod, sum
from lazygrad.tensor.extrema import amax, amin, argmax, argmin, max, min
from lazygrad.tensor.statistics import logsumexp, norm, std, std_mean, var, var_mean
from lazygrad.tensor.softmax import log_softmax, softmax
from lazygrad.tensor.linalg import addmm, addmv, baddbmm, bmm, dot, inner, matmul, mm, mv, outer, tensordot
from lazygrad.tensor.einsum import einsum
from lazygrad.tensor.movement import (
    broadcast_tensors, broadcast_to, flatten, flip, movedim, permute, repeat_interleave, reshape, squeeze, t, tile,
    transpose, unflatten, unsqueeze,
)
from lazygrad.tensor.joining import cat, chunk, hstack, meshgrid, roll, split, stack, unbind, vstack
from lazygrad.tensor.selection import diag, diagonal, masked_fill, narrow, select, tril, triu, where
from lazygrad.tensor.gathering import gather, index_add, index_copy, index_select, scatter, scatter_add, take_along_dim
from lazygrad.tensor.indexing import masked_select, nonzero
from lazygrad.tensor.assignment import index_put
from lazygrad.tensor.checkpoint import checkpoint
from lazygrad.tensor.grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from lazygrad.tensor.printing import get_printoptions, printoptions, set_printoptions
from lazygrad.tensor.autocast import autocast, get_autocast_dtype, is_autocast_enabled
from lazygrad.settings import (
    are_deterministic_algorithms_enabled, get_float32_matmul_precision, is_deterministic_algorithms_warn_only_enabled,
    set_float32_matmul_precision, use_deterministic_algorithms,
)
# isort: on

if TYPE_CHECKING:
    from lazygrad import amp, autograd, hub, memory, nn, optim, serialization, vision
    from lazygrad.capture import compile
    from lazygrad.mathematics.symbolic import symbolic
    from lazygrad.serialization import load, save

__all__ = [  # noqa: RUF022
    # numbers
    "e", "inf", "nan", "pi",
    # tensors and their making
    "Tensor", "is_tensor", "Size", "arange", "argument", "as_tensor", "empty", "empty_like", "eye", "from_numpy",
    "full", "full_like", "linspace", "ones", "ones_like", "tensor", "zeros", "zeros_like", "Generator", "bernoulli",
    "default_generator", "get_rng_state", "initial_seed", "manual_seed", "multinomial", "normal", "rand", "rand_like",
    "randint", "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state", "realize",
    # dtypes and devices
    "dtype", "bfloat16", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool",
    "promote_types", "result_type", "finfo", "iinfo", "is_floating_point", "numel", "device", "get_default_device",
    "set_default_device", "float", "double", "half", "long", "int", "short",
    # element by element
    "add", "addcdiv", "addcmul", "arctan2", "atan2", "clamp", "clamp_max", "clamp_min", "clip", "div", "divide",
    "floor_divide", "fmod", "hypot", "lerp", "logaddexp", "maximum", "minimum", "mul", "multiply", "pow", "remainder",
    "rsub", "sub", "subtract", "true_divide", "abs", "absolute", "acos", "acosh", "arccos", "arcsin", "arctan", "asin",
    "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1", "fix", "floor", "frac",
    "log", "log1p", "log2", "log10", "neg", "negative", "positive", "reciprocal", "relu", "round", "rsqrt", "sigmoid",
    "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "allclose", "bitwise_and", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "eq", "equal", "ge", "greater", "greater_equal",
    "gt", "isclose", "isfinite", "isinf", "isnan", "le", "less", "less_equal", "logical_and", "logical_not",
    "logical_or", "logical_xor", "lt", "ne", "not_equal",
    # reductions
    "all", "any", "count_nonzero", "cumsum", "mean", "nansum", "prod", "sum", "amax", "amin", "argmax", "argmin", "max",
    "min", "logsumexp", "norm", "std", "std_mean", "var", "var_mean", "log_softmax", "softmax",
    # products
    "addmm", "addmv", "baddbmm", "bmm", "dot", "inner", "matmul", "mm", "mv", "outer", "tensordot", "einsum",
    # shapes and positions
    "broadcast_tensors", "broadcast_to", "flatten", "flip", "movedim", "permute", "repeat_interleave", "reshape",
    "roll", "squeeze", "t", "tile", "transpose", "unflatten", "unsqueeze", "cat", "chunk", "hstack", "meshgrid",
    "split", "stack", "unbind", "vstack", "diag", "diagonal", "gather", "index_add", "index_copy", "index_select",
    "masked_fill", "narrow", "scatter", "scatter_add", "select", "take_along_dim", "tril", "triu", "where",
    "masked_select", "nonzero", "index_put",
    # modes
    "checkpoint", "enable_grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled", "get_printoptions",
    "printoptions", "set_printoptions", "autocast", "get_autocast_dtype", "is_autocast_enabled",
    "get_float32_matmul_precision", "set_float32_matmul_precision", "are_deterministic_algorithms_enabled",
    "is_deterministic_algorithms_warn_only_enabled", "use_deterministic_algorithms",
    # loaded when first used
    "amp", "autograd", "compile", "hub", "load", "memory", "nn", "optim", "save", "serialization", "symbolic",
    "testing", "vision",
    "__version__",
]
# fmt: on

__version__ = "0.1.0"

float, double, half = float32, float64, float16
long, int, short = int64, int32, int16

# Loaded at the first use of their names: packages, and functions with the module that has them.
_SUBPACKAGES = frozenset({"amp", "autograd", "hub", "memory", "nn", "optim", "serialization", "testing", "vision"})
_FUNCTIONS = {
    "compile": "lazygrad.capture",
    "load": "lazygrad.serialization",
    "save": "lazygrad.serialization",
    "symbolic": "lazygrad.mathematics",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _SUBPACKAGES:
        return import_module(f"lazygrad.{name}")
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'lazygrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBPACKAGES, *_FUNCTIONS})
