"""Layers, containers, losses and initialisation, with torch.nn's names.

A layer is a composition: it holds parameters and calls `nn.functional`; it knows no backend and no kernel.
"""

from lazygrad.nn import functional, init, utils
from lazygrad.nn.activation import (
    ELU,
    GELU,
    Hardtanh,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from lazygrad.nn.batchnorm import BatchNorm1d, BatchNorm2d
from lazygrad.nn.container import ModuleDict, ModuleList, ParameterList, Sequential
from lazygrad.nn.conv import Conv2d
from lazygrad.nn.dropout import Dropout, Dropout2d
from lazygrad.nn.flatten import Flatten, Unflatten
from lazygrad.nn.linear import Identity, Linear
from lazygrad.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from lazygrad.nn.module import Module
from lazygrad.nn.normalization import GroupNorm, LayerNorm
from lazygrad.nn.parameter import Buffer, Parameter
from lazygrad.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from lazygrad.nn.sparse import Embedding

__all__ = [
    "ELU",
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "Hardtanh",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ParameterList",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Tanh",
    "Unflatten",
    "functional",
    "init",
    "utils",
]
