"""The primitives, each declared once, and the functions on nodes that build them.

Everything else in the library is composed of these functions. They take nodes of equal shape and dtype (Python
numbers are lifted to constants); broadcasting and promotion happen above, at the tensor.
"""

from lazygrad.ops.arithmetic import abs_, add, div, mul, neg, sign, sub
from lazygrad.ops.attention import (
    attention,
    attention_key_gradient,
    attention_logsumexp,
    attention_query_gradient,
    attention_value_gradient,
)
from lazygrad.ops.bitwise import bitwise_and, bitwise_not, bitwise_or, bitwise_xor, shift_left, shift_right
from lazygrad.ops.comparison import eq, le, lt, maximum, minimum, ne, relu, where
from lazygrad.ops.contract import contract
from lazygrad.ops.identity import cast, detach, leaf
from lazygrad.ops.indexing import gather, scatter
from lazygrad.ops.movement import view
from lazygrad.ops.padding import pad, slice_
from lazygrad.ops.random import random_bits
from lazygrad.ops.recomputation import after, checkpoint
from lazygrad.ops.reduce import argmax, argmin, max_, min_, prod, sum_
from lazygrad.ops.reshaping import expand, flip, permute, reshape
from lazygrad.ops.rounding import ceil, floor, floor_divide, remainder, round_, trunc
from lazygrad.ops.sliding import windows
from lazygrad.ops.source import arange, argument, buffer, constant, placeholder
from lazygrad.ops.transcendental import (
    acos,
    asin,
    atan,
    atan2,
    cos,
    erf,
    exp,
    expm1,
    log,
    log1p,
    pow_,
    rsqrt,
    sigmoid,
    sin,
    sqrt,
    tanh,
)

__all__ = [
    "abs_",
    "acos",
    "add",
    "after",
    "arange",
    "argmax",
    "argmin",
    "argument",
    "asin",
    "atan",
    "atan2",
    "attention",
    "attention_key_gradient",
    "attention_logsumexp",
    "attention_query_gradient",
    "attention_value_gradient",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "buffer",
    "cast",
    "ceil",
    "checkpoint",
    "constant",
    "contract",
    "cos",
    "detach",
    "div",
    "eq",
    "erf",
    "exp",
    "expand",
    "expm1",
    "flip",
    "floor",
    "floor_divide",
    "gather",
    "le",
    "leaf",
    "log",
    "log1p",
    "lt",
    "max_",
    "maximum",
    "min_",
    "minimum",
    "mul",
    "ne",
    "neg",
    "pad",
    "permute",
    "placeholder",
    "pow_",
    "prod",
    "random_bits",
    "relu",
    "remainder",
    "reshape",
    "round_",
    "rsqrt",
    "scatter",
    "shift_left",
    "shift_right",
    "sigmoid",
    "sign",
    "sin",
    "slice_",
    "sqrt",
    "sub",
    "sum_",
    "tanh",
    "trunc",
    "view",
    "where",
    "windows",
]
