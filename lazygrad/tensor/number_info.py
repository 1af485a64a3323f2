"""What can be asked about dtypes and tensors: limits of number formats, sizes, kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lazygrad.ir.dtype import DType, float32

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


@dataclass(frozen=True, init=False)
class finfo:  # noqa: N801, torch's name
    """The limits of a float dtype.

    >>> finfo().eps, finfo(float32).bits
    (1.1920928955078125e-07, 32)
    """

    dtype: str
    bits: int
    eps: float
    max: float
    min: float
    tiny: float
    smallest_normal: float
    resolution: float

    def __init__(self, type: DType = float32) -> None:
        if not type.is_float:
            raise TypeError(f"torch.finfo() requires a floating point input type. Use iinfo to handle '{type.name}'")
        import ml_dtypes

        limits = ml_dtypes.finfo(type.numpy)  # type: ignore[no-untyped-call]
        values = {
            "dtype": type.name,
            "bits": type.bits,
            "eps": float(limits.eps),
            "max": float(limits.max),
            "min": float(limits.min),
            "tiny": float(limits.tiny),
            "smallest_normal": float(limits.smallest_normal),
            "resolution": float(limits.resolution),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, init=False)
class iinfo:  # noqa: N801, torch's name
    """The limits of an integer dtype.

    >>> import lazygrad as lg
    >>> lg.iinfo(lg.int8).min, lg.iinfo(lg.int8).max
    (-128, 127)
    """

    dtype: str
    bits: int
    max: int
    min: int

    def __init__(self, type: DType) -> None:
        if not type.is_integer:
            raise TypeError(f"torch.iinfo() requires an integer input type. Use finfo to handle '{type.name}'")
        for name, value in {
            "dtype": type.name,
            "bits": type.bits,
            "max": type.maximum,
            "min": type.minimum,
        }.items():
            object.__setattr__(self, name, value)


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements of ``input`` are floats."""
    return input.is_floating_point()


def numel(input: Tensor) -> int:
    """The number of elements of ``input``."""
    return input.numel()
