"""Constants as Triton texts that have exactly the value and the type asked for."""

from __future__ import annotations

import math

import numpy

from lazygrad.ir.dtype import DType, bool_
from lazygrad_triton.types import HALVES, block_type


def plain(number: bool | int | float, dtype: DType) -> str:
    """A Python literal, which takes the type of what it is combined with; negative ones in parentheses."""
    if dtype is bool_:
        return "True" if number else "False"
    if not dtype.is_float:
        text = str(int(number))
    else:
        rounded = _rounded(float(number), dtype)
        if math.isnan(rounded):
            return 'float("nan")'
        text = f'float("{rounded}")' if math.isinf(rounded) else repr(rounded)
    return f"({text})" if text.startswith("-") else text


def typed(number: bool | int | float, dtype: DType) -> str:
    """A scalar of the type."""
    text = plain(number, dtype)
    return f"tl.full((), {text[1:-1] if text.startswith('(') else text}, {block_type(dtype)})"


def _rounded(number: float, dtype: DType) -> float:
    with numpy.errstate(over="ignore"):
        return float(numpy.asarray(number, dtype.numpy)) if dtype.bits == 32 or dtype in HALVES else number
