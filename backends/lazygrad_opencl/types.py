"""How element types are called in OpenCL C: in memory, in a register, as a vector of lanes.

A bool is a ``uchar`` in memory, an ``int`` of 0 or 1 as one value, and a vector of 0 or -1 (what a comparison
of vectors gives) as lanes. float16 and bfloat16 are their bits (``ushort``) until they are converted to float.
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

LANE_COUNTS = (2, 4, 8, 16)
LANE_NAMES = "0123456789abcdef"

_MEMORY = {
    bool_: "uchar",
    uint8: "uchar",
    int8: "char",
    int16: "short",
    int32: "int",
    int64: "long",
    float16: "ushort",
    bfloat16: "ushort",
    float32: "float",
    float64: "double",
}
UNSIGNED = {int8: "uchar", int16: "ushort", int32: "uint", int64: "ulong", uint8: "uchar"}
MASKS = {8: "char", 16: "short", 32: "int", 64: "long"}


def memory_type(dtype: DType) -> str:
    """The type of an element in a buffer."""
    return _MEMORY[dtype]


def register_type(dtype: DType, lanes: int = 1, bits: int = 0) -> str:
    """The type of a value; ``bits`` is the width of a wide bool's elements."""
    if dtype is bool_:
        return f"{MASKS[bits]}{lanes}" if lanes > 1 else "int"
    return f"{_MEMORY[dtype]}{lanes}" if lanes > 1 else _MEMORY[dtype]


def argument_type(dtype: DType) -> str:
    """The type of a scalar argument: half-width floats are passed as float."""
    return "float" if dtype in (float16, bfloat16) else memory_type(dtype)
