"""Initial values: gains and bounds against torch, distributions by their moments."""

import math
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.nn import init

# Enough values for the moments below to lie within 3 % with near certainty.
SHAPE = (64, 16, 5, 5)
FAN_IN, FAN_OUT = 16 * 25, 64 * 25


def filled(fill: Any, *arguments: Any, **options: Any) -> np.ndarray:
    tensor = lg.empty(SHAPE)
    assert fill(tensor, *arguments, **options) is tensor
    return np.asarray(tensor.numpy(), dtype=np.float64)


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    assert values.min() >= low
    assert values.max() <= high
    assert values.min() < low + 0.01 * (high - low)
    assert values.max() > high - 0.01 * (high - low)
    assert values.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.03)
    assert values.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))


def assert_normal(values: np.ndarray, mean: float, deviation: float) -> None:
    assert values.mean() == pytest.approx(mean, abs=0.03 * deviation)
    assert values.std() == pytest.approx(deviation, rel=0.03)
    assert (np.abs(values - mean) < deviation).mean() == pytest.approx(0.6827, abs=0.02)


@pytest.mark.parametrize(
    "arguments",
    [
        ("linear",),
        ("conv2d",),
        ("conv_transpose3d",),
        ("sigmoid",),
        ("tanh",),
        ("relu",),
        ("leaky_relu",),
        ("leaky_relu", 0.3),
        ("selu",),
    ],
)
def test_gains_equal_torch(arguments: tuple[Any, ...]) -> None:
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(*arguments) == torch.nn.init.calculate_gain(*arguments)


def test_constants_and_plain_distributions() -> None:
    assert (filled(init.ones_) == 1).all()
    assert (filled(init.zeros_) == 0).all()
    assert (filled(init.constant_, 2.5) == 2.5).all()
    assert_uniform(filled(init.uniform_), 0.0, 1.0)
    assert_uniform(filled(init.uniform_, -3.0, 1.0), -3.0, 1.0)
    assert_normal(filled(init.normal_, 2.0, 0.5), 2.0, 0.5)


def test_fans_scale_the_distributions() -> None:
    bound = 2.0 * math.sqrt(6 / (FAN_IN + FAN_OUT))
    assert_uniform(filled(init.xavier_uniform_, gain=2.0), -bound, bound)
    assert_normal(filled(init.xavier_normal_), 0.0, math.sqrt(2 / (FAN_IN + FAN_OUT)))
    bound = math.sqrt(1 / FAN_IN)
    assert_uniform(filled(init.kaiming_uniform_, a=math.sqrt(5)), -bound, bound)
    deviation = math.sqrt(2 / FAN_OUT)
    assert_normal(filled(init.kaiming_normal_, mode="fan_out", nonlinearity="relu"), 0.0, deviation)


@pytest.mark.parametrize(("mean", "deviation", "low", "high"), [(0, 1, -2, 2), (0.5, 2, -1, 3), (0, 1, 0.5, 4)])
def test_truncated_normal_has_the_exact_moments(mean: float, deviation: float, low: float, high: float) -> None:
    values = filled(init.trunc_normal_, mean, deviation, low, high)
    grid = np.linspace(low, high, 100_001)
    density = np.exp(-0.5 * ((grid - mean) / deviation) ** 2)
    density /= density.sum()
    expected_mean = (grid * density).sum()
    expected_deviation = math.sqrt(((grid - expected_mean) ** 2 * density).sum())
    assert values.min() >= low
    assert values.max() <= high
    assert values.mean() == pytest.approx(expected_mean, abs=0.03 * expected_deviation)
    assert values.std() == pytest.approx(expected_deviation, rel=0.03)
    median = grid[np.searchsorted(np.cumsum(density), 0.5)]
    assert (values < median).mean() == pytest.approx(0.5, abs=0.02)


def test_truncated_normal_warns_of_a_far_interval() -> None:
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(lg.empty(3), mean=0.0, std=1.0, a=3.0, b=4.0)


@pytest.mark.parametrize(("layer", "fan_in"), [(lg.nn.Linear(400, 100), 400), (lg.nn.Conv2d(16, 64, 5), FAN_IN)])
def test_default_initialisation_of_layers(layer: Any, fan_in: int) -> None:
    bound = 1 / math.sqrt(fan_in)
    assert_uniform(np.asarray(layer.weight.detach().numpy(), dtype=np.float64), -bound, bound)
    bias = layer.bias.detach().numpy()
    assert np.abs(bias).max() <= bound
    assert np.abs(bias).max() > 0.8 * bound


def test_default_initialisation_of_embedding() -> None:
    layer = lg.nn.Embedding(200, 100, padding_idx=3)
    weight = np.asarray(layer.weight.detach().numpy(), dtype=np.float64)
    assert (weight[3] == 0).all()
    assert_normal(np.delete(weight, 3, axis=0), 0.0, 1.0)


def test_layers_of_one_shape_start_differently() -> None:
    first, second = lg.nn.Linear(4, 4), lg.nn.Linear(4, 4)
    assert (first.weight.detach().numpy() != second.weight.detach().numpy()).all()


def test_filling_a_parameter_leaves_it_a_leaf() -> None:
    parameter = lg.nn.Parameter(lg.empty(3, 3))
    init.xavier_uniform_(parameter)
    assert parameter.is_leaf
    assert parameter.requires_grad


def test_messages() -> None:
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_uniform_(lg.empty(3))
    with pytest.raises(ValueError, match="Mode fan_avg not supported"):
        init.kaiming_normal_(lg.empty(3, 3), mode="fan_avg")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="negative_slope True not a valid number"):
        init.calculate_gain("leaky_relu", True)
