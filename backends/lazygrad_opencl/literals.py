"""Constants as OpenCL C literals that read back to the same bits."""

from __future__ import annotations

import math

import numpy

from lazygrad.ir.dtype import DType, bfloat16, bool_, float16, float32, int64

_LARGEST_SINGLE = float(numpy.finfo(numpy.float32).max)


def literal(number: bool | int | float, dtype: DType) -> str:
    """A literal, in parentheses where it is negative or a call."""
    if dtype in (float16, bfloat16):
        return str(int(numpy.asarray(number, dtype.numpy).view(numpy.uint16)))
    if dtype.is_float:
        return _floating(float(number), dtype)
    if dtype is bool_:
        return "1" if number else "0"
    return integral(int(number), dtype)


def integral(number: int, dtype: DType) -> str:
    """A literal of an integer type."""
    suffix = "L" if dtype is int64 else ""
    if dtype.kind == "int" and dtype.bits >= 32 and number == dtype.minimum:
        return f"(-{-(number + 1)}{suffix} - 1)"
    return f"(-{-number}{suffix})" if number < 0 else f"{number}{suffix}"


def _floating(number: float, dtype: DType) -> str:
    if math.isnan(number):
        return "as_float(0x7fc00000)" if dtype is float32 else "as_double(0x7ff8000000000000L)"
    if dtype is float32 and abs(number) <= _LARGEST_SINGLE:
        rounded = numpy.float32(number)
    else:
        with numpy.errstate(over="ignore"):
            rounded = dtype.numpy.type(number)
    if math.isinf(rounded):
        text = "as_float(0x7f800000)" if dtype is float32 else "as_double(0x7ff0000000000000L)"
        return f"(-{text})" if number < 0 else text
    text = str(rounded)
    if "." not in text and "e" not in text:
        text += ".0"
    text += "f" if dtype is float32 else ""
    return f"(-{text[1:]})" if text.startswith("-") else text
