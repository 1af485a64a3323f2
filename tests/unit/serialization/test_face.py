"""lazygrad.save and lazygrad.load: tensors instead of arrays, with torch's meaning."""

import io
from collections import OrderedDict

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.serialization import CheckpointError, StoredArray, write_checkpoint


def round_trip(value):
    file = io.BytesIO()
    lg.save(value, file)
    return lg.load(file)


@pytest.mark.parametrize("dtype", [lg.float32, lg.float64, lg.int64, lg.bool, lg.bfloat16, lg.float16])
def test_tensors_keep_values_and_dtype(dtype):
    tensor = lg.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]).to(dtype)
    again = round_trip({"x": tensor})["x"]
    assert again.dtype is dtype
    assert again.tolist() == tensor.tolist()


def test_kinds_of_tensors_and_plain_values():
    tree = round_trip(
        OrderedDict(
            parameter=lg.nn.Parameter(lg.ones(2)),
            frozen=lg.nn.Parameter(lg.ones(2), requires_grad=False),
            leaf=lg.ones(2, requires_grad=True),
            plain=lg.ones(2),
            dtype=lg.float16,
            epoch=3,
        )
    )
    assert type(tree) is OrderedDict
    assert isinstance(tree["parameter"], lg.nn.Parameter)
    assert tree["parameter"].requires_grad
    assert isinstance(tree["frozen"], lg.nn.Parameter)
    assert not tree["frozen"].requires_grad
    assert tree["leaf"].requires_grad
    assert not tree["plain"].requires_grad
    assert tree["dtype"] is lg.float16
    assert tree["epoch"] == 3


def test_one_tensor_under_two_names_stays_one():
    weight = lg.ones(3)
    file = io.BytesIO()
    lg.save({"a": weight, "b": weight}, file)
    torch = pytest.importorskip("torch")
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert loaded["a"].data_ptr() == loaded["b"].data_ptr()


def test_exchange_of_a_module_with_torch(tmp_path):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.nn.Linear(3, 2), lg.nn.Linear(3, 2)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    ours.load_state_dict(lg.load(tmp_path / "theirs.pt"))
    np.testing.assert_array_equal(ours.weight.detach().numpy(), theirs.weight.detach().numpy())
    lg.save(ours.state_dict(), tmp_path / "ours.pt")
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(torch.load(tmp_path / "ours.pt", weights_only=True))
    assert torch.equal(other.weight, theirs.weight)


def test_safetensors_through_the_face(tmp_path):
    lg.save({"x": lg.arange(3)}, tmp_path / "x.safetensors")
    assert lg.load(tmp_path / "x.safetensors")["x"].tolist() == [0, 1, 2]


def test_map_location_chooses_the_device():
    file = io.BytesIO()
    lg.save(lg.ones(2), file)
    assert str(lg.load(file, map_location="numpy").device).startswith("numpy")


def test_dtypes_without_a_tensor_are_named():
    file = io.BytesIO()
    write_checkpoint({"x": StoredArray(np.ones(2, dtype=np.complex64))}, file)
    with pytest.raises(CheckpointError, match=r"complex64.*read_checkpoint"):
        lg.load(file)


def test_executing_loads_are_not_available():
    with pytest.raises(ValueError, match="weights_only=False"):
        lg.load(io.BytesIO(), weights_only=False)
