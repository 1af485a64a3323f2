"""Updates that are built when they are needed: nodes that stand for new values of parameters and other state.

A training loop would build the same expressions for each parameter at every step, only to have them recognised. So who
says what happens to one of them as a *rule*, a function without side effects, leaves nodes that name the rule and what
it is applied to: optimizers, and batch norms with their running statistics. The nodes' composition is what the rule
gives; a graph that has been computed before is recognised by these nodes as they stand (``runtime.recognition``), and
then no rule is run.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Op
from lazygrad.runtime import CompilingDevice, device
from lazygrad.tensor.handle import leaf_tensor
from lazygrad.tensor.operands import cast
from lazygrad.tensor.recording import RECORDING

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


class Rule(Hashable, Protocol):
    """What happens to a tensor and its state. Equal rules do the same."""

    def __call__(self, values: Sequence[Tensor], source: Tensor, numbers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """The new values.

        Args:
            values: the old ones: a tensor, and its state.
            source: what they are updated by, a gradient say.
            numbers: what changes from step to step, by role: expanded to the tensor's shape if of its dtype, else of
                shape (), since as a number it has no say in the dtype of results.
        """


class UpdateAttributes(NamedTuple):
    """``key``: the rule, the roles of its numbers, how many values there are, and which of them is meant."""

    key: tuple[Rule, tuple[str, ...], int, int]


def _composition(attributes: UpdateAttributes, *inputs: Node) -> Node:
    rule, roles, count, output = attributes.key
    values, source, *numbers = list(map(leaf_tensor, inputs[:count])), *map(leaf_tensor, inputs[count:])
    return _applied(rule, values, source, dict(zip(roles, numbers, strict=True)))[output]


def _applied(rule: Rule, values: Sequence[Tensor], source: Tensor, numbers: Mapping[str, Tensor]) -> list[Node]:
    """The nodes of the new values, of the dtypes of the old ones."""
    like = values[0]
    spread = {
        role: number.expand(like.shape) if number.dtype is like.dtype else number for role, number in numbers.items()
    }
    made = rule(values, source, spread)
    return [cast(new._enter(), value.dtype) for new, value in zip(made, values, strict=True)]


UPDATE = Op(
    name="update",
    family=Family.COMPOSITE,
    shape=lambda inputs, a: inputs[a.key[3]].shape,
    dtype=lambda inputs, a: inputs[a.key[3]].dtype,
    numpy=lambda of, whole: whole,
    vjp=(),
    composition=_composition,
    is_deferred=True,
)


class Update:
    """A rule with numbers, to be applied to any tensors. The numbers, by role, have the shape ()."""

    def __init__(self, rule: Rule, numbers: Mapping[str, Tensor]) -> None:
        self._rule = rule
        self._numbers = numbers
        self._nodes = [number._enter() for number in numbers.values()]
        self._roles = tuple(numbers)
        self._attributes: list[UpdateAttributes] = []  # by output
        self._device = ""
        self._can_defer = False

    def __call__(self, values: Sequence[Tensor], source: Tensor) -> None:
        """Binds ``values``, a tensor and its state, to what the rule makes of them.

        To be called where no gradients are recorded.
        """
        inputs = (*[value._enter() for value in values], source._enter(), *self._nodes)
        if self._is_deferred(inputs):
            count = len(values)
            if len(self._attributes) != count:
                key = self._rule, self._roles, count
                self._attributes = [UpdateAttributes((*key, output)) for output in range(count)]
            made = [node(UPDATE, inputs, attributes) for attributes in self._attributes]
        else:
            made = _applied(self._rule, values, source, self._numbers)
        depth = 1 + max([tensor._cell.depth for tensor in (*values, source)])
        for value, new in zip(values, made, strict=True):
            value._rebind(new, False, depth)

    def _is_deferred(self, inputs: Sequence[Node]) -> bool:
        """Whether there is somebody who recognises graphs."""
        home = inputs[0].device
        if home != self._device:
            self._device = home
            self._can_defer = RECORDING.recorder is None and isinstance(device(home), CompilingDevice)
        return self._can_defer and all(each.device == home for each in inputs)


def update(rule: Rule, values: Sequence[Tensor], source: Tensor, numbers: Mapping[str, Tensor]) -> None:
    """One update (see ``Update``)."""
    Update(rule, numbers)(values, source)
