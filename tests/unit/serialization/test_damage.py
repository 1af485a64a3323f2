"""A cut or changed file is an error of its own kind, or reads as before; it never crashes or hangs."""

import io
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazygrad.serialization import CheckpointError, StoredArray, read_checkpoint, write_checkpoint
from unit.serialization.hostile import archive


def checkpoint() -> bytes:
    file = io.BytesIO()
    tree = OrderedDict(
        weight=StoredArray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        bias=StoredArray(np.ones(2), requires_grad=True, is_parameter=True),
        steps={"epoch": 3, "names": ("a", b"b", None, 1.5), "set": {1, 2}},
    )
    tree._metadata = {"": {"version": 1}}
    write_checkpoint(tree, file)
    return file.getvalue()


def legacy_checkpoint() -> bytes:
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    tree = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.nn.Parameter(torch.ones(2)), "epoch": 3}
    torch.save(tree, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def safetensors_checkpoint() -> bytes:
    numpy_format = pytest.importorskip("safetensors.numpy")
    return numpy_format.save({"weight": np.arange(6, dtype=np.float32), "bias": np.ones(2)})


FILES = pytest.mark.parametrize("make", [checkpoint, legacy_checkpoint, safetensors_checkpoint])


def read_or_refuse(content: bytes) -> object:
    try:
        return read_checkpoint(io.BytesIO(content))
    except CheckpointError:
        return None


@FILES
def test_every_truncation_is_an_error(make):
    content = make()
    for length in range(len(content)):
        with pytest.raises(CheckpointError):
            read_checkpoint(io.BytesIO(content[:length]))


@FILES
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_changed_bytes_never_crash(make, data):
    content = bytearray(make())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(content))


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_changed_pickles_in_sound_archives_never_crash(data):
    with zipfile.ZipFile(io.BytesIO(checkpoint())) as records:
        pickled = bytearray(records.read("archive/data.pkl"))
        storages = {key: records.read(f"archive/data/{key}") for key in ("0", "1")}
    for _ in range(data.draw(st.integers(1, 6))):
        begin = data.draw(st.integers(0, len(pickled) - 1))
        end = data.draw(st.integers(begin, min(begin + 4, len(pickled))))
        pickled[begin:end] = data.draw(st.binary(max_size=4))
    read_or_refuse(archive(bytes(pickled), storages).getvalue())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(list(b"(.0}])lteuasbQRNh\x85\x86\x87\x88\x89\x8f\x90\x93\x94q\x00\x01K")), max_size=40))
def test_random_opcodes_never_crash(opcodes):
    read_or_refuse(archive(b"\x80\x02" + bytes(opcodes) + b".").getvalue())


def test_a_flipped_bit_in_a_weight_is_noticed():
    content = bytearray(checkpoint())
    place = content.index(np.arange(6, dtype=np.float32).tobytes())
    content[place + 4] ^= 1
    with pytest.raises(CheckpointError, match=r"data/0.*CRC"):
        read_checkpoint(io.BytesIO(bytes(content)))
