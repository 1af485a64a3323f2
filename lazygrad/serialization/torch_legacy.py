"""Reading torch's checkpoint format before 1.6: pickles and storages one behind the other.

    pickle   the magic number
    pickle   the protocol version, 1001
    pickle   {"little_endian": bool, ...} of the machine that wrote it
    pickle   the object; persistent ids name storages by key
    pickle   the list of keys, in the order of what follows
    per key  the number of elements (int64), then the elements, both little-endian

Many published weights are still in this format. The storages come last, so tensors are built as views of
empty storages which are filled afterwards.
"""

import io
import sys
from typing import BinaryIO

import numpy as np

from lazygrad.serialization.dtypes import view_bytes
from lazygrad.serialization.errors import CheckpointError
from lazygrad.serialization.machine import read_pickle
from lazygrad.serialization.rebuild import StorageClass, admitted_globals
from lazygrad.serialization.stored import Array, StoredArray

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
#: A legacy file begins with the magic number as a pickle of protocol 2: PROTO 2, LONG1 of ten bytes.
MAGIC_BYTES = b"\x80\x02\x8a\x0a" + MAGIC_NUMBER.to_bytes(10, "little")
PROTOCOL_VERSION = 1001


def read_torch_legacy(file: BinaryIO, source: str) -> object:
    """The object saved in ``file``, with ``StoredArray`` leaves.

    Raises:
        CheckpointError: the file is damaged or cut off.
        RefusedClassError: its pickle names something other than tensors and plain containers.
    """
    data = file.read()
    stream = io.BytesIO(data)
    storages = _Storages(source, len(data))
    names = admitted_globals(source, swap=sys.byteorder != "little")

    def next_pickle() -> object:
        return read_pickle(stream, names, storages.declare, source)

    magic, version, _system = next_pickle(), next_pickle(), next_pickle()
    if magic != MAGIC_NUMBER or version != PROTOCOL_VERSION:
        raise CheckpointError(
            f"{source}: torch's old format in version {version!r:.40}; only {PROTOCOL_VERSION} is known"
        )
    tree = next_pickle()
    storages.fill(next_pickle(), np.frombuffer(data, np.uint8)[stream.tell() :])
    return tree


class _Storages:
    def __init__(self, source: str, file_size: int) -> None:
        self.source = source
        self.bytes_left = file_size
        self.declared: dict[str, tuple[StorageClass, StoredArray]] = {}

    def declare(self, storage_class: StorageClass, key: str, count: int) -> StoredArray:
        if key not in self.declared:
            self.bytes_left -= count * storage_class.dtype.itemsize
            if self.bytes_left < 0:
                raise self._error(f"storage {key} of {count} elements does not fit into the file")
            self.declared[key] = (storage_class, StoredArray(np.zeros(count, storage_class.dtype)))
        known_class, storage = self.declared[key]
        if known_class != storage_class or count != storage.array.size:
            raise self._error(f"storage {key} is declared twice, in different ways")
        return storage

    def fill(self, keys: object, rest: Array) -> None:
        """Copies the bytes behind the last pickle into the storages, in the order of ``keys``."""
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(self.declared):
            raise self._error("its list of storages does not match its tensors")
        for key in keys:
            storage_class, storage = self.declared[key]
            array = storage.array
            count = int.from_bytes(rest[:8].tobytes(), "little", signed=True)
            if len(rest) < 8 + array.nbytes or count != array.size:
                raise self._error(f"storage {key} is cut off or has a wrong size")
            body = rest[8 : 8 + array.nbytes]
            array[:] = view_bytes(body.copy(), storage_class.dtype, swap=sys.byteorder != "little")
            rest = rest[8 + array.nbytes :]

    def _error(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: {problem}. The file is damaged")
