"""Single operations on large tensors: products, convolutions, attention, rows, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.frameworks import Framework, Precision, Run, normal
from benchmarks.workloads.workload import Build

# Of a framework's module and the inputs; the result is a tensor.
Function = Callable[..., Any]
Shape = tuple[int, ...]


def forward(function: Function, *shapes: Shape) -> Build:
    """A function of random tensors; ``function(module, *tensors)``."""

    def build(framework: Framework, precision: Precision) -> Run:
        inputs = [_random(framework, precision, shape, f"input {i}") for i, shape in enumerate(shapes)]
        return Run(framework.forward(lambda *tensors: function(framework.module, *tensors), inputs))

    return build


def forward_and_backward(function: Function, *shapes: Shape) -> Build:
    """The same with the gradients of all inputs along a random cotangent; the result has the first input's shape."""

    def build(framework: Framework, precision: Precision) -> Run:
        inputs = [_random(framework, precision, shape, f"input {i}", True) for i, shape in enumerate(shapes)]
        cotangent = _random(framework, precision, shapes[0], "cotangent")
        return Run(
            framework.gradients(lambda *tensors: function(framework.module, *tensors), inputs, cotangent)
        )  # fmt: skip

    return build


def convolution_gradient(which: int, image: Shape, weight: Shape, result: Shape, stride: int, padding: int) -> Build:
    """The gradient of conv2d by its image (``which`` 0) or its weight (1) alone."""

    def build(framework: Framework, precision: Precision) -> Run:
        x, w = (_random(framework, precision, shape, f"input {i}") for i, shape in enumerate((image, weight)))
        cotangent = _random(framework, precision, result, "cotangent")
        return Run(framework.convolution_gradient(which, x, w, cotangent, stride, padding))

    return build


def _random(
    framework: Framework, precision: Precision, shape: Shape, name: str, requires_grad: bool = False
) -> Any:  # fmt: skip
    return framework.tensor(normal(shape, name), "bfloat16" if precision == "bfloat16" else "float32", requires_grad)


def matrix_product(module: Any, a: Any, b: Any) -> Any:
    return a @ b


def convolution(stride: int, padding: int) -> Function:
    return lambda module, x, w: module.nn.functional.conv2d(x, w, stride=stride, padding=padding)


def causal_attention(module: Any, q: Any, k: Any, v: Any) -> Any:
    return module.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def softmax(module: Any, x: Any) -> Any:
    return module.softmax(x, -1)


def layer_norm(module: Any, x: Any, weight: Any, bias: Any) -> Any:
    return module.nn.functional.layer_norm(x, weight.shape, weight, bias)


def layer_norm_gelu(approximate: str) -> Function:
    """``approximate`` is torch's: "none" or "tanh"."""

    def function(module: Any, x: Any, weight: Any, bias: Any) -> Any:
        return module.nn.functional.gelu(layer_norm(module, x, weight, bias), approximate=approximate)

    return function


def chain(module: Any, a: Any) -> Any:
    return module.tanh(2 * a + 1) * module.sigmoid(a) - 0.01 * module.exp(a)


def sum_of_chain(axis: int) -> Function:
    return lambda module, a: chain(module, a).sum(axis)


def sum_of_squares(axis: int | None) -> Function:
    """Over one axis, or all."""
    return lambda module, a: (a * a).sum() if axis is None else (a * a).sum(axis)
