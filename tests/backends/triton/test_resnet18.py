"""ResNet-18 (tiny images) takes a training step in Triton's interpreter that equals the reference's."""

import numpy
import pytest

import lazygrad as lg
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from lazygrad.nn import functional
from lazygrad.vision.models import resnet18

# In float64 both differ by rounding only, however badly conditioned so few pixels make batch norm.
CLOSE = 1e-7


def trained(
    device: str, weights: dict[str, numpy.ndarray], images: numpy.ndarray
) -> tuple[float, dict[str, numpy.ndarray]]:
    """The loss, and parameters and statistics after one step."""
    before = lg.get_default_device()
    lg.set_default_device(device)
    try:
        model = resnet18(num_classes=10).double()
        model.load_state_dict({name: lg.tensor(array) for name, array in weights.items()})
        optimizer = lg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        loss = functional.cross_entropy(model(lg.tensor(images)), lg.tensor([1, 3]))
        loss.backward()
        optimizer.step()
        return loss.item(), {name: value.numpy() for name, value in model.state_dict().items()}
    finally:
        lg.set_default_device(before)


def test_a_step_equals_the_references():
    random = numpy.random.default_rng(0)
    weights = {}
    for name, value in resnet18(num_classes=10).state_dict().items():
        array = value.numpy()
        if array.dtype.kind == "f" and "running" not in name:
            centre, spread = (0.0, 0.05) if array.ndim > 1 else (1.0, 0.3)
            array = centre + spread * random.standard_normal(array.shape)
        weights[name] = array
    images = random.standard_normal((2, 3, 32, 32))
    (loss, found), (expected_loss, expected) = (trained(d, weights, images) for d in ("triton:interpret", "numpy"))
    assert abs(loss - expected_loss) < CLOSE
    for name, array in expected.items():
        assert numpy.abs(found[name] - array).max() <= CLOSE * max(1.0, numpy.abs(array).max()), name
