"""Every loss against torch's of the same name: value, gradient, printing and state."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

torch = pytest.importorskip("torch")

SHAPE = (5, 4)
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=SHAPE).astype(np.float32) * 2
PROBABILITIES = (0.05 + 0.9 * RANDOM.random(SHAPE)).astype(np.float32)
DISTRIBUTIONS = PROBABILITIES / PROBABILITIES.sum(1, keepdims=True)
CLASSES = np.array([0, 3, 1, 1, 2])
WEIGHTS = np.array([0.5, 1.0, 2.0, 1.5], dtype=np.float32)

# Name of the loss, options by reduction, input and target.
CASES: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    ("CrossEntropyLoss", {}, LOGITS, CLASSES),
    ("CrossEntropyLoss", {"ignore_index": 1}, LOGITS, CLASSES),
    ("CrossEntropyLoss", {"label_smoothing": 0.2}, LOGITS, CLASSES),
    ("CrossEntropyLoss", {"weight": WEIGHTS}, LOGITS, CLASSES),
    ("CrossEntropyLoss", {"label_smoothing": 0.1}, LOGITS, DISTRIBUTIONS),
    ("NLLLoss", {}, LOGITS, CLASSES),
    ("NLLLoss", {"weight": WEIGHTS, "ignore_index": 3}, LOGITS, CLASSES),
    ("MSELoss", {}, LOGITS, PROBABILITIES),
    ("L1Loss", {}, LOGITS, PROBABILITIES),
    ("SmoothL1Loss", {"beta": 0.7}, LOGITS, PROBABILITIES),
    ("HuberLoss", {"delta": 1.3}, LOGITS, PROBABILITIES),
    ("BCELoss", {}, PROBABILITIES, DISTRIBUTIONS),
    ("BCEWithLogitsLoss", {}, LOGITS, PROBABILITIES),
    ("BCEWithLogitsLoss", {"weight": WEIGHTS, "pos_weight": WEIGHTS}, LOGITS, PROBABILITIES),
]


def made(nn: Any, tensor: Callable[[Any], Any], name: str, options: dict[str, Any], reduction: str) -> Any:
    converted = {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    return getattr(nn, name)(reduction=reduction, **converted)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options", "values", "target"), CASES)
def test_value_gradient_printing_and_state(
    name: str, options: dict[str, Any], values: np.ndarray, target: np.ndarray, reduction: str
) -> None:
    theirs = made(torch.nn, torch.tensor, name, options, reduction)
    ours = made(lg.nn, lg.tensor, name, options, reduction)
    their_input = torch.tensor(values, requires_grad=True)
    our_input = lg.tensor(values, requires_grad=True)
    their_loss = theirs(their_input, torch.tensor(target))
    our_loss = ours(our_input, lg.tensor(target))
    cotangent = np.random.default_rng(1).normal(size=tuple(their_loss.shape)).astype(np.float32)
    their_loss.backward(torch.tensor(cotangent))
    our_loss.backward(lg.tensor(cotangent))

    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    np.testing.assert_allclose(our_loss.detach().numpy(), their_loss.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(our_input.grad.numpy(), their_input.grad.numpy(), rtol=1e-5, atol=1e-6)
