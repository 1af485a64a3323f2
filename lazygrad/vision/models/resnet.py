"""ResNet (He et al. 2016), with torchvision's modules, names, initial values and checkpoints.

In: images (N, 3, H, W). Out: logits (N, num_classes). The keys and shapes of `state_dict()` equal
torchvision's, so its files load unchanged. As there, a bottleneck's stride is in its 3x3 convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

from lazygrad import nn
from lazygrad.tensor import Tensor
from lazygrad.vision.models.weights import Weights, WeightsEnum

NormLayer: TypeAlias = Callable[[int], nn.Module]

_MODELS_URL = "https://download.pytorch.org/models/"
# Channels of the stem, and of a block's middle in the first stage; each later stage doubles them.
_FIRST_WIDTH = 64


class ResNet18_Weights(WeightsEnum):  # noqa: N801, torchvision's name
    """Published weights of `resnet18`."""

    IMAGENET1K_V1 = Weights(_MODELS_URL + "resnet18-f37072fd.pth")
    DEFAULT = IMAGENET1K_V1


class ResNet34_Weights(WeightsEnum):  # noqa: N801, torchvision's name
    """Published weights of `resnet34`."""

    IMAGENET1K_V1 = Weights(_MODELS_URL + "resnet34-b627a593.pth")
    DEFAULT = IMAGENET1K_V1


class ResNet50_Weights(WeightsEnum):  # noqa: N801, torchvision's name
    """Published weights of `resnet50`."""

    IMAGENET1K_V1 = Weights(_MODELS_URL + "resnet50-0676ba61.pth")
    IMAGENET1K_V2 = Weights(_MODELS_URL + "resnet50-11ad3fa6.pth")
    DEFAULT = IMAGENET1K_V2


def _convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
) -> nn.Conv2d:
    """Return a convolution without bias that keeps the image's size where the stride is 1."""
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: (N, inplanes, H, W) -> (N, planes, H/stride, W/stride)."""

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = _FIRST_WIDTH,
        dilation: int = 1,
        norm_layer: NormLayer = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != _FIRST_WIDTH:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = _convolution(inplanes, planes, 3, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _convolution(planes, planes, 3)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(residual(x) + shortcut(x))."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out + shortcut)
        return result


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut; the last has 4 times the channels."""

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = _FIRST_WIDTH,
        dilation: int = 1,
        norm_layer: NormLayer = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        width = int(planes * (base_width / _FIRST_WIDTH)) * groups
        self.conv1 = _convolution(inplanes, width, 1)
        self.bn1 = norm_layer(width)
        self.conv2 = _convolution(width, width, 3, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = _convolution(width, planes * self.expansion, 1)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(residual(x) + shortcut(x))."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out + shortcut)
        return result


class ResNet(nn.Module):
    """A stem, four stages of blocks, and a linear classifier on the mean over the image.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        layers: number of blocks in each of the four stages.
        num_classes: number of logits.
        zero_init_residual: start each block as its shortcut (last batch norm weight 0).
        groups: groups of the 3x3 convolutions (Bottleneck only).
        width_per_group: their channels a group in the first stage (Bottleneck only).
        replace_stride_with_dilation: for the last three stages, dilate instead of halving the image.
        norm_layer: makes a normalisation from a number of channels; default: `nn.BatchNorm2d`.

    Example:
        >>> import lazygrad as lg
        >>> model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)
        >>> tuple(model(lg.ones(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = _FIRST_WIDTH,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: NormLayer | None = None,
    ) -> None:
        super().__init__()
        dilate = (False, *(replace_stride_with_dilation or (False, False, False)))
        if len(dilate) != 4:
            raise ValueError(
                f"replace_stride_with_dilation should be None or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self._norm_layer: NormLayer = nn.BatchNorm2d if norm_layer is None else norm_layer
        self.inplanes = _FIRST_WIDTH
        self.dilation = 1
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._stage(block, _FIRST_WIDTH, layers[0], stride=1, dilate=dilate[0])
        self.layer2 = self._stage(block, _FIRST_WIDTH * 2, layers[1], stride=2, dilate=dilate[1])
        self.layer3 = self._stage(block, _FIRST_WIDTH * 4, layers[2], stride=2, dilate=dilate[2])
        self.layer4 = self._stage(block, _FIRST_WIDTH * 8, layers[3], stride=2, dilate=dilate[3])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(_FIRST_WIDTH * 8 * block.expansion, num_classes)
        self._initialise(zero_init_residual)

    def _stage(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        blocks: int,
        stride: int,
        dilate: bool,
    ) -> nn.Sequential:
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        out_planes = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != out_planes:
            downsample = nn.Sequential(_convolution(self.inplanes, out_planes, 1, stride), self._norm_layer(out_planes))
        members: list[nn.Module] = []
        for position in range(blocks):
            is_first = position == 0
            members.append(
                block(
                    self.inplanes,
                    planes,
                    stride if is_first else 1,
                    downsample if is_first else None,
                    self.groups,
                    self.base_width,
                    first_dilation if is_first else self.dilation,
                    self._norm_layer,
                )
            )
            self.inplanes = out_planes
        return nn.Sequential(*members)

    def _initialise(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if not zero_init_residual:
            return
        for module in self.modules():
            last = {BasicBlock: "bn2", Bottleneck: "bn3"}.get(type(module))
            weight = None if last is None else getattr(module, last).weight
            if weight is not None:
                nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.avgpool(x).flatten(1)
        logits: Tensor = self.fc(x)
        return logits


def _resnet(
    block: type[BasicBlock] | type[Bottleneck],
    layers: Sequence[int],
    weights: WeightsEnum | None,
    progress: bool,
    options: dict[str, Any],
) -> ResNet:
    if weights is None:
        return ResNet(block, layers, **options)
    classes = weights.value.num_classes
    if options.setdefault("num_classes", classes) != classes:
        raise ValueError(
            f"The parameter 'num_classes' expected value {classes} but got {options['num_classes']} "
            "instead: these weights have as many outputs; replace model.fc after loading them."
        )
    state_dict = weights.get_state_dict(progress=progress)
    model = ResNet(block, layers, **options)
    model.load_state_dict(state_dict)
    return model


def resnet18(
    pretrained: bool = False,
    progress: bool = True,
    *,
    weights: ResNet18_Weights | str | None = None,
    **options: Any,
) -> ResNet:
    """Return ResNet-18, with random weights unless others are asked for.

    Args:
        pretrained: True means `weights=ResNet18_Weights.IMAGENET1K_V1`, as in older torchvision.
        progress: whether to show a progress bar while downloading.
        weights: an entry of `ResNet18_Weights` or its name, such as "DEFAULT".
        options: passed on to `ResNet`.

    Raises:
        lazygrad.hub.DownloadError: the checkpoint is in no cache and cannot be downloaded.
    """
    entry = ResNet18_Weights.chosen(weights, pretrained, ResNet18_Weights.IMAGENET1K_V1)
    return _resnet(BasicBlock, [2, 2, 2, 2], entry, progress, options)


def resnet34(
    pretrained: bool = False,
    progress: bool = True,
    *,
    weights: ResNet34_Weights | str | None = None,
    **options: Any,
) -> ResNet:
    """Return ResNet-34; arguments as for `resnet18`."""
    entry = ResNet34_Weights.chosen(weights, pretrained, ResNet34_Weights.IMAGENET1K_V1)
    return _resnet(BasicBlock, [3, 4, 6, 3], entry, progress, options)


def resnet50(
    pretrained: bool = False,
    progress: bool = True,
    *,
    weights: ResNet50_Weights | str | None = None,
    **options: Any,
) -> ResNet:
    """Return ResNet-50; arguments as for `resnet18`."""
    entry = ResNet50_Weights.chosen(weights, pretrained, ResNet50_Weights.IMAGENET1K_V1)
    return _resnet(Bottleneck, [3, 4, 6, 3], entry, progress, options)
