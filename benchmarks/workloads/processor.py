"""The workloads for processors: names of members of families, and what lazygrad is to reach on them.

A target is the ratio of lazygrad's time (OpenCL on PoCL, all cores) to that of the best of torch: eager or compiled, in
either layout.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.workloads.families import RESNET, convolution_name
from benchmarks.workloads.resnet import convolutions

TARGETS = {
    "resnet18_train_32x64x64": 0.60,
    "resnet18_train_8x224x224": 0.65,
    "resnet18_train_1x64x64": 0.60,
    "resnet18_infer_32x64x64": 0.75,
    "resnet18_infer_1x224x224": 0.75,
    "gpt_train_8x128": 0.80,
    "mlp_train_128": 0.75,
    "matmul_1024": 1.05,
    "matmul_2048": 1.05,
    "chain_4096": 0.35,
    "softmax_4096": 0.35,
    "layer_norm_gelu_4096": 0.35,
    "layer_norm_gelu_tanh_4096": 0.35,
    "sum_of_squares_axis0_4096": 0.75,
    "sum_of_squares_axis1_4096": 0.75,
    "sum_of_squares_all_4096": 0.75,
    "sgd_update_resnet18": 0.70,
}
WITHOUT_TARGET = (
    "gpt_decode_1x128",
    "matmul_512",
    # Extents that no vector and no tile divides.
    "matmul_1024x1023x1025",
    "matmul_1021x1024x1019",
)
# Batch and extent of ResNet's images whose convolutions are measured one by one.
CONVOLVED = ((32, 64), (8, 224))


def processor_names() -> list[str]:
    """Of every workload, whole programs first."""
    return [*dict.fromkeys((*TARGETS, *WITHOUT_TARGET, *_convolution_names()))]


def _convolution_names() -> Iterator[str]:
    """Each convolution of ResNet-18, forward and its gradients; nobody needs that of the images."""
    for batch, size in CONVOLVED:
        for number, c in enumerate(dict.fromkeys(convolutions(RESNET))):
            extent = (size >> c.halvings) * c.stride
            image, weight = (batch, c.inputs, extent, extent), (c.outputs, c.kernel, c.kernel)
            for kind in ("forward", "by_input", "by_weight") if number else ("forward", "by_weight"):
                yield convolution_name(kind, image, weight, c.stride, c.kernel // 2)
