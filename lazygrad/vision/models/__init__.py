"""Image classifiers with torchvision's structure, state dict keys and pretrained weights."""

from lazygrad.vision.models.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    resnet18,
    resnet34,
    resnet50,
)
from lazygrad.vision.models.weights import Weights, WeightsEnum

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "Weights",
    "WeightsEnum",
    "resnet18",
    "resnet34",
    "resnet50",
]
