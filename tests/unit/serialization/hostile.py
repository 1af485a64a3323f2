"""Checkpoint files made by hand, for the tests of refusal."""

import io
import zipfile
from collections.abc import Mapping


def archive(pickle_bytes: bytes, storages: Mapping[str, bytes] | None = None, **extra: bytes) -> io.BytesIO:
    """A zip checkpoint with this pickle and these storages by key; ``extra`` are more records."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as records:
        records.writestr("archive/data.pkl", pickle_bytes)
        for key, content in (storages or {}).items():
            records.writestr(f"archive/data/{key}", content)
        for name, content in extra.items():
            records.writestr(f"archive/{name}", content)
    return file


def text(value: str) -> bytes:
    """The opcode that pushes ``value``."""
    encoded = value.encode()
    return b"X" + len(encoded).to_bytes(4, "little") + encoded


def integer(value: int) -> bytes:
    """The opcode that pushes ``value``, of any size up to 255 bytes."""
    encoded = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(encoded)]) + encoded


def integers(*values: int) -> bytes:
    """The opcodes that push a tuple."""
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(key: str = "0", count: int = 4, kind: str = "FloatStorage") -> bytes:
    """The opcodes that push a storage."""
    return b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + integer(count) + b"tQ"


def tensor(size: bytes, stride: bytes, offset: bytes = integer(0), base: bytes = storage()) -> bytes:
    """A pickle of one tensor; arguments are opcodes."""
    arguments = b"(" + base + offset + size + stride + b"\x89ccollections\nOrderedDict\n)Rt"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R."
