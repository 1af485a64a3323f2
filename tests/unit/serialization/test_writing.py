"""Files appear complete or not at all, hold what they should, and refuse what they cannot hold."""

import io

import ml_dtypes
import numpy as np
import pytest

from lazygrad.serialization import CheckpointError, StoredArray, read_checkpoint, write_checkpoint


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_round_trip_through_a_path(tmp_path, name):
    path = tmp_path / name
    tree = {
        "a": StoredArray(np.arange(6, dtype=np.float32).reshape(2, 3).T),
        "b": StoredArray(np.array([1.5], dtype=ml_dtypes.bfloat16)),
        "c": StoredArray(np.array(True)),
        "d": StoredArray(np.zeros((0, 2), dtype=np.int64)),
    }
    write_checkpoint(tree, path)
    again = read_checkpoint(path)
    assert sorted(again) == sorted(tree)
    for key, stored in tree.items():
        assert again[key].dtype == stored.dtype
        assert again[key].array.shape == stored.array.shape
        assert again[key].array.flags.writeable
        np.testing.assert_array_equal(again[key].array, stored.array)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "uint16", "bool", "bfloat16", "float8_e5m2"])
def test_safetensors_dtypes(tmp_path, dtype):
    values = np.array([0, 1, 1], dtype=getattr(ml_dtypes, dtype, dtype))
    write_checkpoint({"x": StoredArray(values)}, tmp_path / "x.safetensors")
    assert read_checkpoint(tmp_path / "x.safetensors")["x"].dtype == dtype


def test_safetensors_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    tensors = {"w": torch.randn(3, 4), "h": torch.randn(5).bfloat16()}
    save_file(tensors, tmp_path / "theirs.safetensors")
    tree = read_checkpoint(tmp_path / "theirs.safetensors")
    np.testing.assert_array_equal(tree["w"].array, tensors["w"].numpy())
    write_checkpoint(tree, tmp_path / "ours.safetensors")
    assert torch.equal(load_file(tmp_path / "ours.safetensors")["h"], tensors["h"])


def test_equal_objects_make_equal_files():
    first, second = io.BytesIO(), io.BytesIO()
    for file in (first, second):
        write_checkpoint({"x": StoredArray(np.ones(3)), "s": {"b", "a", "c"}}, file)
    assert first.getvalue() == second.getvalue()


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_a_failed_write_leaves_the_old_file(tmp_path, name):
    path = tmp_path / name
    write_checkpoint({"x": StoredArray(np.ones(3))}, path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError):
        write_checkpoint({"x": object()}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_unknown_objects_are_refused_with_advice():
    with pytest.raises(CheckpointError, match=r"cannot save a numpy\.float32.*float\(x\)"):
        write_checkpoint({"x": np.float32(1)}, io.BytesIO())
    with pytest.raises(CheckpointError, match=r"cannot save an array of datetime64"):
        write_checkpoint(StoredArray(np.zeros(2, dtype="datetime64[s]")), io.BytesIO())
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(CheckpointError, match="contains itself"):
        write_checkpoint(loop, io.BytesIO())


@pytest.mark.parametrize("tree", [[StoredArray(np.ones(1))], {"epoch": 3}, {1: StoredArray(np.ones(1))}])
def test_safetensors_holds_named_tensors_only(tmp_path, tree):
    with pytest.raises(CheckpointError, match="safetensors file holds"):
        write_checkpoint(tree, tmp_path / "x.safetensors")


def test_a_file_that_cannot_be_opened_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "absent.pt")
    with pytest.raises(FileNotFoundError):
        write_checkpoint({}, tmp_path / "no" / "folder.pt")
