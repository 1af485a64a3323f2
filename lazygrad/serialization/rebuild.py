"""What the names in a torch pickle stand for.

A pickle asks for classes and functions by name and calls them. Here each name a state dict needs is a plain
value or one small checking function of our own, and no other name exists: nothing is imported on behalf of a
file. ``admitted_globals`` is the complete list.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.serialization.dtypes import DTYPES, STORAGE_CLASSES, view_bytes
from lazygrad.serialization.errors import CheckpointError
from lazygrad.serialization.stored import Array, StoredArray, StoredDtype
from lazygrad.serialization.tree import is_plain_key

#: A stride of 0 lets a four-byte storage declare a tensor of any size; what is bigger than its own storage
#: may be this big at most, which is far above any broadcast tensor that somebody would keep in a checkpoint.
MAX_EXPANDED_BYTES = 2**30

#: NumPy 2 arrays have at most this many dimensions.
MAX_DIMENSIONS = 64


@dataclass(frozen=True)
class AdmittedCall:
    """A name that a pickle may call, and what the call does here."""

    name: str
    call: Callable[..., object]


@dataclass(frozen=True)
class StorageClass:
    """A torch storage class: the element type of the bytes that a persistent id points at."""

    name: str
    dtype: np.dtype[Any]


def admitted_globals(source: str, swap: bool) -> Mapping[tuple[str, str], object]:
    """Everything a pickle may name, by (module, name).

    Args:
        source: the file's name, for messages.
        swap: True where the file's byte order is not this machine's.
    """
    rebuild = _Rebuild(source, swap)
    calls: dict[tuple[str, str], Callable[..., object]] = {
        ("collections", "OrderedDict"): rebuild.ordered_dict,
        ("builtins", "set"): rebuild.make_set,
        ("__builtin__", "set"): rebuild.make_set,
        ("_codecs", "encode"): rebuild.encoded_bytes,
        ("torch", "Size"): rebuild.size,
        ("torch._utils", "_rebuild_tensor"): rebuild.tensor,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild.tensor,
        ("torch._utils", "_rebuild_tensor_v3"): rebuild.tensor_with_dtype,
        ("torch._utils", "_rebuild_parameter"): rebuild.parameter,
    }
    names: dict[tuple[str, str], object] = {key: AdmittedCall(".".join(key), call) for key, call in calls.items()}
    for name, dtype in STORAGE_CLASSES.items():
        names["torch", name] = names["torch.cuda", name] = StorageClass(name, dtype)
    untyped = StorageClass("UntypedStorage", np.dtype(np.uint8))
    names["torch", "UntypedStorage"] = names["torch.storage", "UntypedStorage"] = untyped
    for name in DTYPES:
        names["torch", name] = StoredDtype(name)
    return names


class _Rebuild:
    """The admitted calls. Arguments come from the file and are checked before anything is made of them."""

    def __init__(self, source: str, swap: bool) -> None:
        self.source = source
        self.swap = swap

    def ordered_dict(self, pairs: object = ()) -> OrderedDict[Any, object]:
        if not isinstance(pairs, list | tuple):
            raise self._error(f"an OrderedDict is built from a {type(pairs).__name__}")
        result: OrderedDict[Any, object] = OrderedDict()
        for pair in pairs:
            if not (isinstance(pair, list | tuple) and len(pair) == 2 and is_plain_key(pair[0])):
                raise self._error("an OrderedDict is built from something other than (key, value) pairs")
            result[pair[0]] = pair[1]
        return result

    def make_set(self, members: object) -> set[Any]:
        if not (isinstance(members, list | tuple) and all(map(is_plain_key, members))):
            raise self._error("a set holds something other than strings and numbers")
        return set(members)

    def encoded_bytes(self, text: object, encoding: object) -> bytes:
        # Protocol 2 has no opcode for bytes, so pickle spells them as text in latin-1.
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise self._error("bytes are spelled in another way than Python's pickle does")
        return text.encode("latin-1")

    def size(self, extents: object) -> tuple[int, ...]:
        return self._integers("torch.Size", extents)

    def tensor(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        requires_grad: object = False,
        _backward_hooks: object = None,
        metadata: object = None,
    ) -> StoredArray:
        if not isinstance(storage, StoredArray) or not _is_whole(storage.array):
            raise self._error(f"a tensor is built on a {type(storage).__name__}, not on a storage")
        if metadata:
            raise self._error(f"a tensor has the state {metadata!r}; resolve_conj() and resolve_neg() it first")
        if not isinstance(offset, int) or offset < 0:
            raise self._error(f"a tensor begins at the offset {offset!r} of its storage")
        shape = self._integers("a tensor's size", size)
        steps = self._integers("a tensor's stride", stride)
        return StoredArray(self._view(storage.array, offset, shape, steps), bool(requires_grad))

    def tensor_with_dtype(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        requires_grad: object,
        backward_hooks: object,
        dtype: object,
        metadata: object = None,
    ) -> StoredArray:
        if not isinstance(dtype, StoredDtype) or not isinstance(storage, StoredArray):
            raise self._error("a tensor of a newer dtype lacks its dtype or its storage")
        element = DTYPES[dtype.name]
        raw = storage.array
        if raw.dtype != np.uint8 or not _is_whole(raw) or len(raw) % element.itemsize:
            raise self._error(f"a tensor of {dtype.name} does not lie on whole elements of an untyped storage")
        typed = StoredArray(view_bytes(raw, element, self.swap))
        return self.tensor(typed, offset, size, stride, requires_grad, backward_hooks, metadata)

    def parameter(self, data: object, requires_grad: object, _backward_hooks: object) -> StoredArray:
        if not isinstance(data, StoredArray):
            raise self._error(f"a parameter is built on a {type(data).__name__}, not on a tensor")
        return StoredArray(data.array, bool(requires_grad), is_parameter=True)

    def _view(self, storage: Array, offset: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Array:
        if len(shape) != len(steps) or len(shape) > MAX_DIMENSIONS:
            raise self._error(f"a tensor has the size {shape} and the stride {steps}")
        # NumPy counts an extent of 0 as 1 when it asks whether a shape is too big, and so does this.
        if math.prod(max(n, 1) for n in shape) * storage.itemsize > max(MAX_EXPANDED_BYTES, storage.nbytes):
            raise self._error(
                f"a tensor of size {shape} is far bigger than its storage of {len(storage)} elements; "
                f"save an expanded tensor as what it was expanded from"
            )
        if 0 in shape:
            return np.zeros(shape, storage.dtype)
        if offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) >= len(storage):
            raise self._error(
                f"a tensor of size {shape}, stride {steps}, offset {offset} reaches past its storage "
                f"of {len(storage)} elements"
            )
        # The stride of an extent of 1 is never used, and a file may put any number there.
        strides = tuple(step * storage.itemsize if n > 1 else 0 for n, step in zip(shape, steps, strict=True))
        # The buffer goes in as bytes because the buffer protocol does not know the types of ml_dtypes.
        buffer = storage.view(np.uint8)
        return np.ndarray(shape, storage.dtype, buffer, offset * storage.itemsize, strides)

    def _integers(self, what: str, values: object) -> tuple[int, ...]:
        if not isinstance(values, list | tuple) or not all(isinstance(n, int) and n >= 0 for n in values):
            raise self._error(f"{what} is {values!r}, not a tuple of non-negative integers")
        return tuple(values)

    def _error(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: {problem}. The file is damaged or was made by hand")


def _is_whole(array: Array) -> bool:
    """Whether ``array`` can be a storage: 1-d and without gaps, so that its length bounds every view."""
    return array.ndim == 1 and array.flags.c_contiguous
