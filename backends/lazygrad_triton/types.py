"""How element types are called in Triton, in a block and in memory.

A bool is ``tl.int1`` in a block and a byte in memory. Half-width floats are converted when they are loaded and
stored, and computed in float32.
"""

from __future__ import annotations

from lazygrad.ir.dtype import (
    DType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)

HALVES = (float16, bfloat16)

_BLOCK = {
    bool_: "tl.int1",
    uint8: "tl.uint8",
    int8: "tl.int8",
    int16: "tl.int16",
    int32: "tl.int32",
    int64: "tl.int64",
    float16: "tl.float16",
    bfloat16: "tl.bfloat16",
    float32: "tl.float32",
    float64: "tl.float64",
}


def block_type(dtype: DType) -> str:
    """The type of a value in a block program."""
    return _BLOCK[dtype]
