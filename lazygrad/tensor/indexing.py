"""``x[index]``, and what else reads by masks.

First one slice and one reshape for everything that is known (so a batch ``X[i*B:(i+1)*B]`` stays one slice of X), then,
where integer tensors index, one gather along the flattened axis of the dimensions they index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazygrad import ops
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.index_merge import take
from lazygrad.tensor.index_plan import host_positions, read
from lazygrad.tensor.joining import stack
from lazygrad.tensor.operands import common_shape
from lazygrad.tensor.realization import to_host

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def getitem(self: Tensor, index: Any) -> Tensor:
    """``self[index]``, by torch's rules. A bool mask is computed at once: the shape depends on it.

    Positions in index tensors are not checked, that would wait for the device; one out of range reads as
    zero.

    >>> import lazygrad as lg
    >>> x = lg.arange(12).reshape(3, 4)
    >>> x[1], x[:, -1], x[[0, 2], 1:3]
    (tensor([4, 5, 6, 7]), tensor([ 3,  7, 11]), tensor([[ 1,  2],
            [ 9, 10]]))
    """
    x = self._enter()
    plan = read(x, index)
    view = ops.reshape(ops.slice_(x, plan.ranges), plan.shape)
    if not plan.advanced:
        return wrap(view, self, name="Slice" if view.rank == x.rank else "Select")
    return wrap(take(view, plan.advanced), self, name="Index")


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The positions of elements that are not zero: (number, rank), or one vector for each dimension.

    The shape depends on data, so the tensor is computed now.

    >>> import lazygrad as lg
    >>> lg.tensor([[0, 1], [2, 0]]).nonzero()
    tensor([[0, 1],
            [1, 0]])
    """
    parts = tuple(wrap(part) for part in host_positions(to_host(input), input._cell.node.device))
    if as_tuple:
        return parts
    return stack(parts, 1)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask`` holds, as a vector. The mask is computed now.

    >>> import lazygrad as lg
    >>> x = lg.arange(4)
    >>> x.masked_select(x > 1)
    tensor([2, 3])
    """
    shape = common_shape("masked_select", input._cell.node.shape, mask._cell.node.shape)
    return getitem(input.expand(shape), mask.expand(shape))
