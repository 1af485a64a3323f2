"""What a workload may ask of a framework: tensors of NumPy arrays, models, steps, waiting, reading back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Literal

from benchmarks.frameworks.data import Array, weights

# How products are computed: float32 ("highest"), TensorFloat32 ("high"), or bfloat16 operands.
Precision = Literal["highest", "high", "bfloat16"]


@dataclass(frozen=True)
class Run:
    """A workload built in a framework.

    ``step`` does it once and returns what has to be computed by then. ``left_behind`` names what the first step leaves
    besides, so that it can be compared: gradients.
    """

    step: Callable[[], Sequence[Any]]
    left_behind: Callable[[], Mapping[str, Any]] = field(default=dict)


@dataclass(frozen=True)
class Optimizer:
    """Its name in torch ("SGD", "Adam", "AdamW") and its options by torch's names."""

    kind: str
    options: Mapping[str, Any]


class InTurn:
    """Batches of tensors: unpacking it gives the next batch, after the last the first again.

    So a step has other inputs than the one before, as it has in use, and nobody gains by remembering what came of them.
    """

    def __init__(self, batches: Iterable[Sequence[Any]]) -> None:
        self._batches = cycle(batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(next(self._batches))


class Framework(ABC):
    """``module`` is the framework itself, or what gives it torch's names as far as workloads use them.

    New tensors and models are made on the device that it was opened for.
    """

    module: Any

    # ---- tensors

    @abstractmethod
    def tensor(self, array: Array, dtype: str = "", requires_grad: bool = False) -> Any:
        """A computed leaf; ``dtype`` by torch's name, unless it is the array's."""

    @abstractmethod
    def numpy(self, tensor: Any) -> Array:
        """The elements, floats as float32."""

    def realize(self, *tensors: Any) -> None:  # noqa: B027, who computes at the call has nothing to do
        """Submits whatever the tensors still need."""

    @abstractmethod
    def synchronize(self) -> None:
        """Waits for everything that was submitted."""

    @abstractmethod
    def release(self) -> None:
        """Gives the memory of dropped tensors back to the device."""

    # ---- what is run

    @abstractmethod
    def forward(self, function: Callable[..., Any], inputs: Iterable[Any]) -> Callable[[], Sequence[Any]]:
        """A step that computes a function of tensors, without gradients; it returns a tensor or a sequence of them."""

    @abstractmethod
    def gradients(
        self, function: Callable[..., Any], inputs: Sequence[Any], cotangent: Any
    ) -> Callable[[], Sequence[Any]]:
        """A step that computes a function and the gradients of all inputs along a cotangent."""

    @abstractmethod
    def convolution_gradient(
        self, which: int, image: Any, weight: Any, cotangent: Any, stride: int, padding: int
    ) -> Callable[[], Sequence[Any]]:
        """A step that computes the gradient of conv2d by its image (``which`` 0) or its weight (1) alone."""

    @abstractmethod
    def training(
        self, model: Any, optimizer: Optimizer, precision: Precision, batch: Iterable[Any], launch_bound: bool
    ) -> Run:
        """A step of forward pass, cross-entropy, backward pass and update; returns the loss, leaves gradients.

        ``batch`` is inputs and targets.
        """

    @abstractmethod
    def update(self, model: Any, gradients: Mapping[str, Array], optimizer: Optimizer) -> Callable[[], Sequence[Any]]:
        """A step that updates all parameters along gradients that stay as they are, and returns the parameters."""

    def inference(self, model: Any, inputs: Iterable[Any]) -> Callable[[], Sequence[Any]]:
        """A step that runs a model in evaluation mode, without gradients."""
        model.eval()
        return self.forward(model, inputs)

    # ---- models

    def model(self, make: Callable[[Any], Any]) -> Any:
        """A model on the device, with weights that are the same in every framework."""
        made = self.bare_model(make)
        self.fill(made)
        return made

    def bare_model(self, make: Callable[[Any], Any]) -> Any:
        """A model on the device with the framework's own initial weights."""
        return make(self.module)

    def settle(self, model: Any) -> None:  # noqa: B027, who computes at the call has nothing to do
        """Submits whatever a model's initial weights still need, so that it is no part of the first step."""

    @abstractmethod
    def fill(self, model: Any) -> None:
        """Sets all parameters to ``weights`` of their names."""

    # ---- settings and figures

    @abstractmethod
    def set_precision(self, precision: Precision) -> None:
        """How float32 products are computed from now on: "high" in TensorFloat32, all others in float32."""

    def counters(self) -> dict[str, int]:
        """What the framework's runtime did so far, if it counts."""
        return {}

    def launches(self, step: Callable[[], object]) -> int | None:
        """How often kernels or graphs of kernels are launched when ``step`` runs; None where nobody can tell.

        Slows down whatever the process launches later.
        """
        return None


class TorchLike(Framework):
    """Those whose tensors, modules and optimizers are used as torch's are: eager-looking code in loops."""

    def compiled(self, function: Callable[..., Any], launch_bound: bool = False) -> Callable[..., Any]:
        """The function as it is run: itself, unless there is a compiler for it."""
        return function

    def whole_step(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A whole training step as it is run, where a compiler takes it whole."""
        return step

    @abstractmethod
    def optimizer(self, parameters: Iterable[Any], optimizer: Optimizer) -> Any:
        """The framework's fastest optimizer of a kind."""

    @abstractmethod
    def autocast(self) -> AbstractContextManager[Any]:
        """A region of automatic mixed precision in bfloat16."""

    def within(self, precision: Precision) -> AbstractContextManager[Any]:
        """The region that a forward pass of a precision is in."""
        return self.autocast() if precision == "bfloat16" else nullcontext()

    def forward(self, function: Callable[..., Any], inputs: Iterable[Any]) -> Callable[[], Sequence[Any]]:
        run = self.compiled(function)

        def step() -> Sequence[Any]:
            with self.module.no_grad():
                result = run(*inputs)
            return result if isinstance(result, Sequence) else (result,)

        return step

    def gradients(
        self, function: Callable[..., Any], inputs: Sequence[Any], cotangent: Any
    ) -> Callable[[], Sequence[Any]]:
        run = self.compiled(function)

        def step() -> Sequence[Any]:
            result = run(*inputs)
            return (result.detach(), *self.module.autograd.grad(result, inputs, cotangent))

        return step

    def training(
        self, model: Any, optimizer: Optimizer, precision: Precision, batch: Iterable[Any], launch_bound: bool
    ) -> Run:
        updating = self.optimizer(model.parameters(), optimizer)
        cross_entropy = self.module.nn.functional.cross_entropy

        def loss_of(inputs: Any, targets: Any) -> Any:
            logits = model(inputs)
            return cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)

        compiled = self.compiled(loss_of, launch_bound)

        def step(inputs: Any, targets: Any) -> Any:
            updating.zero_grad()
            with self.within(precision):
                loss = compiled(inputs, targets)
            loss.backward()
            updating.step()
            return loss.detach()

        run = self.whole_step(step)

        def left_behind() -> Mapping[str, Any]:
            named = dict(model.named_parameters())
            return {f"gradient of {name}": named[name].grad for name in compared(list(named))}

        return Run(lambda: (run(*batch),), left_behind)

    def update(self, model: Any, gradients: Mapping[str, Array], optimizer: Optimizer) -> Callable[[], Sequence[Any]]:
        for name, parameter in model.named_parameters():
            parameter.grad = self.tensor(gradients[name])
        run = self.optimizer_step(self.optimizer(model.parameters(), optimizer))
        parameters = list(model.parameters())

        def step() -> Sequence[Any]:
            run()
            return [parameter.detach() for parameter in parameters]

        return step

    def optimizer_step(self, optimizer: Any) -> Callable[[], Any]:
        """An optimizer's step as it is run by itself."""
        step: Callable[[], Any] = optimizer.step
        return step

    def fill(self, model: Any) -> None:
        with self.module.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self.tensor(weights(name, tuple(parameter.shape))))
        self.realize(*model.parameters())

    def set_precision(self, precision: Precision) -> None:
        self.module.set_float32_matmul_precision("high" if precision == "high" else "highest")


def compared(names: Sequence[str]) -> list[str]:
    """The parameters whose gradients are compared: of the first, a middle and the last layer."""
    return list(dict.fromkeys((names[0], names[len(names) // 2], names[-1])))
