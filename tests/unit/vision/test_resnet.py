"""ResNet: torchvision's keys and shapes, torch's numbers with equal weights, initial values."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.vision import models

Entries = list[tuple[str, tuple[int, ...]]]
STAGES = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
NUMBER_OF_PARAMETERS = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}


def normalisation(name: str, channels: int) -> Entries:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return [*((f"{name}.{key}", (channels,)) for key in vectors), (f"{name}.num_batches_tracked", ())]


def unit(prefix: str, number: int, outputs: int, inputs: int, kernel: int) -> Entries:
    weight = (f"{prefix}conv{number}.weight", (outputs, inputs, kernel, kernel))
    return [weight, *normalisation(f"{prefix}bn{number}", outputs)]


def expected_entries(name: str) -> Entries:
    """The keys and shapes of torchvision's models, written down from the paper's table."""
    bottleneck = name == "resnet50"
    entries = unit("", 1, 64, 3, 7)
    inputs = 64
    for stage, blocks in enumerate(STAGES[name], start=1):
        width = 64 * 2 ** (stage - 1)
        outputs = width * 4 if bottleneck else width
        for block in range(blocks):
            prefix = f"layer{stage}.{block}."
            if bottleneck:
                entries += unit(prefix, 1, width, inputs, 1)
                entries += unit(prefix, 2, width, width, 3)
                entries += unit(prefix, 3, outputs, width, 1)
            else:
                entries += unit(prefix, 1, width, inputs, 3)
                entries += unit(prefix, 2, width, width, 3)
            if block == 0 and inputs != outputs:
                entries.append((f"{prefix}downsample.0.weight", (outputs, inputs, 1, 1)))
                entries += normalisation(f"{prefix}downsample.1", outputs)
            inputs = outputs
    return [*entries, ("fc.weight", (1000, inputs)), ("fc.bias", (1000,))]


def entries_of(model: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    return ((key, tuple(value.shape)) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", STAGES)
def test_keys_shapes_and_size(name: str) -> None:
    model = getattr(models, name)()
    assert list(entries_of(model)) == expected_entries(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == NUMBER_OF_PARAMETERS[name]


def torch_block(torch: Any, inputs: int, outputs: int, stride: int) -> Any:
    """A residual block of two convolutions in torch, with the same names."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            self.downsample = nn.Sequential(*shortcut)

        def forward(self, x: Any) -> Any:
            out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(out + self.downsample(x))

    return Block()


def test_block_agrees_with_torch_forward_and_backward() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch_block(torch, 4, 6, 2)
    downsample = lg.nn.Sequential(lg.nn.Conv2d(4, 6, 1, 2, bias=False), lg.nn.BatchNorm2d(6))
    ours = models.BasicBlock(4, 6, 2, downsample)
    ours.load_state_dict({key: lg.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    random = np.random.default_rng(0)
    values = random.normal(size=(2, 4, 6, 6)).astype(np.float32)
    cotangent = random.normal(size=(2, 6, 3, 3)).astype(np.float32)
    their_input = torch.tensor(values, requires_grad=True)
    our_input = lg.tensor(values, requires_grad=True)
    their_output, our_output = theirs(their_input), ours(our_input)
    their_output.backward(torch.tensor(cotangent))
    our_output.backward(lg.tensor(cotangent))

    tolerance: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(our_output.detach().numpy(), their_output.detach().numpy(), **tolerance)
    np.testing.assert_allclose(our_input.grad.numpy(), their_input.grad.numpy(), **tolerance)
    their_gradients = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), their_gradients[name], err_msg=name, **tolerance)
    for name, buffer in ours.named_buffers():
        expected = theirs.get_buffer(name).numpy()
        np.testing.assert_allclose(buffer.numpy(), expected, err_msg=name, **tolerance)


def test_small_network_maps_images_to_logits() -> None:
    model = models.ResNet(models.Bottleneck, [1, 1, 1, 1], num_classes=7).eval()
    assert tuple(model(lg.ones(1, 3, 32, 32)).shape) == (1, 7)


def test_initial_values() -> None:
    model = models.resnet18()
    weight = np.asarray(model.layer4[0].conv2.weight.detach().numpy(), dtype=np.float64)
    assert weight.std() == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.01)
    assert (model.layer4[1].bn2.weight.detach().numpy() == 1).all()
    silent = models.resnet18(zero_init_residual=True)
    assert (silent.layer4[1].bn2.weight.detach().numpy() == 0).all()
    assert (silent.layer4[1].bn1.weight.detach().numpy() == 1).all()


def test_dilation_in_place_of_stride() -> None:
    model = models.ResNet(models.Bottleneck, [1, 1, 1, 1], replace_stride_with_dilation=[False, True, True])
    assert model.layer3[0].conv2.stride == (1, 1)
    assert model.layer3[0].conv2.dilation == (1, 1)
    assert model.layer4[0].conv2.dilation == (2, 2)
    with pytest.raises(ValueError, match="3-element tuple"):
        models.ResNet(models.Bottleneck, [1, 1, 1, 1], replace_stride_with_dilation=[True])
    with pytest.raises(ValueError, match="only supports groups=1"):
        models.resnet18(groups=2)
    with pytest.raises(NotImplementedError, match="Dilation > 1"):
        models.resnet18(replace_stride_with_dilation=[True, True, True])
