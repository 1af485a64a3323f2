"""Checkpoints that PyTorch writes are read as PyTorch reads them, and the other way round."""

import io
import zipfile
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest

from lazygrad.serialization import (
    CheckpointError,
    StoredArray,
    StoredDtype,
    read_checkpoint,
    write_checkpoint,
)

torch = pytest.importorskip("torch")

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
DTYPES = [
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
    "complex64", "complex128", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2",
]  # fmt: skip


def saved(value, zipped=True):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file


def as_bytes(tensor):
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


@FORMATS
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_read_bit_for_bit(dtype, zipped):
    tensor = torch.arange(-3, 3).to(torch.float32).abs().reshape(2, 3).to(getattr(torch, dtype))
    stored = read_checkpoint(saved({"x": tensor}, zipped))["x"]
    assert stored.dtype == dtype
    assert stored.array.shape == (2, 3)
    assert stored.array.tobytes() == as_bytes(tensor)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_written_bit_for_bit(dtype):
    values = np.arange(6).reshape(2, 3).astype(getattr(ml_dtypes, dtype, dtype))
    file = io.BytesIO()
    write_checkpoint({"x": StoredArray(values)}, file)
    file.seek(0)
    tensor = torch.load(file, weights_only=True)["x"]
    assert tensor.dtype == getattr(torch, dtype)
    assert tensor.shape == (2, 3)
    assert as_bytes(tensor) == values.tobytes()


@FORMATS
def test_views_keep_their_values_and_share_their_storage(zipped):
    base = torch.randn(6, 8)
    views = {
        "base": base,
        "transposed": base.t(),
        "strided": base[1::2, 3:7:3],
        "row": base[2],
        "scalar": base[1, 1],
        "expanded": base[:, :1].expand(6, 50),
        "empty": base[:0],
        "reshaped": base.view(4, 1, 12),
    }
    stored = read_checkpoint(saved(views, zipped))
    for name, view in views.items():
        np.testing.assert_array_equal(stored[name].array, view.numpy(), err_msg=name)
        assert stored[name].array.shape == tuple(view.shape)
    assert np.shares_memory(stored["base"].array, stored["transposed"].array)
    assert np.shares_memory(stored["base"].array, stored["row"].array)


@FORMATS
def test_parameters_and_requires_grad(zipped):
    tree = read_checkpoint(
        saved(
            {
                "parameter": torch.nn.Parameter(torch.ones(2)),
                "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
                "leaf": torch.ones(2, requires_grad=True),
                "plain": torch.ones(2),
            },
            zipped,
        )
    )
    flags = {name: (stored.is_parameter, stored.requires_grad) for name, stored in tree.items()}
    assert flags == {
        "parameter": (True, True),
        "frozen": (True, False),
        "leaf": (False, True),
        "plain": (False, False),
    }


@FORMATS
def test_state_dict_with_tied_weights_and_versions(zipped):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 4))
    model[2].weight = model[0].weight
    expected = model.state_dict()
    state = read_checkpoint(saved(expected, zipped))
    assert type(state) is OrderedDict
    assert list(state) == list(expected)
    assert state._metadata == expected._metadata
    for name, tensor in expected.items():
        np.testing.assert_array_equal(state[name].array, tensor.numpy())
    assert np.shares_memory(state["0.weight"].array, state["2.weight"].array)


@FORMATS
def test_optimizer_state_dict(zipped):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.25)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = read_checkpoint(saved(optimizer.state_dict(), zipped))
    assert state["param_groups"][0]["lr"] == 0.25
    assert state["param_groups"][0]["params"] == [0, 1]
    np.testing.assert_array_equal(state["state"][0]["exp_avg"].array, optimizer.state_dict()["state"][0]["exp_avg"])


PLAIN = {
    "none": None,
    "flags": [True, False],
    "integers": [0, 1, 255, 256, 65536, -1, 2**31, -(2**31), 2**63, -(2**200)],
    "floats": (1.5, float("inf"), -0.0),
    "text": "é\n\U0001f600",
    "bytes": b"\x00\xff\x80",
    "set": {1, "two"},
    "nested": {"a": [{"b": ({},)}]},
    5: "an integer key",
    (1, "pair"): "a tuple key",
    "ordered": OrderedDict(z=1, a=2),
}


@FORMATS
def test_plain_values_are_read(zipped):
    assert read_checkpoint(saved(PLAIN, zipped)) == PLAIN


