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


def update(rule: Rule, values: Sequence[Tensor], source: Tensor, numbers: Mapping[str, Tensor]) -> None:
    """Binds ``values``, a tensor and its state, to what ``rule`` makes of them.

    ``numbers`` have the shape (). To be called where no gradients are recorded.
    """
    inputs = tuple([tensor._enter() for tensor in (*values, source, *numbers.values())])
    if _can_defer(inputs):
        roles, count = tuple(numbers), len(values)
        made = [node(UPDATE, inputs, UpdateAttributes((rule, roles, count, output))) for output in range(count)]
    else:
        made = _applied(rule, values, source, numbers)
    depth = 1 + max([tensor._cell.depth for tensor in (*values, source)])
    for value, new in zip(values, made, strict=True):
        value._rebind(new, False, depth)


def _can_defer(inputs: Sequence[Node]) -> bool:
    """Whether there is somebody who recognises graphs."""
    home = inputs[0].device
    same = RECORDING.recorder is None and all(each.device == home for each in inputs)
    return same and isinstance(device(home), CompilingDevice)
