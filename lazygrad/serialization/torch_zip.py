"""Reading torch's checkpoint format since 1.6: a zip archive of one pickle and its storages.

    name/data.pkl     the object, with each tensor as a view of a storage named by a key
    name/data/KEY     the bytes of one storage
    name/byteorder    "little" or "big"; little where it is absent

Records are looked up in the archive's directory and read into memory. Nothing is unpacked to disk, so a
record's name can do no harm. torch stores records uncompressed, and that is demanded here: then no archive
expands to more than its own size.
"""

import io
import struct
import sys
import zipfile
from typing import BinaryIO

import numpy as np

from lazygrad.serialization.dtypes import view_bytes
from lazygrad.serialization.errors import CheckpointError
from lazygrad.serialization.machine import read_pickle
from lazygrad.serialization.rebuild import StorageClass, admitted_globals
from lazygrad.serialization.stored import Array, StoredArray

#: What zipfile raises for damaged archives of all kinds.
_DAMAGE = (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, OverflowError, struct.error)
_CHUNK_BYTES = 1 << 20


def read_torch_zip(file: BinaryIO, source: str) -> object:
    """The object saved in ``file``, with ``StoredArray`` leaves.

    Raises:
        CheckpointError: the archive is damaged, cut off, compressed, or no checkpoint of torch.
        RefusedClassError: its pickle names something other than tensors and plain containers.
    """
    archive = _Archive(file, source)
    if archive.has("constants.pkl"):
        raise CheckpointError(
            f"{source}: this is a TorchScript program, not a checkpoint. Save its weights instead: "
            f"torch.save(torch.jit.load(file).state_dict(), new_file)"
        )
    swap = archive.byte_order() != sys.byteorder
    storages: dict[str, Array] = {}
    typed: dict[tuple[str, str], StoredArray] = {}

    def load_storage(storage_class: StorageClass, key: str, count: int) -> StoredArray:
        if key not in storages:
            storages[key] = archive.read(f"data/{key}")
        raw = storages[key]
        if count * storage_class.dtype.itemsize != len(raw):
            raise CheckpointError(
                f"{source}: storage {key} is declared as {count} elements of {storage_class.dtype.name}, "
                f"but its record has {len(raw)} bytes. The file is damaged"
            )
        identity = (key, storage_class.name)
        if identity not in typed:
            typed[identity] = StoredArray(view_bytes(raw, storage_class.dtype, swap))
        return typed[identity]

    pickle_bytes = io.BytesIO(archive.read("data.pkl").tobytes())
    return read_pickle(pickle_bytes, admitted_globals(source, swap), load_storage, source)


class _Archive:
    """The records of a torch zip file by their names inside its one top folder."""

    def __init__(self, file: BinaryIO, source: str) -> None:
        self.source = source
        try:
            self.size = file.seek(0, io.SEEK_END)
            self.zip = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise self._error(f"the zip archive is damaged or cut off ({error})") from error
        self.records = {record.filename: record for record in self.zip.infolist()}
        if len(self.records) != len(self.zip.infolist()):
            raise self._error("the zip archive holds two records of one name")
        for name, record in self.records.items():
            if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
                raise self._error(f"the record {name!r} is compressed, which torch never does; save the file again")
        if sum(record.file_size for record in self.records.values()) > self.size:
            raise self._error("the records of the zip archive are bigger than the file")
        pickles = [name for name in self.records if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise self._error(
                f"a zip archive with {len(pickles)} data.pkl records; a file of torch.save has exactly one"
            )
        self.folder = pickles[0].removesuffix("data.pkl")

    def has(self, name: str) -> bool:
        return self.folder + name in self.records

    def byte_order(self) -> str:
        order = self.read("byteorder").tobytes().decode("latin-1") if self.has("byteorder") else "little"
        if order not in ("little", "big"):
            raise self._error(f"its byte order is {order!r}, not 'little' or 'big'")
        return order

    def read(self, name: str) -> Array:
        """The bytes of a record as a writable uint8 array."""
        record = self.records.get(self.folder + name)
        if record is None:
            raise self._error(f"the record {name!r} is missing")
        try:
            with self.zip.open(record) as stream:
                raw = np.zeros(record.file_size, np.uint8)
                filled = 0
                while chunk := stream.read(_CHUNK_BYTES):
                    raw[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
                    filled += len(chunk)
        except _DAMAGE as error:
            raise self._error(f"the record {name!r} is damaged or cut off ({error})") from error
        if filled != record.file_size:
            raise self._error(f"the record {name!r} is cut off")
        return raw

    def _error(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: {problem}")
