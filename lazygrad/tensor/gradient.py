"""The reverse pass as the user sees it: ``backward`` fills ``.grad``, ``grad`` returns gradients.

In: tensors with history. Out: lazy tensors; nothing runs here. The graph is never freed, so that a second
pass needs no ``retain_graph``; it dies with the tensors that hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import RLock
from typing import TYPE_CHECKING

from lazygrad import autodiff, ops
from lazygrad.ir.node import Node
from lazygrad.ops.identity import LEAF
from lazygrad.runtime import forking
from lazygrad.tensor import anomaly
from lazygrad.tensor.cells import Cell
from lazygrad.tensor.creation_like import zeros_like
from lazygrad.tensor.deferred_gradient import can_defer, deferred
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.handle import LEAF_OWNERS, Handle, submit_later, tensor_of
from lazygrad.tensor.history import WATCHERS
from lazygrad.tensor.recording import RECORDING

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

# Held while a gradient is added to another, so that two threads that differentiate by one leaf lose none.
_accumulating = RLock()


def _after_fork() -> None:
    """In a child, where the thread that held the lock may not exist."""
    global _accumulating
    _accumulating = RLock()


forking.in_child(_after_fork)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Adds to the ``.grad`` of every leaf that ``tensors`` depend on the gradient of their sum.

    Args:
        tensors: what is differentiated.
        grad_tensors: for each a weight of its shape; None stands for 1 and needs a tensor with one element.
        retain_graph: admitted; graphs are never freed here.
        create_graph: whether the gradients can be differentiated again.
        inputs: fill the ``.grad`` of these only.

    Raises:
        RuntimeError: a tensor does not require grad, or has several elements and no weight.
    """
    roots = _listed(tensors)
    if RECORDING.recorder is not None:
        RECORDING.recorder.backward()
    nodes, cotangents = _starts(roots, grad_tensors)
    order = autodiff.differentiable(nodes)
    leaves, observed = _found(order)
    chosen = None if inputs is None else {id(tensor) for tensor in _listed(inputs)}
    if chosen is not None:
        leaves = {node: tensor for node, tensor in leaves.items() if id(tensor) in chosen}
        observed = {n: [t for t in held if t._hooks or id(t) in chosen] for n, held in observed.items()}
        for tensor in _listed(inputs or ()):
            held = observed.setdefault(tensor._cell.node, []) if tensor._cell.history else [tensor]
            if not any(tensor is known for known in held):
                held.append(tensor)
    targets = [*leaves, *observed]
    gradients: Sequence[Node | None]
    if not (observed or create_graph or anomaly.is_enabled()) and can_defer(nodes, targets, order):
        gradients = deferred(nodes[0], cotangents[0], targets)
    else:
        gradients = autodiff.vjp(nodes, cotangents, targets, keep=create_graph, order=order)
    if anomaly.is_enabled():
        anomaly.check([*nodes, *(g for g in gradients if g is not None)])

    totals: dict[int, tuple[Tensor, Node]] = {}
    for node, gradient in zip(targets, gradients, strict=True):
        if gradient is None:
            continue
        for tensor in [leaves[node]] if node in leaves else observed[node]:
            known = totals.get(id(tensor))
            totals[id(tensor)] = (tensor, gradient if known is None else ops.add(known[1], gradient))
    reaching = _reaching_leaves([total for _, total in totals.values()]) if create_graph else frozenset()
    for tensor, total in totals.values():
        kept = tensor._retains_grad or not tensor._cell.history if chosen is None else id(tensor) in chosen
        _deliver(tensor, _gradient_tensor(total, reaching), create_graph, kept)
    for tensor in roots:
        # The next submission (an optimizer's step) computes the loss as well.
        submit_later(tensor._cell)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of the sum of ``outputs`` with respect to ``inputs``; no ``.grad`` is changed.

    Args:
        outputs: what is differentiated.
        inputs: with respect to what: leaves, or tensors with history.
        grad_outputs: as for ``backward``.
        retain_graph: admitted; graphs are never freed here.
        create_graph: whether the gradients can be differentiated again.
        allow_unused: None for an input that the outputs do not depend on, instead of an error.
        is_grads_batched: only False.
        materialize_grads: zeros for such an input.

    >>> import lazygrad as lg
    >>> x = lg.tensor(3.0, requires_grad=True)
    >>> (slope,) = lg.autograd.grad(x**3, x, create_graph=True)
    >>> slope, lg.autograd.grad(slope, x)
    (tensor(27., grad_fn=<MulBackward0>), (tensor(18.),))
    """
    if RECORDING.recorder is not None:
        RECORDING.recorder.backward()
    if is_grads_batched:
        raise NotImplementedError("grad: is_grads_batched=True is not supported; call grad once for each row")
    nodes, cotangents = _starts(_listed(outputs), grad_outputs)
    wanted = _listed(inputs)
    for tensor in wanted:
        if not tensor._requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    order = autodiff.differentiable(nodes)
    leaves, _ = _found(order)
    targets: list[list[Node]] = []
    for tensor in wanted:
        if tensor._cell.history:
            targets.append([tensor._cell.node])
        else:
            targets.append([node for node, owner in leaves.items() if owner is tensor])
    flat = list(dict.fromkeys(node for group in targets for node in group))
    found = dict(zip(flat, autodiff.vjp(nodes, cotangents, flat, keep=create_graph, order=order), strict=True))
    if anomaly.is_enabled():
        anomaly.check([*nodes, *(g for g in found.values() if g is not None)])
    totals: list[Node | None] = []
    for tensor, group in zip(wanted, targets, strict=True):
        total: Node | None = None
        for node in group:
            part = found[node]
            if part is not None:
                total = part if total is None else ops.add(total, part)
        if total is None and materialize_grads:
            like = tensor._cell.node
            total = ops.constant(0, like.shape, like.dtype, like.device)
        if total is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. Set "
                "allow_unused=True if this is the desired behavior."
            )
        totals.append(total)
    reaching = _reaching_leaves([t for t in totals if t is not None]) if create_graph else frozenset()
    return tuple(
        None if total is None else _gradient_tensor(total, reaching)  # type: ignore[misc]
        for total in totals
    )


def _listed(tensors: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Handle) else list(tensors)


def _starts(roots: Sequence[Tensor], weights: Tensor | Sequence[Tensor | None] | None) -> tuple[list[Node], list[Node]]:
    """The nodes to differentiate, and the cotangent each starts with."""
    given = [weights] if weights is None or isinstance(weights, Handle) else list(weights)
    given += [None] * (len(roots) - len(given))
    if len(given) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(given)} gradients")
    nodes: list[Node] = []
    cotangents: list[Node] = []
    for position, (tensor, weight) in enumerate(zip(roots, given, strict=True)):
        if not tensor._requires_grad:
            raise RuntimeError(
                f"element {position} of tensors does not require grad and does not have a grad_fn; nothing "
                "it was computed from requires grad, or it was computed under no_grad"
            )
        node = tensor._node
        if weight is None:
            if tensor.numel() != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs, but this tensor has the shape "
                    f"{list(node.shape)}; pass gradient=torch.ones_like(...), a weight for each element, or "
                    "reduce it with .sum() or .mean() first"
                )
            cotangent = ops.constant(1, node.shape, node.dtype, node.device)
        else:
            cotangent = weight._enter()
            if cotangent.shape != node.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{position}] has a shape of {list(cotangent.shape)} and "
                    f"output[{position}] has a shape of {list(node.shape)}."
                )
            cotangent = ops.cast(cotangent, node.dtype)
        nodes.append(node)
        cotangents.append(cotangent)
    return nodes, cotangents


def _found(order: Sequence[Node]) -> tuple[dict[Node, Tensor], dict[Node, list[Tensor]]]:
    """The leaves among the nodes, and the nodes whose tensors want to see their gradient."""
    leaves: dict[Node, Tensor] = {}
    observed: dict[Node, list[Tensor]] = {}
    is_watched = len(WATCHERS) > 0
    for node in order:
        if node.op is LEAF:
            owner = LEAF_OWNERS.get(node)
            tensor = owner() if owner is not None else None
            if tensor is not None and tensor._requires_grad:
                leaves[node] = tensor  # type: ignore[assignment]
        if is_watched:
            held = [found for found in (watcher() for watcher in WATCHERS.get(node, ())) if found is not None]
            if held and node not in leaves:
                observed[node] = held  # type: ignore[assignment]
    return leaves, observed


def _reaching_leaves(gradients: Sequence[Node]) -> frozenset[Node]:
    """The nodes among and below ``gradients`` through which a derivative reaches a leaf."""
    reaching: set[Node] = set()
    for node in autodiff.differentiable(gradients):
        if node.op is LEAF or not reaching.isdisjoint(autodiff.differentiable_inputs(node)):
            reaching.add(node)
    return frozenset(reaching)


def _gradient_tensor(node: Node, reaching: frozenset[Node]) -> Tensor:
    history = node in reaching
    # A gradient's own graph contains leaves; detached, nothing that uses it differentiates through it.
    return tensor_of(Cell(node if history else ops.detach(node), history), history)


def _deliver(tensor: Tensor, gradient: Tensor, create_graph: bool, kept: bool) -> None:
    """Calls the tensor's hooks, then adds the gradient to ``.grad`` where it is kept."""
    for hook in list((tensor._hooks or {}).values()):
        changed = hook(gradient)
        if changed is not None:
            if tensor._cell.history:
                raise RuntimeError(
                    "a hook on a tensor that is no leaf may look at the gradient, but not replace it: "
                    "derivatives are built as a graph before hooks run"
                )
            gradient = changed
    if not kept:
        return
    if RECORDING.recorder is not None:
        RECORDING.recorder.gradient(tensor, read=True)
    outer = SWITCH.enabled
    with _accumulating:
        known = tensor._grad
        if known is None:
            tensor._grad = gradient
            return
        SWITCH.enabled = create_graph
        try:
            if create_graph or known._cell.history:
                tensor._grad = known + gradient
            else:
                known.add_(gradient)
        finally:
            SWITCH.enabled = outer


def clear_gradients(tensors: Iterable[Tensor], set_to_none: bool) -> None:
    """Drops the ``.grad`` of the tensors that have one, or binds it to zeros."""
    for tensor in tensors:
        if RECORDING.recorder is not None:
            RECORDING.recorder.gradient(tensor, read=not set_to_none)
        if tensor._grad is not None:
            tensor._grad = None if set_to_none else zeros_like(tensor._grad)
