"""The parameters of a kernel's functions: their types in Triton, and how a launch's values become bytes.

In: a kernel's declaration. Out: names and types in the order of all its functions' parameters: a pointer for each
buffer, a 64-bit offset for each movable buffer, the scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_float
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy

from lazygrad.ir.dtype import DType
from lazygrad.kernel.kernel import Kernel

# Bools are bytes in memory; scalars narrower than 32 bits travel as 32.
_ELEMENT = {
    "bool": "u8", "uint8": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "float16": "fp16", "bfloat16": "bf16", "float32": "fp32", "float64": "fp64",
}  # fmt: skip
_SCALAR = {"u8": "i32", "i8": "i32", "i16": "i32", "fp16": "fp32", "bf16": "fp32"}
OFFSET_TYPE = "i64"
# What a pointer and, in most launches, an offset is a multiple of.
ALIGNMENT = 16

Kind = Literal["buffer", "offset", "scalar"]
# Every parameter takes eight bytes of a launch's block of values, whatever its size.
SLOT_BYTES = 8
_SLOTS = {"i32": "i4x", "i64": "q", "fp32": "f4x", "fp64": "d"}


@dataclass(frozen=True)
class Parameter:
    """``name`` as in the generated file, ``type`` as Triton writes it: ``*fp32``, ``i64``, ``fp32``."""

    name: str
    type: str
    kind: Kind


@dataclass(frozen=True)
class Signature:
    """The parameters in order."""

    parameters: tuple[Parameter, ...]

    @cached_property
    def types(self) -> dict[str, str]:
        """The type of each parameter by its name, in order."""
        return {parameter.name: parameter.type for parameter in self.parameters}

    def divisible(self, aligned: bool) -> tuple[int, ...]:
        """The numbers of the parameters that are multiples of 16: pointers, and where ``aligned`` offsets."""
        kinds = ("buffer", "offset") if aligned else ("buffer",)
        return tuple(number for number, parameter in enumerate(self.parameters) if parameter.kind in kinds)

    @cached_property
    def layout(self) -> str:
        """The ``struct`` format of a launch's values, eight bytes each."""
        codes = ("Q" if p.kind == "buffer" else _SLOTS[p.type] for p in self.parameters)
        return "=" + "".join(codes)


def signature(kernel: Kernel) -> Signature:
    """The parameters of all functions of a kernel.

    >>> from lazygrad.ir.dtype import bool_, float16, float32
    >>> from lazygrad.kernel.kernel import BufferDeclaration
    >>> buffers = (BufferDeclaration(float32, 8, movable=True), BufferDeclaration(bool_, 8, written=True))
    >>> signature(Kernel("example", (), buffers, (float16,))).types
    {'b0': '*fp32', 'b1': '*u8', 'o0': 'i64', 's0': 'fp32'}
    """
    found = [Parameter(f"b{n}", f"*{_ELEMENT[b.dtype.name]}", "buffer") for n, b in enumerate(kernel.buffers)]
    found += [Parameter(f"o{n}", OFFSET_TYPE, "offset") for n, b in enumerate(kernel.buffers) if b.movable]
    for number, dtype in enumerate(kernel.scalars):
        kind = _ELEMENT[dtype.name]
        found.append(Parameter(f"s{number}", _SCALAR.get(kind, kind), "scalar"))
    return Signature(tuple(found))


def rounding(dtype: DType) -> Callable[[bool | int | float], int | float] | None:
    """How a scalar is rounded before it is packed; None where packing does it, but for numbers beyond float32.

    >>> from lazygrad.ir.dtype import bfloat16, float32
    >>> rounding(bfloat16)(0.1), rounding(float32)
    (0.10009765625, None)
    """
    if not dtype.is_float or dtype.bits != 16:
        return None
    rounded = dtype.numpy.type

    def round_to_type(value: bool | int | float) -> float:
        with numpy.errstate(over="ignore"):
            return float(rounded(value))

    return round_to_type


def rounded_to_float32(value: bool | int | float) -> float:
    """Infinity for what is too large, which packing refuses.

    >>> rounded_to_float32(-1e60)
    -inf
    """
    return c_float(value).value
