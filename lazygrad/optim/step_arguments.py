"""The host numbers of one optimizer step, bound as kernel arguments.

In: numbers that change from step to step (learning rate, bias correction, first-step factor). Out: tensors
that the kernels take as scalar arguments. Holds afterwards: two steps ask for the same roles
in the same order, so their graphs have the same structure and nothing is compiled again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import lazygrad
from lazygrad.ir.dtype import DType
from lazygrad.tensor import Tensor
from lazygrad.tensor.recording import RECORDING


class StepArguments:
    """Makes one argument for each role, not for each value or parameter.

    Sharing by role is what keeps the structure: were equal values shared, a learning rate that happens to
    meet the weight decay would change the graph.
    """

    def __init__(self) -> None:
        self._arguments: dict[tuple[Hashable, ...], Tensor] = {}
        self._expanded: dict[tuple[Hashable, ...], Tensor] = {}

    def __call__(self, read: Callable[[], float], parameter: Tensor, *role: Hashable) -> Tensor:
        """Return the argument for `role`, a number that will be combined with `parameter`, in its shape.

        `read` gives the number as it is now; a captured step asks it again each time it is replayed. float64
        parameters get float64 numbers; all others float32, as torch computes theirs.
        """
        value = parameter._cell.node
        key = (value.dtype, value.device, value.shape, *role)
        known = self._expanded.get(key)
        if known is None:
            known = self.scalar(read, parameter, *role)
            if known.dtype is value.dtype:  # as a number it has no say in the dtype of results, expanded it would
                known = known.expand(value.shape)
            self._expanded[key] = known
        return known

    def kind(self, parameter: Tensor) -> tuple[DType, str]:
        """Return the dtype and the device of numbers for `parameter`: parameters of one kind share them."""
        value = parameter._cell.node
        return lazygrad.float64 if value.dtype is lazygrad.float64 else lazygrad.float32, value.device

    def scalar(self, read: Callable[[], float], parameter: Tensor, *role: Hashable) -> Tensor:
        """Return the same with shape ()."""
        dtype, device = kind = self.kind(parameter)
        key = (*kind, *role)
        known = self._arguments.get(key)
        if known is None:
            known = self._arguments[key] = lazygrad.argument(float(read()), dtype=dtype, device=device)
            if RECORDING.recorder is not None:
                RECORDING.recorder.number(known._cell.node, lambda: float(read()))
        return known
