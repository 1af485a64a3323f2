"""The element types of checkpoints: torch's names, torch's storage classes, NumPy's dtypes.

torch names an element type twice: old types by the class of the storage ("FloatStorage"), types added
since 2.3 by a dtype object beside an untyped storage of bytes. NumPy's names (with ml_dtypes for bfloat16
and the 8-bit floats) are torch's names throughout.
"""

from typing import Any

import ml_dtypes
import numpy as np

from lazygrad.serialization.stored import Array

#: torch's storage class for each element type that has one.
STORAGE_CLASSES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
    "ComplexFloatStorage": np.dtype(np.complex64),
    "ComplexDoubleStorage": np.dtype(np.complex128),
}

_WITHOUT_STORAGE_CLASS = (
    np.dtype(np.uint16),
    np.dtype(np.uint32),
    np.dtype(np.uint64),
    np.dtype(ml_dtypes.float8_e4m3fn),
    np.dtype(ml_dtypes.float8_e4m3fnuz),
    np.dtype(ml_dtypes.float8_e5m2),
    np.dtype(ml_dtypes.float8_e5m2fnuz),
)

#: Every element type a checkpoint may hold, by torch's name.
DTYPES: dict[str, np.dtype[Any]] = {dtype.name: dtype for dtype in (*STORAGE_CLASSES.values(), *_WITHOUT_STORAGE_CLASS)}

#: The storage class to write for each element type that has one.
STORAGE_CLASS_OF: dict[str, str] = {dtype.name: name for name, dtype in STORAGE_CLASSES.items()}


def view_bytes(raw: Array, dtype: np.dtype[Any], swap: bool) -> Array:
    """The bytes ``raw`` (uint8, 1-d, whole elements) as elements of ``dtype``.

    Args:
        raw: the storage's bytes.
        dtype: one of ``DTYPES``.
        swap: True where the file's byte order is not this machine's.

    >>> import numpy as np
    >>> view_bytes(np.array([0, 0, 128, 63], dtype=np.uint8), np.dtype(np.float32), swap=False)
    array([1.], dtype=float32)
    """
    if dtype == np.bool_:
        # A NumPy bool whose byte is neither 0 nor 1 misbehaves, and a file can hold any byte.
        return np.not_equal(raw, 0)
    if swap:
        # A complex number swaps in each of its halves. ml_dtypes has no byte orders, so swap as integers.
        width = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
        raw = raw.view(np.dtype(f"u{width}")).byteswap().view(np.uint8)
    return raw.view(dtype)
