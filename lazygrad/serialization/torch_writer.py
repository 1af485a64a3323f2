"""Writing torch's zip checkpoint format, see ``torch_zip`` for its records.

The bytes depend on the object alone: no time, no name of the file, no id. Storages begin at multiples of 64
bytes, so that torch.load(mmap=True) maps them aligned.
"""

import sys
import zipfile
from typing import BinaryIO

import numpy as np

from lazygrad.serialization.pickle_writer import write_pickle
from lazygrad.serialization.stored import Array

#: torch's own alignment of a storage, and its name for the archive's top folder where it knows no better.
ALIGNMENT = 64
FOLDER = "archive"

#: The version of the archive format that torch writes.
FORMAT_VERSION = b"3\n"

_LOCAL_HEADER_BYTES = 30
_EXTRA_HEADER_BYTES = 4
#: The id of the padding field that torch writes into a local header ("FB").
_PADDING_ID = b"FB"


def write_torch_zip(tree: object, file: BinaryIO, source: str) -> None:
    """Writes ``tree`` (see ``write_pickle`` for what it may hold) as torch.save would.

    Raises:
        CheckpointError: the tree holds something that a checkpoint cannot; nothing has been written then.
    """
    data, storages = write_pickle(tree, source)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, file, "data.pkl", data)
        _add(archive, file, "byteorder", sys.byteorder.encode())
        for key, storage in enumerate(storages):
            _add(archive, file, f"data/{key}", _bytes_of(storage))
        _add(archive, file, "version", FORMAT_VERSION)


def _add(archive: zipfile.ZipFile, file: BinaryIO, name: str, content: bytes | memoryview) -> None:
    record = zipfile.ZipInfo(f"{FOLDER}/{name}")
    begin = file.tell() + _LOCAL_HEADER_BYTES + len(record.filename) + _EXTRA_HEADER_BYTES
    padding = -begin % ALIGNMENT
    record.extra = _PADDING_ID + padding.to_bytes(2, "little") + b"Z" * padding
    archive.writestr(record, content)


def _bytes_of(storage: Array) -> memoryview:
    return storage.reshape(-1).view(np.uint8).data
