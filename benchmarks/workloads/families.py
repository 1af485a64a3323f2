"""Families of workloads whose names tell their sizes, so that any size can be asked for.

resnet18_train_32x64x64     batch x height x width of the images; resnet18_infer_ likewise
gpt_train_8x128             batch x context of a GPT with 4 layers of 256 and 4 heads; gpt_decode_ likewise
mlp_train_128               batch of a perceptron 784-512-512-10
matmul_1024                 extent, or rows x summed x columns
conv_forward_32x64x16x16_64x3x3_s1_p1
                            image, weight without its input channels, stride, padding; conv_by_input_ and
                            conv_by_weight_ are its gradients
chain_4096, softmax_4096, layer_norm_gelu_4096, layer_norm_gelu_tanh_4096
                            extent of a square matrix, or rows x columns
sum_of_squares_axis0_4096   likewise, also _axis1_ and _all_
sgd_update_resnet18         momentum and weight decay
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

from benchmarks.workloads import gpt as gpt_model
from benchmarks.workloads import operations, resnet, training
from benchmarks.workloads.gpt import GPTSizes
from benchmarks.workloads.resnet import ResNetSizes
from benchmarks.workloads.workload import (
    FLOAT32_BYTES,
    RESNET_DEPTH,
    TRAINED_STEPS,
    TRAINING_DEPTH,
    Workload,
)

RESNET = ResNetSizes()
MLP_WIDTHS = (784, 512, 512, 10)
# A vocabulary of bytes.
SMALL_GPT = {"layers": 4, "width": 256, "heads": 4, "vocabulary": 256}
NAMED_ELEMENTWISE: dict[str, tuple[Callable[..., Any], int]] = {
    # A function, and how many rows it takes as further inputs.
    "chain": (operations.chain, 0),
    "softmax": (operations.softmax, 0),
    "layer_norm_gelu": (operations.layer_norm_gelu("none"), 2),
    "layer_norm_gelu_tanh": (operations.layer_norm_gelu("tanh"), 2),
}


def family_member(name: str) -> Workload:
    """The workload of a name; KeyError where no family has it."""
    for pattern, make in _FAMILIES:
        if match := re.fullmatch(pattern, name):
            return make(name, *match.groups())
    raise KeyError(name)


def convolution_name(kind: str, image: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int) -> str:
    """``kind`` is forward, by_input or by_weight; ``image`` (N, C, H, W), ``weight`` (outputs, height, width)."""
    return f"conv_{kind}_{'x'.join(map(str, image))}_{'x'.join(map(str, weight))}_s{stride}_p{padding}"


def _resnet(name: str, kind: str, sizes: str) -> Workload:
    batch, height, width = _numbers(sizes)
    if height != width:
        raise KeyError(f"{name}: images are square")
    if kind == "infer":
        build = training.resnet_inference(RESNET, batch, height)
        flops = resnet.inference_flops(RESNET, batch, height)
        return Workload(name=name, build=build, flops=flops, depth=TRAINING_DEPTH, images=True, whole=True)
    return Workload(
        name=name,
        build=training.resnet_step(RESNET, batch, height),
        flops=resnet.training_flops(RESNET, batch, height),
        steps=TRAINED_STEPS,
        depth=RESNET_DEPTH,
        images=True,
        whole=True,
    )


def _gpt(name: str, kind: str, sizes: str) -> Workload:
    batch, context = _numbers(sizes)
    gpt = GPTSizes(context=context, **SMALL_GPT)
    if kind == "decode":
        return Workload(
            name=name,
            build=training.gpt_decoding(gpt, batch),
            flops=gpt_model.decoding_flops(gpt, batch),
            bytes=gpt_model.decoding_bytes(gpt, batch),
            depth=TRAINING_DEPTH,
            whole=True,
        )
    return Workload(
        name=name,
        build=training.gpt_step(gpt, batch),
        flops=gpt_model.training_flops(gpt, batch),
        steps=TRAINED_STEPS,
        depth=TRAINING_DEPTH,
        whole=True,
    )


def _mlp(name: str, batch: str) -> Workload:
    first, *others = (a * b for a, b in pairwise(MLP_WIDTHS))
    return Workload(
        name=name,
        build=training.mlp_step(MLP_WIDTHS, int(batch)),
        flops=2.0 * int(batch) * (2 * first + 3 * sum(others)),
        steps=TRAINED_STEPS,
        depth=TRAINING_DEPTH,
        whole=True,
    )


def _matmul(name: str, sizes: str) -> Workload:
    found = _numbers(sizes)
    m, k, n = found * 3 if len(found) == 1 else found
    return Workload(
        name=name,
        build=operations.forward(operations.matrix_product, (m, k), (k, n)),
        flops=2.0 * m * k * n,
        bytes=FLOAT32_BYTES * (m * k + k * n + m * n),
    )


def _convolution(name: str, kind: str, image_sizes: str, weight_sizes: str, stride: str, padding: str) -> Workload:
    image = batch, channels, height, width = _numbers(image_sizes)
    outputs, kernel_height, kernel_width = _numbers(weight_sizes)
    weight = (outputs, channels, kernel_height, kernel_width)
    s, p = int(stride), int(padding)
    result = (batch, outputs, (height + 2 * p - kernel_height) // s + 1, (width + 2 * p - kernel_width) // s + 1)
    if kind == "forward":
        build = operations.forward(operations.convolution(s, p), image, weight)
    else:
        build = operations.convolution_gradient(int(kind == "by_weight"), image, weight, result, s, p)
    return Workload(
        name=name,
        build=build,
        flops=2.0 * prod(result) * channels * kernel_height * kernel_width,
        bytes=FLOAT32_BYTES * float(prod(image) + prod(weight) + prod(result)),
        images=True,
    )


def _elementwise(name: str, kind: str, sizes: str) -> Workload:
    rows, columns = _matrix(sizes)
    function, further = NAMED_ELEMENTWISE[kind]
    return Workload(
        name=name,
        build=operations.forward(function, (rows, columns), *((columns,),) * further),
        bytes=FLOAT32_BYTES * float(2 * rows * columns),
    )


def _sum_of_squares(name: str, over: str, sizes: str) -> Workload:
    shape = _matrix(sizes)
    axis = None if over == "all" else int(over.removeprefix("axis"))
    return Workload(
        name=name,
        build=operations.forward(operations.sum_of_squares(axis), shape),
        bytes=FLOAT32_BYTES * float(prod(shape)),
    )


def _sgd(name: str) -> Workload:
    # Read: parameter, gradient, momentum; written: parameter, momentum.
    return Workload(
        name=name,
        build=training.sgd_update(RESNET),
        bytes=5.0 * FLOAT32_BYTES * resnet.parameters(RESNET),
        steps=TRAINED_STEPS,
    )


def _numbers(sizes: str) -> tuple[int, ...]:
    return tuple(map(int, sizes.split("x")))


def _matrix(sizes: str) -> tuple[int, int]:
    found = _numbers(sizes)
    return found[0], found[-1]


_TWO = r"(\d+x\d+)"
_THREE = r"(\d+x\d+x\d+)"
_MATRIX = r"(\d+(?:x\d+)?)"
_FAMILIES: tuple[tuple[str, Callable[..., Workload]], ...] = (
    (rf"resnet18_(train|infer)_{_THREE}", _resnet),
    (rf"gpt_(train|decode)_{_TWO}", _gpt),
    (r"mlp_train_(\d+)", _mlp),
    (r"matmul_(\d+|\d+x\d+x\d+)", _matmul),
    (rf"conv_(forward|by_input|by_weight)_(\d+x\d+x\d+x\d+)_{_THREE}_s(\d+)_p(\d+)", _convolution),
    (rf"({'|'.join(NAMED_ELEMENTWISE)})_{_MATRIX}", _elementwise),
    (rf"sum_of_squares_(axis0|axis1|all)_{_MATRIX}", _sum_of_squares),
    (r"sgd_update_resnet18", _sgd),
)
