"""Reading and writing the safetensors format, through the library of that name.

A safetensors file is a flat dict of tensors and nothing else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from lazygrad.serialization.dtypes import DTYPES
from lazygrad.serialization.errors import CheckpointError
from lazygrad.serialization.stored import Array, StoredArray

_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
    "C64": np.dtype(np.complex64),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}


def read_safetensors(file: BinaryIO, source: str) -> dict[str, StoredArray]:
    """The tensors of ``file`` by name.

    Raises:
        CheckpointError: the file is damaged, or of a dtype that has no NumPy type.
    """
    try:
        tensors = safetensors.deserialize(file.read())  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{source}: the safetensors file is damaged or cut off ({error})") from error
    result = {}
    for name, tensor in tensors:
        if tensor["dtype"] not in _DTYPES:
            raise CheckpointError(f"{source}: {name} has the dtype {tensor['dtype']}, which lazygrad lacks")
        array = np.frombuffer(bytearray(tensor["data"]), _DTYPES[tensor["dtype"]])
        result[name] = StoredArray(array.reshape(tensor["shape"]))
    return result


def write_safetensors(tree: object, path: Path, source: str) -> None:
    """Writes a dict of names to ``StoredArray``, the only object this format knows, to ``path``.

    ``source`` is the name for messages.

    Raises:
        CheckpointError: ``tree`` is anything else.
    """
    safetensors.numpy.save_file(_flat_arrays(tree, source), path)


def _flat_arrays(tree: object, source: str) -> dict[str, Array]:
    if not isinstance(tree, Mapping):
        raise CheckpointError(f"{source}: a safetensors file holds a dict of tensors, not a {type(tree).__name__}")
    arrays: dict[str, Array] = {}
    for name, value in tree.items():
        if not isinstance(name, str) or not isinstance(value, StoredArray):
            raise CheckpointError(
                f"{source}: a safetensors file holds names and tensors only, but {name!r} is a "
                f"{type(value).__name__}; save such an object under a name that ends in .pt"
            )
        if value.dtype not in DTYPES:
            raise CheckpointError(f"{source}: cannot save an array of {value.dtype}")
        arrays[name] = np.asarray(value.array, order="C")
    return arrays
