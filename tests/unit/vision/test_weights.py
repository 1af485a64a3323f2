"""Pretrained weights: how they are named, what is fetched, what is refused."""

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.vision import models
from lazygrad.vision.models import ResNet18_Weights, ResNet50_Weights, resnet

URLS = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Answer each request with the state dict of a model whose bias is 7, and note the request."""
    requests: list[tuple[str, dict[str, Any]]] = []

    def load_state_dict_from_url(url: str, **options: Any) -> Any:
        requests.append((url, options))
        name = url.rpartition("/")[2].partition("-")[0]
        model = getattr(models, name)()
        with lg.no_grad():
            model.fc.bias.fill_(7.0)
        return model.state_dict()

    monkeypatch.setattr("lazygrad.hub.load_state_dict_from_url", load_state_dict_from_url)
    return requests


@pytest.mark.parametrize("name", URLS)
def test_pretrained_means_the_first_published_weights(name: str, asked: list[Any]) -> None:
    model = getattr(models, name)(pretrained=True, progress=False)
    assert asked == [(URLS[name], {"progress": False, "check_hash": True})]
    assert (np.asarray(model.fc.bias.detach().numpy()) == 7).all()


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1", "ResNet18_Weights.DEFAULT", ResNet18_Weights.DEFAULT])
def test_weights_by_entry_or_name(weights: Any, asked: list[Any]) -> None:
    models.resnet18(weights=weights)
    assert [url for url, _ in asked] == [URLS["resnet18"]]


def test_the_default_of_resnet50_is_its_second() -> None:
    assert ResNet50_Weights.DEFAULT is ResNet50_Weights.IMAGENET1K_V2
    assert ResNet50_Weights.DEFAULT.url.endswith("/resnet50-11ad3fa6.pth")


def test_no_weights_fetch_nothing(asked: list[Any]) -> None:
    models.resnet18()
    models.resnet18(False)
    models.resnet18(weights=None)
    assert asked == []


def test_what_does_not_fit_is_refused_before_anything_is_fetched(asked: list[Any]) -> None:
    with pytest.raises(ValueError, match="has no weights 'V3': use IMAGENET1K_V1, DEFAULT"):
        models.resnet18(weights="V3")
    with pytest.raises(TypeError, match="expected ResNet18_Weights but received ResNet50_Weights"):
        models.resnet18(weights=ResNet50_Weights.DEFAULT)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="either weights or pretrained"):
        models.resnet18(pretrained=True, weights="DEFAULT")
    with pytest.raises(ValueError, match="'num_classes' expected value 1000 but got 10"):
        models.resnet18(weights="DEFAULT", num_classes=10)
    assert asked == []


def test_all_urls_carry_a_hash() -> None:
    for weights in (resnet.ResNet18_Weights, resnet.ResNet34_Weights, resnet.ResNet50_Weights):
        for entry in weights:
            assert len(entry.url.rpartition("-")[2].removesuffix(".pth")) == 8
