"""Differentiation: graph in, graph out.

The reverse walk visits each node once, after all its users, and adds up cotangents that the operations' own
rules build from public operations; so the gradient is an ordinary graph and can be differentiated again.
Walks are iterative: depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lazygrad import ops
from lazygrad.ir.node import Node, PlaceScope, all_inputs, topological
from lazygrad.ir.op import Linearity


def vjp(
    outputs: Sequence[Node],
    cotangents: Sequence[Node],
    inputs: Sequence[Node],
    stop: Callable[[Node], bool] | None = None,
) -> list[Node | None]:
    """The cotangent of each input, given one for each output; None where no output depends on it.

    Args:
        outputs: the nodes to differentiate.
        cotangents: for each output a node of its shape and dtype.
        inputs: the nodes to differentiate by. The walk does not go on behind them unless another input is there.
        stop: nodes whose inputs are not visited (leaves of the user's graph).

    >>> from lazygrad import ops
    >>> from lazygrad.ir.dtype import float32
    >>> x = ops.placeholder((2,), float32, "numpy")
    >>> vjp([ops.mul(x, x)], [ops.constant(1, (2,), float32, "numpy")], [x])
    [<add float32[2] on numpy>]
    """
    order = _differentiable(outputs, inputs, stop)
    wanted = set(inputs)
    reaches = set(wanted)
    for candidate in order:
        if candidate not in reaches and any(
            rule is not None and i in reaches for i, rule in zip(candidate.inputs, candidate.op.vjp, strict=True)
        ):
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
    for current in reversed(order):
        g = found.get(current)
        if g is None or (stop is not None and stop(current)):
            continue
        rules = current.op.vjp
        with PlaceScope(current.place):
            for position, argument in enumerate(current.inputs):
                rule = rules[position]
                if rule is not None and argument in reaches and argument.dtype.is_float:
                    _accumulate(found, argument, rule(current, g))
        if current not in wanted:
            del found[current]
    return [found.get(i) for i in inputs]


def _differentiable(outputs: Sequence[Node], inputs: Sequence[Node], stop: Callable[[Node], bool] | None) -> list[Node]:
    """The nodes between outputs and inputs along differentiable edges, inputs of nodes before their users."""

    def edges(of: Node) -> tuple[Node, ...]:
        if not of.dtype.is_float or (stop is not None and stop(of)):
            return ()
        if None not in of.op.vjp:
            return of.inputs
        return tuple(i for i, rule in zip(of.inputs, of.op.vjp, strict=True) if rule is not None)

    return topological(outputs, edges)


def _accumulate(found: dict[Node, Node], target: Node, cotangent: Node) -> None:
    known = found.get(target)
    found[target] = cotangent if known is None else ops.add(known, cotangent)


def jvp(outputs: Sequence[Node], inputs: Sequence[Node], tangents: Sequence[Node]) -> list[Node]:
    """The tangent of each output along one tangent for each input (forward mode).

    A linear operation is applied to the tangents; for any other the rule is the transpose of its vjp, which is
    linear in the cotangent: jvp(t) = d/du <vjp(u), t>.
    """
    known: dict[Node, Node] = dict(zip(inputs, tangents, strict=True))
    for current in topological(outputs, all_inputs):
        if current in known or not current.dtype.is_float:
            continue
        moving = {p: known[i] for p, i in enumerate(current.inputs) if i in known and current.op.vjp[p] is not None}
        if moving:
            with PlaceScope(current.place):
                known[current] = _jvp_rule(current, moving)
    return [known.get(o) or ops.constant(0, o.shape, o.dtype, o.device) for o in outputs]


def _jvp_rule(current: Node, moving: Mapping[int, Node]) -> Node:
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
