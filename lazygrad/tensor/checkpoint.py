"""Checkpoints: parts of a computation whose inner values are not kept for the backward pass, but computed again there.

In: a function and its arguments. Out: what it returns, with its results marked as those of a region of the graph. The
region is what the call has added to the graph: what any tensor held before, and leaves, are given to it. When a
gradient is asked for, the region is copied (``lazygrad.autodiff``), so the function itself runs once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Set
from typing import TYPE_CHECKING, Any, TypeVar

from lazygrad import ops
from lazygrad.ir.node import Node, topological
from lazygrad.ir.op import Family
from lazygrad.ops.identity import LEAF
from lazygrad.ops.recomputation import Region
from lazygrad.tensor.cells import held_values
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.handle import is_tensor

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

R = TypeVar("R")


def checkpoint(
    function: Callable[..., R],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> R:
    """``function(*args, **kwargs)``, of which the backward pass keeps the inputs and results only.

    What else the backward pass needs is computed again when it gets there: less memory, for the time of one more
    forward pass through the function. Random numbers are the same as without, and so are results and gradients, up to
    the order in which a device's kernels add. The function runs once, and so do its side effects, such as the update of
    running statistics. A gradient with ``create_graph=True`` keeps everything, since it is to be differentiated again.

    Args:
        function: any function; tensors that it returns may be nested in tuples, lists, dicts and dataclasses.
        args: its arguments. Tensors that it takes from elsewhere, as parameters, are inputs like arguments.
        use_reentrant: admitted; both of torch's ways give the same result here.
        preserve_rng_state: admitted; random numbers are always the same in both computations.
        kwargs: its keyword arguments.

    >>> import lazygrad as lg
    >>> x = lg.tensor([0.5, 1.0], requires_grad=True)
    >>> lg.checkpoint(lambda x: (x.exp() + 1).log(), x).sum().backward()
    >>> x.grad
    tensor([0.6225, 0.7311])
    """
    if not SWITCH.enabled:
        return function(*args, **kwargs)
    given = held_values()
    result = function(*args, **kwargs)
    cells = {tensor._cell: None for tensor in _tensors(result) if tensor._cell.history}
    cells = {cell: None for cell in cells if not _is_given(cell.node, given)}
    if cells:
        region = Region(_inside([cell.node for cell in cells], given))
        for cell in cells:
            cell.name = cell.name or cell.node.op.name.title().replace("_", "")
            cell.node = ops.checkpoint(cell.node, region)
    return result


def _inside(results: list[Node], given: Set[Node]) -> list[Node]:
    """What the function has computed, inputs before their users."""
    order = topological(results, lambda n: () if _is_given(n, given) else n.inputs)
    return [node for node in order if not _is_given(node, given)]


def _is_given(node: Node, given: Set[Node]) -> bool:
    return node in given or node.result is not None or node.op is LEAF or node.op.family is Family.SOURCE


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested containers."""
    if is_tensor(value):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _tensors([getattr(value, field.name) for field in dataclasses.fields(value)])
