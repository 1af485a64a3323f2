"""Saving and loading a module's state: values, conversion, mismatches."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn


def values(module: nn.Module) -> dict[str, Any]:
    return {k: np.asarray(v.detach().numpy()) for k, v in module.state_dict().items()}


def test_round_trip() -> None:
    source, target = (
        nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)),
        nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)),
    )
    source(lg.tensor(np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)))
    result = target.load_state_dict(source.state_dict())
    assert str(result) == "<All keys matched successfully>"
    assert tuple(result) == ([], [])
    for key, value in values(source).items():
        np.testing.assert_array_equal(values(target)[key], value, err_msg=key)


def test_entries_are_detached_unless_kept() -> None:
    layer = nn.Linear(2, 2)
    assert not layer.state_dict()["weight"].requires_grad
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    assert list(layer.state_dict(prefix="layer.")) == ["layer.weight", "layer.bias"]


def test_loading_copies() -> None:
    layer = nn.Linear(2, 1, bias=False)
    weight = lg.ones(1, 2)
    layer.load_state_dict({"weight": weight})
    with lg.no_grad():
        layer.weight.mul_(3.0)
    assert np.asarray(weight.numpy()).tolist() == [[1.0, 1.0]]


def test_loading_converts_the_dtype_and_keeps_the_parameter() -> None:
    layer = nn.Linear(2, 1, bias=False)
    weight = layer.weight
    layer.load_state_dict({"weight": lg.full((1, 2), 0.5, dtype=lg.float64)})
    assert layer.weight is weight
    assert weight.dtype == lg.float32
    assert weight.requires_grad
    assert values(layer)["weight"].tolist() == [[0.5, 0.5]]


def test_assign_puts_the_given_tensors_in_place() -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer.load_state_dict({"weight": lg.full((1, 2), 0.5, dtype=lg.float64)}, assign=True)
    assert layer.weight.dtype == lg.float64
    assert isinstance(layer.weight, nn.Parameter)
    assert layer.weight.requires_grad


def test_mismatches_are_all_listed_and_change_nothing() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = values(model)
    given = {"0.weight": lg.ones(2, 3), "0.bias": lg.ones(3), "1.weight": lg.ones(1, 3), "2.bias": lg.ones(1)}
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(given)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "1.bias". \n'
        '\tUnexpected key(s) in state_dict: "2.bias". \n'
        f"\tsize mismatch for 0.weight: copying a param with shape {lg.Size([2, 3])} from checkpoint, "
        f"the shape in current model is {lg.Size([3, 2])}."
    )
    for key, value in before.items():
        np.testing.assert_array_equal(values(model)[key], value)


def test_message_equals_torch() -> None:
    torch = pytest.importorskip("torch")

    def message(library: Any) -> str:
        model = library.nn.Sequential(library.nn.Linear(2, 3), library.nn.Linear(3, 1))
        given = {
            "0.weight": library.ones(2, 3),
            "0.bias": library.ones(3),
            "1.weight": library.ones(1, 3),
            "2.bias": library.ones(1),
        }
        with pytest.raises(RuntimeError) as caught:
            model.load_state_dict(given)
        return str(caught.value)

    assert message(lg).replace("lazygrad.Size", "torch.Size") == message(torch)


def test_not_strict_loads_what_fits() -> None:
    layer = nn.Linear(2, 1)
    result = layer.load_state_dict({"weight": lg.ones(1, 2), "extra": lg.ones(1)}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["extra"]
    assert "missing_keys=['bias']" in repr(result)
    assert values(layer)["weight"].tolist() == [[1.0, 1.0]]
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        layer.load_state_dict({"weight": lg.ones(2, 2)}, strict=False)


def test_what_is_no_tensor_or_no_mapping_is_refused() -> None:
    layer = nn.Linear(2, 1, bias=False)
    with pytest.raises(RuntimeError, match=r'parameter named "weight", expected a Tensor .*list'):
        layer.load_state_dict({"weight": [[1.0, 2.0]]})
    with pytest.raises(TypeError, match="dict-like"):
        layer.load_state_dict([1])  # type: ignore[arg-type]


def test_batch_norm_without_count_loads_only_from_an_old_version() -> None:
    entries = nn.BatchNorm1d(2).state_dict()
    old = OrderedDict((k, v) for k, v in entries.items() if k != "num_batches_tracked")
    nn.BatchNorm1d(2).load_state_dict(old)
    new: Any = OrderedDict(old)
    new._metadata = OrderedDict({"": {"version": 2}})
    with pytest.raises(RuntimeError, match=r'Missing key.*"num_batches_tracked"'):
        nn.BatchNorm1d(2).load_state_dict(new)


def test_metadata_names_versions() -> None:
    metadata = nn.Sequential(nn.BatchNorm1d(2)).state_dict()._metadata  # type: ignore[attr-defined]
    assert metadata == {"": {"version": 1}, "0": {"version": 2}}
