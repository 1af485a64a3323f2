"""Products of matrices, vectors and batches of them: each is one contraction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import bool_
from lazygrad.ir.node import Node
from lazygrad.tensor.handle import is_tensor, wrap
from lazygrad.tensor.operands import Number, cast, common_shape, spread

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def _same_dtype(name: str, *nodes: Node) -> None:
    names = [node.dtype.name for node in nodes]
    if len(set(names)) > 1:
        raise RuntimeError(f"{name}: expected operands to have the same dtype, but got {' and '.join(names)}")
    if nodes[0].dtype is bool_:
        raise RuntimeError(f"{name} is not defined for bool tensors; convert with .float()")


def _sizes(name: str, a: Node, b: Node) -> RuntimeError:
    return RuntimeError(
        f"{name}: shapes cannot be multiplied: {list(a.shape)} and {list(b.shape)}; the last extent of the "
        f"first must equal {'the only' if b.rank == 1 else 'the second to last'} extent of the second"
    )


def matmul_node(a: Node, b: Node, name: str = "matmul") -> Node:
    """The product by torch's rule for all ranks: vectors, matrices, and batches that broadcast."""
    if not a.rank or not b.rank:
        raise RuntimeError(f"{name}: both arguments need to be at least 1D, but they are {a.rank}D and {b.rank}D")
    _same_dtype(name, a, b)
    inner = a.shape[-1]
    if b.shape[-2 if b.rank > 1 else 0] != inner:
        raise _sizes(name, a, b)
    # Labels: 0 the shared axis, 1 rows of a, 2 columns of b, batch axes from 3 on, counted from the right.
    rows = (1,) if a.rank > 1 else ()
    columns = (2,) if b.rank > 1 else ()
    batch = common_shape(name, a.shape[:-2], b.shape[:-2])
    a, a_batch = _batched(a, a.shape[-2:], batch)
    b, b_batch = _batched(b, b.shape[-2:], batch)
    labels = tuple(range(3, 3 + len(batch)))
    return ops.contract(a, (*a_batch, *rows, 0), b, (*b_batch, 0, *columns), (*labels, *rows, *columns))


