"""Nothing in a checkpoint is executed, whatever it says, and what is refused is named."""

import functools
import io
import os
import pickle
import re
import subprocess
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from lazygrad.serialization import CheckpointError, RefusedClassError, read_checkpoint
from unit.serialization.hostile import archive, integer, integers, storage, tensor, text

FLOATS = {"0": np.arange(4, dtype="<f4").tobytes()}


class Calls:
    """Pickles as a call of ``function(*arguments)``."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class HasState:
    """Pickles as an instance whose attributes come from the file."""


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Calls(os.system, "touch harm"), r"(posix|nt)\.system"),
        (Calls(eval, "open('harm', 'w')"), r"(builtins|__builtin__)\.eval"),
        (Calls(exec, "open('harm', 'w')"), r"(builtins|__builtin__)\.exec"),
        (Calls(__import__, "os"), r"(builtins|__builtin__)\.__import__"),
        (Calls(open, "harm", "w"), r"_?io\.open"),
        (Calls(functools.partial, print), r"functools\.partial"),
        (Calls(subprocess.Popen, ["touch", "harm"]), r"(subprocess|commands)\.Popen"),
    ],
)
def test_calls_are_refused_by_name(call, name, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RefusedClassError, match=f"names {name}, which") as caught:
        read_checkpoint(archive(pickle.dumps(call, protocol)))
    assert re.fullmatch(name, caught.value.refused)
    assert isinstance(caught.value, pickle.UnpicklingError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrap", [lambda e: {"a": [({"b": e},)]}, lambda e: OrderedDict(x=e), lambda e: [1] * 50 + [e]])
def test_nested_calls_are_refused(wrap):
    with pytest.raises(RefusedClassError, match=r"system"):
        read_checkpoint(archive(pickle.dumps(wrap(Calls(os.system, "true")), 2)))


def test_message_names_file_class_and_remedy(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(archive(pickle.dumps(HasState(), 2)).getvalue())
    with pytest.raises(RefusedClassError, match=r"weights\.pth: .*test_refusal\.HasState.*refuses.*torch\.save\("):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "module_and_name",
    [
        "torch\nload",
        "torch.serialization\n_load",
        "torch._utils\n_rebuild_tensor_v2.__globals__",
        "torch._utils\n__builtins__",
        "collections\nOrderedDict.fromkeys",
        "lazygrad.serialization.rebuild\nadmitted_globals",
        "torch\nfloat32.__class__",
        "builtins\ngetattr",
        "operator\nattrgetter",
        "torch.jit\n_script",
    ],
)
def test_roads_around_the_list_are_closed(module_and_name):
    with pytest.raises(RefusedClassError, match=module_and_name.split("\n")[1].replace(".", r"\.")):
        read_checkpoint(archive(b"\x80\x02c" + module_and_name.encode() + b"\n)R."))


def test_legacy_files_are_guarded_as_well():
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, Calls(os.system, "true"), []]
    with pytest.raises(RefusedClassError, match="system"):
        read_checkpoint(io.BytesIO(b"".join(pickle.dumps(part, 2) for part in parts)))


def test_stack_global_built_from_parts():
    with pytest.raises(RefusedClassError, match=r"os\.system"):
        read_checkpoint(archive(b"\x80\x04" + text("os") + text("system") + b"\x93" + text("true") + b"\x85R."))


STATE = b"\x80\x02c%s\n)R}(" + text("keys") + b"K\x01" + text("_metadata") + b"}ub."


def test_build_sets_nothing_but_module_versions():
    result = read_checkpoint(archive(STATE % b"collections\nOrderedDict"))
    assert vars(result) == {"_metadata": {}}


@pytest.mark.parametrize(
    ("opcodes", "expected"),
    [
        (b"ctorch._utils\n_rebuild_tensor_v2\n}b.", "OrderedDict is needed"),
        (b"ccollections\nOrderedDict\n}b.", "OrderedDict is needed"),
        (b"}}b.", "OrderedDict is needed"),
        (b"ccollections\nOrderedDict\n.", "bare AdmittedCall"),
        (b"}" + text("x") + b"ctorch\nFloatStorage\ns.", "bare StorageClass"),
        (text("f") + b")R.", "AdmittedCall is needed"),
        (b"ctorch\nFloatStorage\n)R.", "AdmittedCall is needed"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "wrong arguments"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))t\x52.", "built on a int"),
        (b"ctorch._utils\n_rebuild_parameter\n(K\x01\x88Nt\x52.", "built on a int"),
        (b"ctorch\nSize\nK\x01\x85R.", "non-negative integers"),
        (b"ccollections\nOrderedDict\nK\x01\x85R.", "built from a int"),
        (b"c_codecs\nencode\n" + text("a") + text("rot13") + b"\x86R.", "spelled in another way"),
        (b"ccollections\nOrderedDict\n)\x81.", "opcode NEWOBJ"),
        (b"(ios\nsystem\n.", "opcode INST"),
        (b"(ccollections\nOrderedDict\no.", "opcode OBJ"),
        (b"\x82\x01.", "opcode EXT1"),
        (b"P1\n.", "opcode PERSID"),
        (b"N0.", "opcode POP"),
        (b"K\x01Q.", "tuple is needed"),
        (b"(" + text("module") + text("x") + b"tQ.", "not a storage"),
        (b".", "nothing stands"),
        (b"h\x07.", "opcode BINGET"),
        (b"}]K\x01s.", "list is a key"),
        (b"}(K\x01u.", "without a value"),
        (b"K\x01u.", "no beginning"),
        (b"]q\x00h\x00a.", "contains itself"),
    ],
)
def test_malformed_pickles_are_explained(opcodes, expected):
    with pytest.raises(CheckpointError, match=expected):
        read_checkpoint(archive(b"\x80\x02" + opcodes))


def test_containers_that_look_exponential_are_read_once():
    # 60 lists, each holding the one before twice: 2**60 elements for whoever walks them naively.
    pickled = b"\x80\x02]" + b"".join(b"q%c]h%ca" % (n, n) + b"h%ca" % n for n in range(60)) + b"."
    assert len(read_checkpoint(archive(pickled))) == 2


def test_deep_nesting_is_refused():
    with pytest.raises(CheckpointError, match="deeper than 100"):
        read_checkpoint(archive(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."))


def test_deep_tuple_as_a_key_is_refused():
    with pytest.raises(CheckpointError, match="tuple is a key"):
        read_checkpoint(archive(b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s."))


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        (integers(5), integers(1), integer(0)),
        (integers(4), integers(1), integer(1)),
        (integers(2, 2), integers(3, 1), integer(0)),
        (integers(2**62), integers(1), integer(0)),
        (integers(2**40), integers(0), integer(0)),
        (integers(2**40, 0, 2**40), integers(1, 1, 1), integer(0)),
        (integers(2**100), integers(2**100), integer(2**100)),
        (integers(1), integers(1), integer(4)),
        (integers(-1), integers(1), integer(0)),
        (integers(2), integers(-1), integer(1)),
        (integers(2), integers(1), integer(-1)),
        (integers(2), integers(1, 1), integer(0)),
        (integers(*[1] * 65), integers(*[1] * 65), integer(0)),
        (integers(2), b"N", integer(0)),
        (b"]K\x02a]a", integers(1), integer(0)),
    ],
)
def test_views_past_their_storage_are_refused(size, stride, offset):
    with pytest.raises(CheckpointError, match=r"tensor"):
        read_checkpoint(archive(tensor(size, stride, offset), FLOATS))


def test_the_stride_of_an_extent_of_one_is_free():
    stored = read_checkpoint(archive(tensor(integers(1, 2), integers(2**90, 1)), FLOATS))
    np.testing.assert_array_equal(stored.array, [[0, 1]])


@pytest.mark.parametrize("count", [0, 3, 5, 2**60])
def test_storages_of_another_length_are_refused(count):
    with pytest.raises(CheckpointError, match=rf"storage 0 is declared as {count} elements.*16 bytes"):
        read_checkpoint(archive(tensor(integers(0), integers(1), base=storage(count=count)), FLOATS))


@pytest.mark.parametrize("key", ["1", "../data.pkl", "/etc/passwd", "..\\x", ""])
def test_storages_outside_the_archive_are_missing(key):
    with pytest.raises(CheckpointError, match="is missing"):
        read_checkpoint(archive(tensor(integers(0), integers(1), base=storage(key)), FLOATS))


def test_any_byte_makes_a_sound_bool():
    pickled = tensor(integers(4), integers(1), base=storage(kind="BoolStorage"))
    stored = read_checkpoint(archive(pickled, {"0": b"\x00\x01\x02\xff"}))
    assert stored.array.view(np.uint8).tolist() == [0, 1, 1, 1]


def test_compressed_records_are_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as records:
        records.writestr("a/data.pkl", b"\x80\x02" + b"N0" * 100 + b"N.")
    with pytest.raises(CheckpointError, match="compressed"):
        read_checkpoint(file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_no_checkpoints_are_refused():
    with pytest.raises(CheckpointError, match="'middle'"):
        read_checkpoint(archive(b"\x80\x02N.", byteorder=b"middle"))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as records:
        records.writestr("readme.txt", b"hello")
    with pytest.raises(CheckpointError, match=r"0 data\.pkl"):
        read_checkpoint(file)
    with zipfile.ZipFile(file, "w") as records:
        records.writestr("a/data.pkl", b"\x80\x02N.")
        records.writestr("a/data.pkl", b"\x80\x02K\x01.")
    with pytest.raises(CheckpointError, match="two records of one name"):
        read_checkpoint(file)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (pickle.dumps({"a": 1}), "plain Python pickle"),
        (b"\x00" * 257 + b"ustar\x00", "tar archive"),
        (b"hello, world", "unknown format"),
    ],
)
def test_other_files_are_named(content, expected):
    with pytest.raises(CheckpointError, match=expected):
        read_checkpoint(io.BytesIO(content))
