"""Saving tensors to files and reading them back, in the formats of torch and safetensors.

``save`` and ``load`` are torch's functions of these names. They are a thin layer over ``read_checkpoint`` and
``write_checkpoint``, which know files and NumPy arrays and no Tensor. Whatever a file holds, loading it
executes nothing: a torch file may name only the few classes that a state dict needs, and any other is refused
by name.
"""

from typing import Any

import lazygrad
from lazygrad.ir.dtype import BY_NAME, DType
from lazygrad.serialization.checkpoint import File, read_checkpoint, write_checkpoint
from lazygrad.serialization.errors import CheckpointError, RefusedClassError
from lazygrad.serialization.stored import StoredArray, StoredDtype
from lazygrad.serialization.tree import convert_tree

__all__ = [
    "CheckpointError",
    "RefusedClassError",
    "StoredArray",
    "StoredDtype",
    "load",
    "read_checkpoint",
    "save",
    "write_checkpoint",
]


def save(obj: object, f: File) -> None:
    """Writes an object of tensors and plain values to a file that ``torch.load`` reads as well.

    Args:
        obj: nested dicts, lists, tuples and sets of tensors, dtypes, strings, bytes and numbers; a
            module's ``state_dict()`` as a rule. Under a name ending in ``.safetensors``: a dict of tensors.
        f: a path, replaced atomically, or an open binary file.

    Tensors are written in row-major order. One tensor under two names is stored once.

    Raises:
        CheckpointError: ``obj`` holds something that a checkpoint cannot.
    """
    write_checkpoint(convert_tree(obj, _to_stored, str(f)), f)


def load(f: File, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Reads what ``save``, ``torch.save`` or the safetensors library has written.

    Args:
        f: a path, or an open binary file that can seek.
        map_location: the device for the tensors; None is the default device. The device that a file
            mentions is not looked at.
        weights_only: torch's name for loading without executing; True is the only way here.

    Raises:
        CheckpointError: the file is damaged or of no known format.
        RefusedClassError: the file names a class outside tensors and plain containers.
        ValueError: ``weights_only`` is False.
    """
    if not weights_only:
        raise ValueError(
            "lazygrad.load executes nothing from a file, so weights_only=False is not available; "
            "leave it out, and save state_dict()s rather than whole modules"
        )

    def to_tensor(leaf: object) -> object:
        if isinstance(leaf, StoredDtype):
            return _dtype(leaf.name, str(f))
        if not isinstance(leaf, StoredArray):
            return leaf
        _dtype(leaf.dtype, str(f))
        tensor = lazygrad.from_numpy(leaf.array)
        if map_location is not None:
            tensor = tensor.to(map_location)
        if leaf.is_parameter:
            return lazygrad.nn.Parameter(tensor, requires_grad=leaf.requires_grad)
        return tensor.requires_grad_(leaf.requires_grad)

    return convert_tree(read_checkpoint(f), to_tensor, str(f))


def _to_stored(leaf: object) -> object:
    if isinstance(leaf, lazygrad.Tensor):
        is_parameter = isinstance(leaf, lazygrad.nn.Parameter)
        return StoredArray(leaf.detach().numpy(), leaf.requires_grad, is_parameter)
    if isinstance(leaf, DType):
        return StoredDtype(leaf.name)
    return leaf


def _dtype(name: str, source: str) -> DType:
    if name not in BY_NAME:
        raise CheckpointError(
            f"{source}: it holds {name}, which lazygrad has no dtype for; "
            f"lazygrad.serialization.read_checkpoint returns such a tensor as a NumPy array"
        )
    return BY_NAME[name]
