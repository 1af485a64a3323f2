"""Checkpoint files of every known format, as nested containers of ``StoredArray``.

The format of a file is told by its first bytes, never by its name; the name chooses only what is written
(``.safetensors``, anything else is torch's zip format). A file appears under its name complete or not at all.
"""

import os
import secrets
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from lazygrad.serialization.errors import CheckpointError
from lazygrad.serialization.safetensors_file import read_safetensors, write_safetensors
from lazygrad.serialization.stored import StoredArray, StoredDtype
from lazygrad.serialization.torch_legacy import MAGIC_BYTES, read_torch_legacy
from lazygrad.serialization.torch_writer import write_torch_zip
from lazygrad.serialization.torch_zip import read_torch_zip
from lazygrad.serialization.tree import convert_tree

#: A file by its path, or an open binary file.
File = str | os.PathLike[str] | BinaryIO

_SAFETENSORS_SUFFIX = ".safetensors"
#: The safetensors library's own bound on the JSON header.
_SAFETENSORS_MAX_HEADER = 100_000_000
_TAR_MAGIC_AT = 257
_LONGEST_SIGNATURE = _TAR_MAGIC_AT + len(b"ustar")

_PLAIN = (bool, int, float, str, bytes, set, type(None), StoredArray, StoredDtype)


def read_checkpoint(file: File) -> object:
    """The object saved in ``file``, with a ``StoredArray`` for each tensor.

    Reads torch's zip and older formats and safetensors. Nothing of the file is executed.

    Args:
        file: a path, or a binary file that can seek.

    Raises:
        CheckpointError: the file is damaged, cut off or of no known format.
        RefusedClassError: a torch file names classes other than tensors and plain containers.
        OSError: the file cannot be opened.

    >>> import io, numpy
    >>> buffer = io.BytesIO()
    >>> write_checkpoint({"bias": StoredArray(numpy.zeros(2, "float32")), "epoch": 3}, buffer)
    >>> tree = read_checkpoint(buffer)
    >>> tree["bias"].array, tree["epoch"]
    (array([0., 0.], dtype=float32), 3)
    """
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as opened:
            return _read(opened, os.fspath(file))
    return _read(file, _name_of(file))


def write_checkpoint(tree: object, file: File) -> None:
    """Writes ``tree`` to ``file``: as safetensors under a name that ends so, otherwise as torch.save does.

    Args:
        tree: nested dict, OrderedDict, list, tuple, set, str, bytes, bool, int, float, None, ``StoredDtype``
            and ``StoredArray``; for safetensors a dict of str to ``StoredArray``.
        file: a path, replaced atomically, or an open binary file, which gets torch's format.

    Raises:
        CheckpointError: ``tree`` holds something else, or contains itself.
        OSError: the file cannot be written.
    """
    if isinstance(file, str | os.PathLike):
        _write_path(tree, Path(file))
    else:
        write_torch_zip(convert_tree(tree, _unchanged, _name_of(file)), file, _name_of(file))


def _read(file: BinaryIO, source: str) -> object:
    file.seek(0)
    head = file.read(_LONGEST_SIGNATURE)
    file.seek(0)
    return convert_tree(_reader_for(head, source)(file, source), _only_plain(source), source)


def _reader_for(head: bytes, source: str) -> Callable[[BinaryIO, str], object]:
    if head.startswith(b"PK\x03\x04"):
        return read_torch_zip
    if head.startswith(MAGIC_BYTES):
        return read_torch_legacy
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= _SAFETENSORS_MAX_HEADER:
        return read_safetensors
    raise CheckpointError(f"{source}: {_what_instead(head)}. lazygrad reads files of torch.save and safetensors")


def _what_instead(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if head[_TAR_MAGIC_AT:] == b"ustar":
        return "a tar archive as torch wrote before 0.1.10; open it in PyTorch and save it again"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself; run: git lfs pull"
    if head.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return "a web page; the download went to a wrong address"
    if head.startswith(b"\x80"):
        return "a plain Python pickle, which could run code when loaded and is refused"
    return f"an unknown format (it begins with {head[:8]!r})"


def _only_plain(source: str) -> Callable[[object], object]:
    def check(leaf: object) -> object:
        if not isinstance(leaf, _PLAIN):
            raise CheckpointError(f"{source}: it holds a bare {type(leaf).__name__}; save only state_dict()s")
        return leaf

    return check


def _unchanged(leaf: object) -> object:
    return leaf


def _write_path(tree: object, path: Path) -> None:
    tree = convert_tree(tree, _unchanged, str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if path.suffix == _SAFETENSORS_SUFFIX:
            write_safetensors(tree, temporary, str(path))
        else:
            with open(temporary, "xb") as file:
                write_torch_zip(tree, file, str(path))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _name_of(file: BinaryIO) -> str:
    return str(getattr(file, "name", "<binary file>"))
