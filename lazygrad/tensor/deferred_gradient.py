"""Gradients that are built when they are needed: nodes that stand for the results of a backward pass.

A training loop would build the same backward pass at every step, only to have it recognised. So ``backward`` leaves
nodes that say what they are the gradient of. Their composition is what ``autodiff.vjp`` gives; but a graph that has
been computed before is recognised by these nodes as they stand (``runtime.recognition``), without the reverse walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lazygrad import autodiff, ops
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Op
from lazygrad.ops.recomputation import CHECKPOINT
from lazygrad.runtime import CompilingDevice, device
from lazygrad.settings import Bound, bound, under
from lazygrad.tensor.recording import RECORDING


class ReverseWalk:
    """One walk from an output to all leaves at once, made when the first of the gradients is asked for."""

    __slots__ = ("_found", "_leaves", "_settings", "_start")

    def __init__(self, output: Node, cotangent: Node, leaves: Sequence[Node], settings: Bound) -> None:
        self._start = (output, cotangent)
        self._leaves = leaves
        self._settings = settings
        self._found: dict[Node, Node] | None = None

    def gradient(self, output: Node, cotangent: Node, leaf: Node) -> Node:
        """The graph of the gradient by ``leaf``. Of copies of the nodes, the same of the copies."""
        if (output, cotangent) != self._start:
            return self._gradients(output, cotangent, [leaf])[leaf]
        if self._found is None:
            self._found = self._gradients(output, cotangent, self._leaves)
        return self._found[leaf]

    def _gradients(self, output: Node, cotangent: Node, leaves: Sequence[Node]) -> dict[Node, Node]:
        found = under(self._settings, lambda: autodiff.vjp([output], [cotangent], leaves))
        return {
            leaf: ops.constant(0, leaf.shape, leaf.dtype, leaf.device) if gradient is None else gradient
            for leaf, gradient in zip(leaves, found, strict=True)
        }


class GradientAttributes(NamedTuple):
    """The walk, which all gradients of one backward pass share."""

    walk: ReverseWalk
    key: Bound  # beside the graph, all that the walk depends on


GRADIENT = Op(
    name="gradient",
    family=Family.COMPOSITE,
    shape=lambda inputs, a: inputs[2].shape,
    dtype=lambda inputs, a: inputs[2].dtype,
    numpy=lambda of, whole: whole,
    vjp=(),
    composition=lambda a, output, cotangent, leaf: a.walk.gradient(output, cotangent, leaf),
    is_deferred=True,
)


def can_defer(outputs: Sequence[Node], leaves: Sequence[Node], order: Sequence[Node]) -> bool:
    """Whether the gradients of ``outputs``, whose differentiable graph is ``order``, may be built later.

    There must be somebody to recognise them, one output that depends on each leaf for certain, and no region that is
    computed twice, whose copies belong to the structure.
    """
    if RECORDING.recorder is not None or len(outputs) != 1:
        return False
    home = outputs[0].device
    if not isinstance(device(home), CompilingDevice) or any(leaf.device != home for leaf in leaves):
        return False
    operations = {current.op for current in order}
    return not any(op is CHECKPOINT or (op.composition is not None and not op.vjp) for op in operations)


def deferred(output: Node, cotangent: Node, leaves: Sequence[Node]) -> list[Node]:
    """For each leaf the node of its gradient."""
    settings = bound()
    attributes = GradientAttributes(ReverseWalk(output, cotangent, leaves, settings), settings)
    return [node(GRADIENT, (output, cotangent, leaf), attributes) for leaf in leaves]
