"""JAX: every step is one function of all that it reads, compiled by ``jax.jit``; state passes through it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod, sqrt
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy

from benchmarks.frameworks.data import Array, weights
from benchmarks.frameworks.face import EPSILON, Variable, face
from benchmarks.frameworks.framework import Framework, Optimizer, Precision, Run, compared

# torch's default for Adam and AdamW.
ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8


@jax.tree_util.register_pytree_node_class
class Tensor:
    """An array with torch's methods, as far as workloads use them. They cost something while a step is traced only."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def tree_flatten(self) -> tuple[tuple[Any], None]:
        return (self.array,), None

    @classmethod
    def tree_unflatten(cls, _: None, children: tuple[Any]) -> Tensor:
        return cls(*children)

    shape = property(lambda self: self.array.shape)
    device = None

    def detach(self) -> Tensor:
        return self

    def reshape(self, *shape: int) -> Tensor:
        return Tensor(self.array.reshape(shape))

    def transpose(self, first: int, second: int) -> Tensor:
        return Tensor(jnp.swapaxes(self.array, first, second))

    def split(self, size: int, dim: int) -> list[Tensor]:
        return [Tensor(part) for part in jnp.split(self.array, self.shape[dim] // size, dim)]

    def mean(self, axis: Any) -> Tensor:
        return Tensor(self.array.mean(axis))

    def sum(self, axis: Any = None) -> Tensor:
        return Tensor(self.array.sum(axis))

    def __add__(self, other: Any) -> Tensor:
        return Tensor(self.array + _array(other))

    def __sub__(self, other: Any) -> Tensor:
        return Tensor(self.array - _array(other))

    def __mul__(self, other: Any) -> Tensor:
        return Tensor(self.array * _array(other))

    def __matmul__(self, other: Any) -> Tensor:
        return Tensor(self.array @ _array(other))

    __radd__, __rmul__ = __add__, __mul__


def _array(value: Any) -> Any:
    return value.array if isinstance(value, Tensor) else value


def _of_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of tensors that a function of arrays is."""

    def wrapped(*inputs: Any, **options: Any) -> Any:
        found = function(*map(_array, inputs), **options)
        return tuple(map(Tensor, found)) if isinstance(found, tuple) else Tensor(found)

    return wrapped


def _conv2d(x: Any, w: Any, stride: int = 1, padding: int = 0) -> Any:
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
    )


def _max_pool2d(x: Any, kernel: int, stride: int, padding: int) -> Any:
    around = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, kernel, kernel), (1, 1, stride, stride), around)


def _layer_norm(x: Any, shape: Sequence[int], weight: Any, bias: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + EPSILON) * weight + bias


def _normalize(x: Any, mean: Any, var: Any, weight: Any, bias: Any) -> Any:
    mean, var, weight, bias = (a[:, None, None] for a in (mean, var, weight, bias))
    return (x - mean) * jax.lax.rsqrt(var + EPSILON) * weight + bias


def _attention(q: Any, k: Any, v: Any, is_causal: bool = False) -> Any:
    scores = q @ jnp.swapaxes(k, -1, -2) / sqrt(q.shape[-1])
    if is_causal:
        scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], bool)), scores, -jnp.inf)
    return jax.nn.softmax(scores, -1) @ v


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits, -1), labels[:, None], 1).mean()


def _functions() -> SimpleNamespace:
    of_arrays = {
        "relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "exp": jnp.exp, "softmax": jax.nn.softmax,
        "conv2d": _conv2d, "max_pool2d": _max_pool2d, "layer_norm": _layer_norm, "normalize": _normalize,
        "linear": lambda x, w, b: x @ w.T if b is None else x @ w.T + b,
        "embedding": lambda indices, table: table[indices],
        "gelu": lambda x, approximate: jax.nn.gelu(x, approximate == "tanh"),
        "scaled_dot_product_attention": _attention, "cross_entropy": _cross_entropy,
        "moments": lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3))),
    }  # fmt: skip
    return SimpleNamespace(
        cat=lambda tensors, dim: Tensor(jnp.concatenate([t.array for t in tensors], dim)),
        arange=lambda *bounds, device=None: Tensor(jnp.arange(*bounds)),
        keep=lambda variable, value: setattr(variable, "value", value),
        **{name: _of_arrays(function) for name, function in of_arrays.items()},
    )


class Jax(Framework):
    """On the first device of a platform ("cpu", "cuda")."""

    def __init__(self, platform: str) -> None:
        self.platform = platform
        jax.config.update("jax_default_device", jax.devices(platform)[0])
        self.module = face(_functions(), self.tensor)
        self._submitted: Sequence[Any] = ()

    def tensor(self, array: Array, dtype: str = "", requires_grad: bool = False) -> Any:
        # A copy in any case: the array is somebody else's input, too.
        return Tensor(jnp.array(array, dtype or None))

    def numpy(self, tensor: Any) -> Array:
        found = numpy.asarray(_array(tensor))
        return found.astype(numpy.float32) if found.dtype.kind not in "biuf" else found

    def realize(self, *tensors: Any) -> None:
        self._submitted = [_array(tensor) for tensor in tensors]

    def synchronize(self) -> None:
        jax.block_until_ready(self._submitted)

    def release(self) -> None:
        self._submitted = ()
        gc.collect()
        jax.clear_caches()

    def forward(self, function: Callable[..., Any], inputs: Iterable[Any]) -> Callable[[], Sequence[Any]]:
        run = jax.jit(function)

        def step() -> Sequence[Any]:
            result = run(*inputs)
            return (result,) if isinstance(result, Tensor) else result

        return step

    def gradients(
        self, function: Callable[..., Any], inputs: Sequence[Any], cotangent: Any
    ) -> Callable[[], Sequence[Any]]:
        @jax.jit
        def run(cotangent: Any, *inputs: Any) -> Any:
            result, backward = jax.vjp(function, *inputs)
            return result, *backward(cotangent)

        return lambda: run(cotangent, *inputs)

    def convolution_gradient(
        self, which: int, image: Any, weight: Any, cotangent: Any, stride: int, padding: int
    ) -> Callable[[], Sequence[Any]]:
        @jax.jit
        def run(cotangent: Any, image: Any, weight: Any) -> Any:
            _, backward = jax.vjp(lambda *of: self.module.conv2d(*of, stride=stride, padding=padding), image, weight)
            return backward(cotangent)[which]

        return lambda: (run(cotangent, image, weight),)

    def training(
        self, model: Any, optimizer: Optimizer, precision: Precision, batch: Iterable[Any], launch_bound: bool
    ) -> Run:
        named = dict(model.named_parameters())
        variables, statistics = list(named.values()), model.statistics()
        looked_at = compared(list(named))
        positions = [list(named).index(name) for name in looked_at]

        def loss_of(values: Any, statistics_values: Any, inputs: Any, targets: Any) -> Any:
            _put(variables, values)
            _put(statistics, statistics_values)
            logits = model(inputs)
            loss = self.module.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)
            return loss.array, [variable.value for variable in statistics]

        def whole(values: Any, statistics_values: Any, state: Any, inputs: Any, targets: Any) -> Any:
            differentiated = jax.value_and_grad(loss_of, has_aux=True)
            (loss, kept), gradients = differentiated(values, statistics_values, inputs, targets)
            new, state = _update(optimizer, values, gradients, state)
            return new, kept, state, loss, [gradients[i] for i in positions]

        run = jax.jit(whole, donate_argnums=(0, 1, 2))
        now: dict[str, Any] = {
            "values": [variable.value for variable in variables],
            "statistics": [variable.value for variable in statistics],
        }
        now["state"] = _initial_state(optimizer, now["values"])

        def step() -> Sequence[Any]:
            now["values"], now["statistics"], now["state"], loss, now["gradients"] = run(
                now["values"], now["statistics"], now["state"], *batch
            )
            return (loss,)

        def left_behind() -> Mapping[str, Any]:
            return {f"gradient of {n}": g for n, g in zip(looked_at, now["gradients"], strict=True)}

        return Run(step, left_behind)

    def update(self, model: Any, gradients: Mapping[str, Array], optimizer: Optimizer) -> Callable[[], Sequence[Any]]:
        along = [self.tensor(gradients[name]) for name, _ in model.named_parameters()]
        run = jax.jit(lambda values, state: _update(optimizer, values, along, state), donate_argnums=(0, 1))
        now: dict[str, Any] = {"values": [variable.value for variable in model.parameters()]}
        now["state"] = _initial_state(optimizer, now["values"])

        def step() -> Sequence[Any]:
            now["values"], now["state"] = run(now["values"], now["state"])
            return now["values"]

        return step

    def inference(self, model: Any, inputs: Iterable[Any]) -> Callable[[], Sequence[Any]]:
        model.eval()
        variables = [*model.parameters(), *model.statistics()]

        @jax.jit
        def run(values: Any, *inputs: Any) -> Any:
            _put(variables, values)
            return model(*inputs)

        values = [variable.value for variable in variables]

        def step() -> Sequence[Any]:
            result = run(values, *inputs)
            return (result,) if isinstance(result, Tensor) else result

        return step

    def bare_model(self, make: Callable[[Any], Any]) -> Any:
        made = make(self.module)
        keys = jax.random.split(jax.random.key(0), len(made.parameters()))
        for key, variable in zip(keys, made.parameters(), strict=True):
            if len(variable.shape) > 1:
                scale = sqrt(2 / prod(variable.shape[1:]))
                variable.value = Tensor(jax.random.normal(key, variable.shape) * scale)
        return made

    def fill(self, model: Any) -> None:
        for name, variable in model.named_parameters():
            variable.value = self.tensor(weights(name, variable.shape))

    def set_precision(self, precision: Precision) -> None:
        if precision == "bfloat16":
            raise NotImplementedError("JAX has no region of mixed precision")
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if precision == "high" else "highest")


def _put(variables: Sequence[Variable], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.value = value


# ---- torch's optimizers, of lists of tensors


def _initial_state(optimizer: Optimizer, values: Sequence[Any]) -> Any:
    zeros = [Tensor(jnp.zeros_like(value.array)) for value in values]
    if optimizer.kind == "SGD":
        return zeros
    return zeros, [Tensor(jnp.zeros_like(value.array)) for value in values], jnp.zeros((), jnp.int32)


def _update(optimizer: Optimizer, values: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
    rate, decay = optimizer.options["lr"], optimizer.options.get("weight_decay", 0.0)
    if optimizer.kind == "SGD":
        momentum = optimizer.options["momentum"]
        # torch's first step has the gradient itself as momentum: so it is, from zeros.
        state = [
            momentum * m + (g + decay * p if decay else g) for m, g, p in zip(state, gradients, values, strict=True)
        ]
        return [p - rate * m for p, m in zip(values, state, strict=True)], state
    first, second, count = state
    (b1, b2), count = optimizer.options.get("betas", ADAM_BETAS), count + 1
    if optimizer.kind == "AdamW":
        values = [(1 - rate * decay) * p for p in values]
    first = [b1 * m + (1 - b1) * g for m, g in zip(first, gradients, strict=True)]
    second = [b2 * v + (1 - b2) * (g * g) for v, g in zip(second, gradients, strict=True)]
    step, root = rate / (1 - b1**count), jnp.sqrt(1 - b2**count)
    values = [
        Tensor(p.array - step * m.array / (jnp.sqrt(v.array) / root + ADAM_EPSILON))
        for p, m, v in zip(values, first, second, strict=True)
    ]
    return values, (first, second, count)
