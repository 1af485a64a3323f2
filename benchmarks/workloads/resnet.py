"""ResNet with basic blocks, from one source for all frameworks. Names of parameters are torchvision's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class ResNetSizes:
    """Channels of each stage, basic blocks in each, and classes; ResNet-18 unless told otherwise."""

    widths: Sequence[int] = (64, 128, 256, 512)
    blocks: int = 2
    classes: int = 1000


def resnet(torch: Any, sizes: ResNetSizes) -> Any:
    """A module of ``torch.nn``, where ``torch`` has torch's names: images (N, 3, H, W) -> logits (N, classes)."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class ResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            inputs = sizes.widths[0]
            self.conv1 = nn.Conv2d(3, inputs, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(inputs)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            for number, outputs in enumerate(sizes.widths, 1):
                strides = [1 if number == 1 else 2, *(1 for _ in range(sizes.blocks - 1))]
                blocks = [Block(inputs if not i else outputs, outputs, stride) for i, stride in enumerate(strides)]
                setattr(self, f"layer{number}", nn.Sequential(*blocks))
                inputs = outputs
            self.fc = nn.Linear(inputs, sizes.classes)

        def forward(self, x: Any) -> Any:
            x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
            for number in range(1, len(sizes.widths) + 1):
                x = getattr(self, f"layer{number}")(x)
            return self.fc(x.mean((2, 3)))

    return ResNet()


class Convolution(NamedTuple):
    """Channels, the kernel's extent, its stride, and how often the image has been halved where it ends."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    halvings: int


def convolutions(sizes: ResNetSizes) -> Iterator[Convolution]:
    """Every convolution, in order."""
    inputs = sizes.widths[0]
    yield Convolution(3, inputs, 7, 2, 1)
    for halvings, outputs in enumerate(sizes.widths, 2):
        stride = 1 if halvings == 2 else 2
        if inputs != outputs:
            yield Convolution(inputs, outputs, 1, stride, halvings)
        for number in range(2 * sizes.blocks):
            first = number == 0
            yield Convolution(inputs if first else outputs, outputs, 3, stride if first else 1, halvings)
        inputs = outputs


def parameters(sizes: ResNetSizes) -> int:
    """How many numbers are learned: each convolution has a batch norm behind it."""
    learned = sum(c.inputs * c.outputs * c.kernel**2 + 2 * c.outputs for c in convolutions(sizes))
    return learned + (sizes.widths[-1] + 1) * sizes.classes


def training_flops(sizes: ResNetSizes, batch: int, size: int) -> float:
    """Of the products of a forward and backward pass; nobody needs the gradient of the images."""
    first, *others = (_products(c, size) for c in convolutions(sizes))
    return 2.0 * batch * (2 * first + 3 * sum(others) + 3 * sizes.widths[-1] * sizes.classes)


def inference_flops(sizes: ResNetSizes, batch: int, size: int) -> float:
    """Of the products of a forward pass."""
    return 2.0 * batch * (sum(_products(c, size) for c in convolutions(sizes)) + sizes.widths[-1] * sizes.classes)


def _products(c: Convolution, size: int) -> int:
    return c.inputs * c.outputs * c.kernel**2 * (size >> c.halvings) ** 2
