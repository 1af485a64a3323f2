"""torch's promotion rules as a table. In: the dtypes and ranks that meet in one operation. Out: the result's dtype."""

from __future__ import annotations

from collections.abc import Iterable

from lazygrad.ir.dtype import DTYPES, DType, bool_, float32, int64

# Row and column in the order of DTYPES: b1 u1 i1 i2 i4 i8 f2 bf f4 f8 (the symmetric table torch documents).
_b1, _u1, _i1, _i2, _i4, _i8, _f2, _bf, _f4, _f8 = DTYPES
_TABLE: tuple[tuple[DType, ...], ...] = (
    (_b1, _u1, _i1, _i2, _i4, _i8, _f2, _bf, _f4, _f8),
    (_u1, _u1, _i2, _i2, _i4, _i8, _f2, _bf, _f4, _f8),
    (_i1, _i2, _i1, _i2, _i4, _i8, _f2, _bf, _f4, _f8),
    (_i2, _i2, _i2, _i2, _i4, _i8, _f2, _bf, _f4, _f8),
    (_i4, _i4, _i4, _i4, _i4, _i8, _f2, _bf, _f4, _f8),
    (_i8, _i8, _i8, _i8, _i8, _i8, _f2, _bf, _f4, _f8),
    (_f2, _f2, _f2, _f2, _f2, _f2, _f2, _f4, _f4, _f8),
    (_bf, _bf, _bf, _bf, _bf, _bf, _f4, _bf, _f4, _f8),
    (_f4, _f4, _f4, _f4, _f4, _f4, _f4, _f4, _f4, _f8),
    (_f8, _f8, _f8, _f8, _f8, _f8, _f8, _f8, _f8, _f8),
)
_PROMOTE: dict[tuple[DType, DType], DType] = {
    (row, column): _TABLE[i][j] for i, row in enumerate(DTYPES) for j, column in enumerate(DTYPES)
}

# A weak operand (a Python scalar, or a 0-dimensional tensor beside one with dimensions) decides only
# when its category is higher than that of every stronger operand.
CATEGORY = {"bool": 0, "uint": 1, "int": 1, "float": 2}


def promote(a: DType, b: DType) -> DType:
    """The dtype in which two tensors with dimensions meet.

    >>> from lazygrad.ir.dtype import uint8, int8
    >>> promote(uint8, int8)
    lazygrad.int16
    """
    return _PROMOTE[a, b]


def scalar_dtype(value: bool | int | float) -> DType:
    """The dtype a Python scalar has when it stands alone: bool, int64 or float32."""
    if isinstance(value, bool):
        return bool_
    return int64 if isinstance(value, int) else float32


def result_type(
    tensors: Iterable[DType] = (), zero_dimensional: Iterable[DType] = (), scalars: Iterable[bool | int | float] = ()
) -> DType:
    """The common dtype of tensors with dimensions, 0-dimensional tensors and Python scalars, in falling strength."""
    result: DType | None = None
    for group in (tensors, zero_dimensional, (scalar_dtype(scalar) for scalar in scalars)):
        within: DType | None = None
        for dtype in group:
            within = dtype if within is None else _PROMOTE[within, dtype]
        if within is None:
            continue
        if result is None or CATEGORY[within.kind] > CATEGORY[result.kind]:
            result = within
    if result is None:
        raise ValueError("result_type needs at least one operand")
    return result
