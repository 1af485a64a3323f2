"""Element types: one frozen record each. Comes in: nothing. Goes out: the singletons and the tables over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy

Kind = Literal["bool", "uint", "int", "float"]


@dataclass(frozen=True, eq=False)
class DType:
    """An element type. Compared by identity: there is one object per type.

    >>> float32.bits, float32.is_float, float32
    (32, True, lazygrad.float32)
    """

    name: str
    kind: Kind
    bits: int

    # Read for every node that is built, so each is worked out once.

    @cached_property
    def itemsize(self) -> int:
        """Bytes per element in memory (a bool takes one)."""
        return self.bits // 8

    @cached_property
    def is_float(self) -> bool:
        return self.kind == "float"

    @cached_property
    def is_integer(self) -> bool:
        """True for the signed and unsigned integer types, not for bool."""
        return self.kind in ("int", "uint")

    @property
    def is_floating_point(self) -> bool:
        """Torch's name for ``is_float``."""
        return self.kind == "float"

    @cached_property
    def is_signed(self) -> bool:
        return self.kind in ("int", "float")

    @cached_property
    def numpy(self) -> numpy.dtype[Any]:
        """The NumPy dtype of the same memory layout (bfloat16 through ml_dtypes)."""
        if self is bfloat16:
            import ml_dtypes

            half: numpy.dtype[Any] = numpy.dtype(ml_dtypes.bfloat16)
            return half
        return numpy.dtype("bool" if self is bool_ else self.name)

    @property
    def minimum(self) -> float | int | bool:
        """The smallest value: ``-inf`` for floats. The identity of ``max``."""
        if self.kind == "float":
            return float("-inf")
        if self.kind == "bool":
            return False
        return -(1 << (self.bits - 1)) if self.kind == "int" else 0

    @property
    def maximum(self) -> float | int | bool:
        """The largest value: ``inf`` for floats. The identity of ``min``."""
        if self.kind == "float":
            return float("inf")
        if self.kind == "bool":
            return True
        return (1 << (self.bits - 1)) - 1 if self.kind == "int" else (1 << self.bits) - 1

    def __repr__(self) -> str:
        return f"lazygrad.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self is bool_ else self.name


bool_ = DType("bool", "bool", 8)
uint8 = DType("uint8", "uint", 8)
int8 = DType("int8", "int", 8)
int16 = DType("int16", "int", 16)
int32 = DType("int32", "int", 32)
int64 = DType("int64", "int", 64)
float16 = DType("float16", "float", 16)
bfloat16 = DType("bfloat16", "float", 16)
float32 = DType("float32", "float", 32)
float64 = DType("float64", "float", 64)

DTYPES: tuple[DType, ...] = (bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64)
BY_NAME: dict[str, DType] = {dtype.name: dtype for dtype in DTYPES}


def accumulator(dtype: DType) -> DType:
    """The type in which sums and products of ``dtype`` are accumulated before they are rounded back."""
    return float32 if dtype in (float16, bfloat16) else dtype


def from_numpy(dtype: numpy.dtype[Any]) -> DType:
    """The lazygrad type of a NumPy dtype; TypeError when there is none."""
    found = BY_NAME.get(numpy.dtype(dtype).name)
    if found is None:
        supported = ", ".join(BY_NAME)
        raise TypeError(f"no lazygrad dtype for NumPy's {dtype}; supported: {supported}")
    return found
