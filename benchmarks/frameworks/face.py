"""torch's names for frameworks that have others: modules and functions, as far as workloads use them.

In: what a framework computes with, as functions of its tensors. Out: a namespace in torch's place, so that models have
one source. A parameter's tensor may be replaced: frameworks without state pass tensors through a step and put them
back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy

from benchmarks.frameworks.data import Array

EPSILON = 1e-5
MOMENTUM = 0.1


class Variable:
    """A parameter or a running statistic; ``value`` is the framework's tensor."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's."""
        return tuple(self.value.shape)


class Module:
    """Holds variables and modules as attributes, as torch's does; names and their order are the same."""

    training = True

    def __call__(self, *inputs: Any) -> Any:
        return self.forward(*inputs)

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError

    def modules(self) -> Iterator[Module]:
        """Itself and all below."""
        yield self
        for child in self._children().values():
            yield from child.modules()

    def _children(self) -> dict[str, Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def _variables(self) -> dict[str, Variable]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Variable)}

    def named_parameters(self) -> Iterator[tuple[str, Variable]]:
        """Each once, under its first name."""
        seen: set[int] = set()
        for name, variable in self._named("", lambda name: not name.startswith("running_")):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield name, variable

    def parameters(self) -> list[Variable]:
        """In the order of their names."""
        return [variable for _, variable in self.named_parameters()]

    def statistics(self) -> list[Variable]:
        """Running means and variances."""
        return [variable for _, variable in self._named("", lambda name: name.startswith("running_"))]

    def _named(self, prefix: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Variable]]:
        for name, variable in self._variables().items():
            if wanted(name):
                yield prefix + name, variable
        for name, child in self._children().items():
            yield from child._named(f"{prefix}{name}.", wanted)

    def eval(self) -> Module:
        """For inference."""
        for module in self.modules():
            module.training = False
        return self


class ModuleList(Module):
    """Modules by number."""

    def __init__(self, modules: Sequence[Module]) -> None:
        for number, module in enumerate(modules):
            setattr(self, str(number), module)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._children().values())


class Sequential(ModuleList):
    """One after the other."""

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x


def face(functions: SimpleNamespace, tensor: Callable[[Array], Any]) -> SimpleNamespace:
    """A namespace with torch's names.

    Args:
        functions: of the framework's tensors: relu, tanh, sigmoid, exp, softmax, cat, arange, conv2d, max_pool2d,
            linear, embedding, layer_norm, gelu, scaled_dot_product_attention, cross_entropy with torch's arguments;
            ``moments(x)`` over all but the channels, ``normalize(x, mean, var, weight, bias)``, and
            ``keep(variable, value)``, which sets a running statistic.
        tensor: makes one of an array.
    """

    def variable(*shape: int, value: float = 0.0) -> Variable:
        return Variable(tensor(numpy.full(shape, value, numpy.float32)))

    class Linear(Module):
        def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
            self.weight = variable(outputs, inputs)
            self.bias = variable(outputs) if bias else None

        def forward(self, x: Any) -> Any:
            return functions.linear(x, self.weight.value, self.bias.value if self.bias else None)

    class Conv2d(Module):
        def __init__(
            self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = False
        ) -> None:
            if bias:
                raise NotImplementedError("no workload has convolutions with biases")
            self.weight = variable(outputs, inputs, kernel, kernel)
            self.stride, self.padding = stride, padding

        def forward(self, x: Any) -> Any:
            return functions.conv2d(x, self.weight.value, stride=self.stride, padding=self.padding)

    class BatchNorm2d(Module):
        def __init__(self, channels: int) -> None:
            self.weight, self.bias = variable(channels, value=1.0), variable(channels)
            self.running_mean, self.running_var = variable(channels), variable(channels, value=1.0)

        def forward(self, x: Any) -> Any:
            if not self.training:
                mean, var = self.running_mean.value, self.running_var.value
                return functions.normalize(x, mean, var, self.weight.value, self.bias.value)
            mean, var = functions.moments(x)
            count = x.shape[0] * x.shape[2] * x.shape[3]
            for running, new in ((self.running_mean, mean), (self.running_var, var * (count / max(count - 1, 1)))):
                functions.keep(running, (1 - MOMENTUM) * running.value + MOMENTUM * new)
            return functions.normalize(x, mean, var, self.weight.value, self.bias.value)

    class LayerNorm(Module):
        def __init__(self, width: int) -> None:
            self.weight, self.bias = variable(width, value=1.0), variable(width)

        def forward(self, x: Any) -> Any:
            return functions.layer_norm(x, self.weight.shape, self.weight.value, self.bias.value)

    class Embedding(Module):
        def __init__(self, entries: int, width: int) -> None:
            self.weight = variable(entries, width)

        def forward(self, indices: Any) -> Any:
            return functions.embedding(indices, self.weight.value)

    class MaxPool2d(Module):
        def __init__(self, kernel: int, stride: int, padding: int) -> None:
            self.sizes = kernel, stride, padding

        def forward(self, x: Any) -> Any:
            return functions.max_pool2d(x, *self.sizes)

    class ReLU(Module):
        def forward(self, x: Any) -> Any:
            return functions.relu(x)

    layers = (Linear, Conv2d, BatchNorm2d, LayerNorm, Embedding, MaxPool2d, ReLU, Module, ModuleList, Sequential)
    nn = SimpleNamespace(functional=functions, **{layer.__name__: layer for layer in layers})
    return SimpleNamespace(nn=nn, no_grad=nullcontext, **vars(functions))