def test_plain_values_are_written():
    file = io.BytesIO()
    write_checkpoint(PLAIN, file)
    assert read_checkpoint(file) == PLAIN
    file.seek(0)
    assert torch.load(file, weights_only=True) == PLAIN


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_pickle_protocols_are_read(protocol):
    file = io.BytesIO()
    torch.save({**PLAIN, "x": torch.ones(2)}, file, pickle_protocol=protocol)
    tree = read_checkpoint(file)
    np.testing.assert_array_equal(tree.pop("x").array, [1, 1])
    assert tree == PLAIN


@FORMATS
def test_bare_tensor_dtype_and_size(zipped):
    np.testing.assert_array_equal(read_checkpoint(saved(torch.ones(2), zipped)).array, [1, 1])
    assert read_checkpoint(saved(torch.bfloat16, zipped)) == StoredDtype("bfloat16")
    assert read_checkpoint(saved(torch.Size([2, 3]), zipped)) == (2, 3)


def test_written_files_satisfy_torch():
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    tree = OrderedDict(
        weight=StoredArray(weight),
        tied=StoredArray(weight),
        turned=StoredArray(weight.T),
        parameter=StoredArray(np.ones(2), requires_grad=True, is_parameter=True),
        leaf=StoredArray(np.ones(2), requires_grad=True),
        scalar=StoredArray(np.array(3, dtype=np.int64)),
        empty=StoredArray(np.zeros((0, 3), dtype=np.float32)),
        dtype=StoredDtype("float16"),
    )
    tree._metadata = {"": {"version": 1}}
    file = io.BytesIO()
    write_checkpoint(tree, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert list(loaded) == list(tree)
    assert loaded._metadata == tree._metadata
    assert isinstance(loaded["parameter"], torch.nn.Parameter)
    assert loaded["leaf"].requires_grad
    assert loaded["scalar"].shape == ()
    assert loaded["empty"].shape == (0, 3)
    assert loaded["dtype"] is torch.float16
    assert loaded["weight"].data_ptr() == loaded["tied"].data_ptr()
    np.testing.assert_array_equal(loaded["turned"], weight.T)
    np.testing.assert_array_equal(read_checkpoint(file)["turned"].array, weight.T)


def test_torch_maps_written_files(tmp_path):
    path = tmp_path / "model.pt"
    write_checkpoint({"a": StoredArray(np.arange(5.0)), "b": StoredArray(np.arange(7.0))}, path)
    loaded = torch.load(path, mmap=True, weights_only=True)
    np.testing.assert_array_equal(loaded["b"], np.arange(7.0))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def test_torch_reads_a_module_from_a_written_file():
    layer = torch.nn.Linear(3, 2)
    file = io.BytesIO()
    write_checkpoint(read_checkpoint(saved(layer.state_dict())), file)
    file.seek(0)
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(layer.weight, other.weight)


def test_files_of_big_endian_machines():
    values = {
        "f": torch.tensor([1.5, -2.0]),
        "c": torch.tensor([1 + 2j]),
        "h": torch.tensor([3.0]).bfloat16(),
    }
    little = saved({**values, "u": torch.tensor([1, 2]).to(torch.uint16)})
    widths = {"0": 4, "1": 4, "2": 2, "3": 2}
    big = io.BytesIO()
    with zipfile.ZipFile(little) as source, zipfile.ZipFile(big, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            folder, _, key = name.rpartition("/")
            if folder.endswith("data") and key in widths:
                content = np.frombuffer(content, f"u{widths[key]}").byteswap().tobytes()
            target.writestr(name, b"big" if key == "byteorder" else content)
    tree = read_checkpoint(big)
    np.testing.assert_array_equal(tree["f"].array, [1.5, -2.0])
    np.testing.assert_array_equal(tree["c"].array, [1 + 2j])
    np.testing.assert_array_equal(tree["h"].array.astype(np.float32), [3.0])
    np.testing.assert_array_equal(tree["u"].array, [1, 2])


def test_torchscript_is_named():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02N.")
        archive.writestr("m/constants.pkl", b"\x80\x02N.")
    with pytest.raises(CheckpointError, match=r"TorchScript program.*state_dict"):
        read_checkpoint(file)


def test_sparse_tensor_is_refused_by_name():
    file = io.BytesIO()
    torch.save(torch.eye(3).to_sparse(), file)
    with pytest.raises(CheckpointError, match=r"torch\._utils\._rebuild_sparse_tensor"):
        read_checkpoint(file)


def test_unresolved_conjugate_is_refused():
    with pytest.raises(CheckpointError, match="resolve_conj"):
        read_checkpoint(saved(torch.tensor([1 + 2j]).conj()))
