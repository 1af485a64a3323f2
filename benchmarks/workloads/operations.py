"""Single operations on large tensors: products, attention, rows, element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.frameworks import Framework, normal
from benchmarks.workloads.workload import Precision, Run

# Of a framework's module and the inputs; the result is a tensor.
Function = Callable[..., Any]


def forward(function: Function, *shapes: tuple[int, ...]) -> Callable[[Framework, Precision], Run]:
    """A function of random tensors; ``function(module, *tensors)``."""

    def build(framework: Framework, precision: Precision) -> Run:
        inputs = _inputs(framework, precision, shapes, False)
        run = framework.compiled(lambda *tensors: function(framework.module, *tensors))

        def step() -> Sequence[Any]:
            return (run(*inputs),)

        return Run(step)

    return build


def forward_and_backward(function: Function, *shapes: tuple[int, ...]) -> Callable[[Framework, Precision], Run]:
    """The same with the gradients of all inputs along a random cotangent; the result has the first input's shape."""

    def build(framework: Framework, precision: Precision) -> Run:
        inputs = _inputs(framework, precision, shapes, True)
        (cotangent,) = _inputs(framework, precision, shapes[:1], False, "cotangent")
        run = framework.compiled(lambda *tensors: function(framework.module, *tensors))

        def step() -> Sequence[Any]:
            result = run(*inputs)
            return (result.detach(), *framework.module.autograd.grad(result, inputs, cotangent))

        return Run(step)

    return build


def _inputs(
    framework: Framework, precision: Precision, shapes: Sequence[tuple[int, ...]], requires_grad: bool,
    name: str = "input",
) -> tuple[Any, ...]:  # fmt: skip
    dtype = "bfloat16" if precision == "bfloat16" else "float32"
    return tuple(
        framework.tensor(normal(shape, f"{name} {number}"), dtype, requires_grad) for number, shape in enumerate(shapes)
    )


def matrix_product(module: Any, a: Any, b: Any) -> Any:
    return a @ b


def causal_attention(module: Any, q: Any, k: Any, v: Any) -> Any:
    return module.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def softmax(module: Any, x: Any) -> Any:
    return module.softmax(x, -1)


def layer_norm(module: Any, x: Any, weight: Any, bias: Any) -> Any:
    return module.nn.functional.layer_norm(x, weight.shape, weight, bias)


def chain(module: Any, a: Any) -> Any:
    return module.tanh(2 * a + 1) * module.sigmoid(a) - 0.01 * module.exp(a)


def sum_of_chain(axis: int) -> Function:
    return lambda module, a: chain(module, a).sum(axis)