def _batched(x: Node, matrix: tuple[int, ...], batch: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
    """``x`` without the batch axes along which it is the same for all, and the labels of the others."""
    own = x.shape[:-2]
    first = 3 + len(batch) - len(own)
    present = [axis for axis, extent in enumerate(own) if extent == batch[first - 3 + axis]]
    if len(present) < len(own):
        x = ops.reshape(x, (*(own[axis] for axis in present), *matrix))
    return x, tuple(first + axis for axis in present)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product: (*, n, k) and (*, k, m) give (*, n, m). A vector loses its dimension.

    >>> import lazygrad as lg
    >>> lg.matmul(lg.tensor([[1.0, 2.0], [3.0, 4.0]]), lg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if not is_tensor(input) or not is_tensor(other):
        raise TypeError(f"matmul: both operands must be tensors, got {input!r:.40} and {other!r:.40}; multiply by *")
    a, b = input._enter(), other._enter()
    name = {(1, 1): "Dot", (2, 1): "Mv", (2, 2): "Mm"}.get((a.rank, b.rank), "UnsafeView")
    return wrap(matmul_node(a, b), input, other, name=name)


def _of_ranks(name: str, input: Tensor, other: Tensor, a_rank: int, b_rank: int) -> tuple[Node, Node]:
    a, b = input._enter(), other._enter()
    if a.rank != a_rank or b.rank != b_rank:
        raise RuntimeError(
            f"{name}: expected tensors of {a_rank} and {b_rank} dimensions, got {list(a.shape)} and {list(b.shape)}"
        )
    return a, b


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices: (n, k) and (k, m) give (n, m).

    >>> import lazygrad as lg
    >>> lg.mm(lg.tensor([[1.0, 2.0]]), lg.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    return wrap(matmul_node(*_of_ranks("mm", input, mat2, 2, 2), "mm"), input, mat2, name="Mm")


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices: (b, n, k) and (b, k, m) give (b, n, m).

    >>> import lazygrad as lg
    >>> lg.bmm(lg.ones(2, 1, 3), lg.ones(2, 3, 1)).shape
    lazygrad.Size([2, 1, 1])
    """
    a, b = _of_ranks("bmm", input, mat2, 3, 3)
    if a.shape[0] != b.shape[0]:
        raise RuntimeError(f"bmm: batches differ: {list(a.shape)} and {list(b.shape)}")
    return wrap(matmul_node(a, b, "bmm"), input, mat2, name="Bmm")


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix (n, k) and a vector (k,): (n,)."""
    return wrap(matmul_node(*_of_ranks("mv", input, vec, 2, 1), "mv"), input, vec, name="Mv")


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors.

    >>> import lazygrad as lg
    >>> lg.dot(lg.tensor([1.0, 2.0]), lg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return wrap(matmul_node(*_of_ranks("dot", input, tensor, 1, 1), "dot"), input, tensor, name="Dot")


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of an element of one vector (n,) and one of another (m,): (n, m).

    >>> import lazygrad as lg
    >>> lg.outer(lg.tensor([1, 2]), lg.tensor([1, 10, 100]))
    tensor([[  1,  10, 100],
            [  2,  20, 200]])
    """
    _of_ranks("outer", input, vec2, 1, 1)
    return input.unsqueeze(1) * vec2


def _plus(product: Node, input: Node, beta: Number, alpha: Number) -> Node:
    product = product if alpha == 1 else ops.mul(product, alpha)
    if beta == 0:
        return product
    added = spread(cast(input, product.dtype), product.shape)
    return ops.add(added if beta == 1 else ops.mul(added, beta), product)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """``beta * input + alpha * mat1 @ mat2``.

    >>> import lazygrad as lg
    >>> lg.addmm(lg.ones(1, 1), lg.tensor([[1.0, 2.0]]), lg.tensor([[3.0], [4.0]]), beta=10)
    tensor([[21.]])
    """
    product = matmul_node(*_of_ranks("addmm", mat1, mat2, 2, 2), "addmm")
    return wrap(_plus(product, input._enter(), beta, alpha), input, mat1, mat2, name="Addmm")


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """``beta * input + alpha * batch1 @ batch2`` for batches of matrices."""
    product = matmul_node(*_of_ranks("baddbmm", batch1, batch2, 3, 3), "baddbmm")
    return wrap(_plus(product, input._enter(), beta, alpha), input, batch1, batch2, name="Baddbmm")


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """``beta * input + alpha * mat @ vec``."""
    product = matmul_node(*_of_ranks("addmv", mat, vec, 2, 1), "addmv")
    return wrap(_plus(product, input._enter(), beta, alpha), input, mat, vec, name="Addmv")


def tensordot(a: Tensor, b: Tensor, dims: int | tuple[list[int], list[int]] = 2) -> Tensor:
    """Contracts the last ``dims`` dimensions of ``a`` with the first of ``b``, or those listed.

    >>> import lazygrad as lg
    >>> lg.tensordot(lg.ones(2, 3, 4), lg.ones(4, 3, 5), ([1, 2], [1, 0])).shape
    lazygrad.Size([2, 5])
    """
    x, y = a._enter(), b._enter()
    if isinstance(dims, int):
        firsts, seconds = list(range(x.rank - dims, x.rank)), list(range(dims))
    else:
        firsts, seconds = [axis % x.rank for axis in dims[0]], [axis % y.rank for axis in dims[1]]
    labels = {axis: x.rank + y.rank + number for number, axis in enumerate(seconds)}
    own = [x.rank + y.rank + firsts.index(axis) if axis in firsts else axis for axis in range(x.rank)]
    others = [labels.get(axis, x.rank + axis) for axis in range(y.rank)]
    out = [label for label in (*own, *others) if label < x.rank + y.rank]
    return wrap(ops.contract(x, tuple(own), y, tuple(others), tuple(out)), a, b, name="Tensordot")


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products over the last dimensions."""
    if not input.dim() or not other.dim():
        return input * other
    return tensordot(input, other, ([-1], [-1]))
