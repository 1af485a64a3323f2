"""The workloads for graphics processors, in the order of their importance: what comes last is left out first.

In: whether sizes are for a graphics processor, or so small that an interpreter runs them in seconds.
"""

from __future__ import annotations

from benchmarks.frameworks import Precision
from benchmarks.workloads.gpt import GPTSizes, attention_flops
from benchmarks.workloads.gpt import training_flops as gpt_flops
from benchmarks.workloads.operations import (
    causal_attention,
    chain,
    forward,
    forward_and_backward,
    layer_norm,
    matrix_product,
    softmax,
    sum_of_chain,
)
from benchmarks.workloads.resnet import ResNetSizes, parameters
from benchmarks.workloads.resnet import training_flops as resnet_flops
from benchmarks.workloads.training import gpt_step, mlp_step, resnet_step, sgd_update
from benchmarks.workloads.workload import (
    FLOAT32_BYTES,
    RESNET_DEPTH,
    TRAINED_STEPS,
    TRAINING_DEPTH,
    Build,
    Workload,
)

TRAINING_LIMIT = 90.0
LIMIT = 40.0


def graphics_suite(tiny: bool = False) -> tuple[Workload, ...]:
    """Every workload."""
    return (
        _resnet("bfloat16", tiny),
        _gpt(tiny),
        _resnet("high", tiny),
        *(_product(extent, precision) for precision in ("bfloat16", "high") for extent in _extents(tiny)),
        _attention(tiny),
        *_rows(tiny),
        *_elementwise(tiny),
        _sgd(tiny),
        _mlp(tiny),
        _resnet("highest", tiny),
    )


def _resnet(precision: Precision, tiny: bool) -> Workload:
    sizes = ResNetSizes(widths=(8,), blocks=1, classes=10) if tiny else ResNetSizes()
    batch, size = (2, 16) if tiny else (256, 224)
    return Workload(
        name=f"resnet18_{_short(precision)}",
        build=resnet_step(sizes, batch, size),
        precision=precision,
        flops=resnet_flops(sizes, batch, size),
        steps=TRAINED_STEPS,
        depth=RESNET_DEPTH,
        images=True,
        limit=TRAINING_LIMIT,
    )


def _gpt(tiny: bool) -> Workload:
    sizes = GPTSizes(layers=1, width=32, heads=2, context=16, vocabulary=64) if tiny else GPTSizes()
    batch = 2 if tiny else 8
    return Workload(
        name="gpt2_bf16",
        build=gpt_step(sizes, batch),
        precision="bfloat16",
        flops=gpt_flops(sizes, batch),
        steps=TRAINED_STEPS,
        depth=TRAINING_DEPTH,
        limit=TRAINING_LIMIT,
    )


def _extents(tiny: bool) -> tuple[int, int]:
    return (64, 96) if tiny else (8192, 4096)


def _product(extent: int, precision: Precision) -> Workload:
    itemsize = 2 if precision == "bfloat16" else FLOAT32_BYTES
    return Workload(
        name=f"matmul_{extent}_{_short(precision)}",
        build=forward(matrix_product, (extent, extent), (extent, extent)),
        precision=precision,
        flops=2.0 * extent**3,
        bytes=3.0 * extent**2 * itemsize,
        limit=LIMIT,
    )


def _attention(tiny: bool) -> Workload:
    batch, heads, length, width = (1, 2, 40, 16) if tiny else (8, 16, 2048, 64)
    shape = (batch, heads, length, width)
    return Workload(
        name="attention_bf16",
        build=forward_and_backward(causal_attention, shape, shape, shape),
        precision="bfloat16",
        flops=attention_flops(batch, length, heads * width),
        limit=LIMIT,
    )


def _rows(tiny: bool) -> tuple[Workload, ...]:
    extent = 64 if tiny else 8192
    matrix, row = (extent, extent), (extent,)
    size = float(extent**2 * FLOAT32_BYTES)
    return (
        _memory_bound("softmax", forward(softmax, matrix), 2 * size),
        _memory_bound("layer_norm", forward(layer_norm, matrix, row, row), 2 * size),
        _memory_bound("layer_norm_backward", forward_and_backward(layer_norm, matrix, row, row), 4 * size),
    )


def _elementwise(tiny: bool) -> tuple[Workload, ...]:
    extent = 64 if tiny else 8192
    size = float(extent**2 * FLOAT32_BYTES)
    return (
        _memory_bound("chain", forward(chain, (extent, extent)), 2 * size),
        *(
            _memory_bound(f"chain_sum_axis{axis}", forward(sum_of_chain(axis), (extent, extent)), size)
            for axis in (0, 1)
        ),
    )


def _memory_bound(name: str, build: Build, moved: float) -> Workload:
    return Workload(name=name, build=build, bytes=moved, limit=LIMIT)


def _sgd(tiny: bool) -> Workload:
    sizes = ResNetSizes(widths=(8,), blocks=1, classes=10) if tiny else ResNetSizes()
    # Read: parameter, gradient, momentum; written: parameter, momentum.
    return Workload(
        name="sgd_resnet18",
        build=sgd_update(sizes),
        limit=LIMIT,
        bytes=5.0 * FLOAT32_BYTES * parameters(sizes),
        steps=TRAINED_STEPS,
    )


def _mlp(tiny: bool) -> Workload:
    widths = (784, 64, 64, 10)
    batch = 4 if tiny else 32
    return Workload(
        name="mlp",
        build=mlp_step(widths, batch),
        steps=TRAINED_STEPS,
        depth=TRAINING_DEPTH,
        limit=LIMIT,
    )


def _short(precision: Precision) -> str:
    return {"highest": "fp32", "high": "tf32", "bfloat16": "bf16"}[precision]
