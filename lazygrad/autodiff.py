"""Differentiation: graph in, graph out.

The reverse walk visits each node once, after all its users, and adds up cotangents that the operations' own
rules build from public operations; so the gradient is an ordinary graph and can be differentiated again.
A composite without rules is differentiated as the graph that it stands for. Walks are iterative: depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from lazygrad import ops
from lazygrad.ir.composition import composition
from lazygrad.ir.node import ORIGIN, Node, topological, with_inputs
from lazygrad.ir.op import Linearity
from lazygrad.ops.recomputation import CHECKPOINT, Region


def vjp(
    outputs: Sequence[Node],
    cotangents: Sequence[Node],
    inputs: Sequence[Node],
    stop: Callable[[Node], bool] | None = None,
    keep: bool = False,
    order: Sequence[Node] | None = None,
) -> list[Node | None]:
    """The cotangent of each input, given one for each output; None where no output depends on it.

    Args:
        outputs: the nodes to differentiate.
        cotangents: for each output a node of its shape and dtype.
        inputs: the nodes to differentiate by. The walk does not go on behind them unless another input is there.
        stop: nodes whose inputs are not visited (leaves of the user's graph).
        keep: read values inside checkpoints where they were computed, instead of computing them again.
        order: what ``differentiable(outputs)`` gives, for whoever has it already and does not ``stop``.

    >>> from lazygrad import ops
    >>> from lazygrad.ir.dtype import float32
    >>> x = ops.placeholder((2,), float32, "numpy")
    >>> vjp([ops.mul(x, x)], [ops.constant(1, (2,), float32, "numpy")], [x])
    [<add float32[2] on numpy>]
    """
    if order is None:
        order = differentiable(outputs, stop)
    wanted = set(inputs)
    reaches = set(wanted)
    for candidate in order:
        if candidate not in reaches and not reaches.isdisjoint(differentiable_inputs(candidate)):
            reaches.add(candidate)
    found: dict[Node, Node] = {}
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if cotangent.shape != output.shape or cotangent.dtype is not output.dtype:
            raise RuntimeError(
                f"the gradient of a {output.dtype.name} tensor of shape {list(output.shape)} must have its shape and "
                f"dtype, got {cotangent.dtype.name} {list(cotangent.shape)}"
            )
        if output in reaches:
            _accumulate(found, output, cotangent)
    outer = ORIGIN.place
    again = _ComputedAgain()
    try:
        for current in reversed(order):
            g = found.get(current)
            if g is None or (stop is not None and stop(current)):
                continue
            if current.op is CHECKPOINT and not keep:
                again.begin(current.attributes.region, g)
            read = again.instead_of(current)
            rules = current.op.vjp
            ORIGIN.place = current.place
            if not rules and current.inputs:
                _accumulate_through_composition(found, current, read, g, reaches)
            for argument, rule in zip(current.inputs, rules, strict=False):  # inputs may be left out
                if rule is not None and argument in reaches and argument.dtype.is_float:
                    _accumulate(found, argument, rule(read, g))
            if current not in wanted:
                del found[current]
    finally:
        ORIGIN.place = outer
    return [found.get(i) for i in inputs]


def differentiable(outputs: Sequence[Node], stop: Callable[[Node], bool] | None = None) -> list[Node]:
    """The nodes that outputs depend on along differentiable edges, inputs of nodes before their users."""
    if stop is None:
        return topological(outputs, differentiable_inputs)
    return topological(outputs, lambda of: () if stop(of) else differentiable_inputs(of))


def differentiable_inputs(of: Node) -> tuple[Node, ...]:
    """The inputs by which a node may have a derivative; of a composite without rules, all."""
    if not of.dtype.is_float:
        return ()
    if of.op.has_all_rules:
        return of.inputs
    return tuple(i for i, rule in zip(of.inputs, of.op.vjp, strict=True) if rule is not None)


def _accumulate(found: dict[Node, Node], target: Node, cotangent: Node) -> None:
    known = found.get(target)
    found[target] = cotangent if known is None else ops.add(known, cotangent)


def _accumulate_through_composition(
    found: dict[Node, Node], of: Node, read: Node, g: Node, reaches: Collection[Node]
) -> None:
    """Adds what a composite without rules adds to the cotangents of its inputs. ``read`` is it, or its copy.

    The walk stops at the inputs: how one of them depends on another is left to the walk around.
    """
    whole = composition(read)
    assert whole is not None
    by_read = dict(zip(read.inputs, of.inputs, strict=True))
    wanted = {i: argument for i, argument in by_read.items() if argument in reaches and i.dtype.is_float}
    parts = vjp([whole], [g], list(wanted), stop=lambda n: n in read.inputs)
    for argument, part in zip(wanted.values(), parts, strict=True):
        if part is not None:
            _accumulate(found, argument, part)


class _ComputedAgain:
    """The copies of checkpointed regions: what derivatives read instead of the values of the forward pass.

    Cotangents are those of the original nodes, added in the same order, so that they are the same to the last bit as
    without checkpoints. A region inside another is copied from the other's copy, once more when its own turn comes.
    """

    def __init__(self) -> None:
        self._copies: dict[Node, Node] = {}
        self._begun: set[Region] = set()

    def begin(self, region: Region, cotangent: Node) -> None:
        """The walk has come to a result of the region. Its copy waits for this cotangent."""
        if region in self._begun:
            return
        self._begun.add(region)
        made: dict[Node, Node] = {}
        for current in region.nodes:
            inputs = [made[i] if i in made else ops.after(self.instead_of(i), cotangent) for i in current.inputs]
            made[current] = with_inputs(current, tuple(inputs))
        self._copies.update(made)

    def instead_of(self, of: Node) -> Node:
        """The node to read the value of ``of`` from."""
        return self._copies.get(of, of)


def jvp(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    tangents: Sequence[Node],
    stop: Callable[[Node], bool] | None = None,
) -> list[Node]:
    """The tangent of each output along one tangent for each input (forward mode).

    A linear operation is applied to the tangents, of a composite the composition is differentiated; for any other
    the rule is the transpose of its vjp, which is linear in the cotangent: jvp(t) = d/du <vjp(u), t>. ``stop`` says
    behind which nodes nothing moves.
    """
    known: dict[Node, Node] = dict(zip(inputs, tangents, strict=True))
    outer = ORIGIN.place
    try:
        for current in topological(outputs, lambda n: () if stop is not None and stop(n) else n.inputs):
            if current in known or not current.dtype.is_float or (stop is not None and stop(current)):
                continue
            moving = {
                p: known[i] for p, i in enumerate(current.inputs) if i in known and _is_differentiable(current, p)
            }
            if moving:
                ORIGIN.place = current.place
                known[current] = _jvp_rule(current, moving)
    finally:
        ORIGIN.place = outer
    return [known.get(o) or ops.constant(0, o.shape, o.dtype, o.device) for o in outputs]


def _is_differentiable(of: Node, position: int) -> bool:
    """Whether a node may have a derivative by the input at ``position``."""
    return not of.op.vjp or of.op.vjp[position] is not None


def _jvp_rule(current: Node, moving: Mapping[int, Node]) -> Node:
    whole = composition(current)
    if whole is not None:
        along = {current.inputs[position]: tangent for position, tangent in moving.items()}
        (tangent,) = jvp([whole], list(along), list(along.values()), stop=lambda n: n in current.inputs)
        return tangent
    match current.op.linearity:
        case Linearity.JOINT:
            zeros = {
                p: ops.constant(0, i.shape, i.dtype, i.device) for p, i in enumerate(current.inputs) if p not in moving
            }
            return _rebuild(current, {**zeros, **moving})
        case Linearity.EACH:
            parts = [_rebuild(current, {position: tangent}) for position, tangent in moving.items()]
        case _:
            parts = [_transposed(current, position, tangent) for position, tangent in moving.items()]
    total = parts[0]
    for part in parts[1:]:
        total = ops.add(total, part)
    return total


def _rebuild(current: Node, replaced: Mapping[int, Node]) -> Node:
    from lazygrad.ir.node import node

    return node(current.op, tuple(replaced.get(p, i) for p, i in enumerate(current.inputs)), current.attributes)


def _transposed(current: Node, position: int, tangent: Node) -> Node:
    rule = current.op.vjp[position]
    assert rule is not None
    cotangent = ops.placeholder(current.shape, current.dtype, current.device)
    pulled = rule(current, cotangent)
    (result,) = vjp([pulled], [tangent], [cotangent], stop=lambda n: n is current or n in current.inputs)
    return result if result is not None else ops.constant(0, current.shape, current.dtype, current.device)
