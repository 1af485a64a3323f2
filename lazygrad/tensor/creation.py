"""New tensors: from host data, and from a shape and a rule.

Tensors of one repeated number, ranges and the like are expressions: they take no memory until they must.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from lazygrad import ops, runtime
from lazygrad.ir.dtype import DType, bool_, float32, int64
from lazygrad.ir.dtype import from_numpy as dtype_of
from lazygrad.ir.node import Node
from lazygrad.ir.promotion import scalar_dtype
from lazygrad.ir.shape import Shape
from lazygrad.tensor.conversion import to
from lazygrad.tensor.devices import DeviceLike, canonical
from lazygrad.tensor.handle import is_tensor, leaf_tensor
from lazygrad.tensor.operands import Number, as_shape, cast, constant, number, spread
from lazygrad.tensor.realization import to_host
from lazygrad.tensor.recording import refuse

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def tensor(data: Any, *, dtype: DType | None = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data``.

    Args:
        data: a number, nested sequences of numbers, a NumPy array, or a tensor. Python floats give float32,
            ints int64, bools bool; arrays keep their dtype.
        dtype: convert to this dtype.
        device: the device; None is the default device.
        requires_grad: whether gradients with respect to it are wanted.

    Raises:
        ValueError: the sequences have no common shape.
        TypeError: ``data`` holds something that is no number.

    >>> tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if is_tensor(data):
        values = as_tensor(leaf_tensor(ops.detach(data._cell.node)), dtype, device)
        return leaf_tensor(values._cell.node, requires_grad)
    array, inferred = _host_array(data)
    name = canonical(device)
    return leaf_tensor(ops.buffer(runtime.from_host(array, dtype or inferred, name)), requires_grad)


def _host_array(data: Any) -> tuple[numpy.ndarray[Any, Any], DType]:
    """``data`` as an array, and the dtype its tensor has when none is asked for."""
    if isinstance(data, (numpy.ndarray, numpy.generic)):
        refuse("take the elements of a NumPy array")
        return numpy.asarray(data), dtype_of(data.dtype)
    if isinstance(data, (list, tuple)):
        data = _without_tensors(data)
    elif hasattr(data, "__array__"):
        array = numpy.asarray(data)
        return array, dtype_of(array.dtype)
    try:
        array = numpy.array(data)
    except ValueError as error:
        raise ValueError(f"tensor: expected sequences of equal length at each depth; {error}") from None
    if array.size == 0 and array.dtype == numpy.float64:
        return array, float32
    if array.dtype.kind not in "biuf":
        raise TypeError(f"tensor: could not infer dtype of {type(data).__name__}; expected numbers, got {data!r:.80}")
    if _first_scalar(data) is not None:
        return array, dtype_of(array.dtype)
    return array, {"b": bool_, "i": int64, "u": int64, "f": float32}[array.dtype.kind]


def _without_tensors(data: Sequence[Any]) -> list[Any]:
    """Nested sequences with tensors replaced by their host values."""
    return [
        to_host(item) if is_tensor(item) else _without_tensors(item) if isinstance(item, (list, tuple)) else item
        for item in data
    ]


def _first_scalar(data: Any) -> numpy.dtype[Any] | None:
    """The NumPy dtype of the first element, when that is an array or a scalar of NumPy's."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data.dtype if isinstance(data, (numpy.ndarray, numpy.generic)) else None


def as_tensor(data: Any, dtype: DType | None = None, device: DeviceLike = None) -> Tensor:
    """``data`` as a tensor: a tensor of the right dtype and device is returned as it is.

    >>> import lazygrad as lg
    >>> x = lg.zeros(2)
    >>> lg.as_tensor(x) is x, lg.as_tensor([1, 2])
    (True, tensor([1, 2]))
    """
    if is_tensor(data):
        node = data._cell.node
        wanted = node.device if device is None else canonical(device)
        return to(data, device=wanted, dtype=dtype or node.dtype)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: numpy.ndarray[Any, Any]) -> Tensor:
    """A tensor with a copy of the array. torch shares memory; a lazy graph cannot follow outside changes.

    >>> import lazygrad as lg
    >>> import numpy
    >>> lg.from_numpy(numpy.arange(3))
    tensor([0, 1, 2])
    """
    if not isinstance(ndarray, numpy.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return tensor(ndarray)


def full_node(shape: Shape, value: Number, dtype: DType, device: DeviceLike) -> Node:
    """One number everywhere, as a node."""
    if any(extent < 0 for extent in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(shape)}")
    return constant(value, shape, dtype, canonical(device))


def full(
    size: Sequence[int],
    fill_value: Number | Tensor,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ``size`` with one number everywhere; the dtype is the number's unless given.

    >>> import lazygrad as lg
    >>> lg.full((2,), 1.5), lg.full((2,), 1)
    (tensor([1.5000, 1.5000]), tensor([1, 1]))
    """
    shape = as_shape((tuple(size),)) if not isinstance(size, int) else (size,)
    if is_tensor(fill_value):
        value = cast(ops.detach(fill_value._enter()), dtype or fill_value._cell.node.dtype)
        return leaf_tensor(spread(value, shape), requires_grad)
    repeated = number(fill_value)
    return leaf_tensor(full_node(shape, repeated, dtype or scalar_dtype(repeated), device), requires_grad)


def zeros(
    *size: int | Sequence[int],
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros of shape ``size``, float32 unless given.

    >>> zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return leaf_tensor(full_node(as_shape(size), 0, dtype or float32, device), requires_grad)


def ones(
    *size: int | Sequence[int],
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones of shape ``size``, float32 unless given.

    >>> ones(2, dtype=int64)
    tensor([1, 1])
    """
    return leaf_tensor(full_node(as_shape(size), 1, dtype or float32, device), requires_grad)


def empty(
    *size: int | Sequence[int],
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor to be filled. It is zeros: a graph knows no uninitialised memory, and zeros cost nothing."""
    return leaf_tensor(full_node(as_shape(size), 0, dtype or float32, device), requires_grad)


def arange(
    start: Number,
    end: Number | None = None,
    step: Number = 1,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below ``end``; ``arange(n)`` counts from 0. int64 when all three are ints.

    >>> arange(1, 2, 0.5), arange(3)
    (tensor([1.0000, 1.5000]), tensor([0, 1, 2]))
    """
    if end is None:
        start, end = 0, start
    start, end, step = number(start), number(end), number(step)
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("arange: upper bound and lower bound inconsistent with step sign")
    whole = not any(isinstance(value, float) for value in (start, end, step))
    count = -((start - end) // step) if whole else math.ceil((end - start) / step)
    wanted = dtype or (int64 if whole else float32)
    # Steps are counted in the widest type, so that a long range of floats does not drift.
    position = ops.arange(int(count), canonical(device))
    if wanted.is_float:
        position = ops.cast(position, wanted)
    elif not whole:
        start, step = int(start), int(step)
    if step != 1:
        position = ops.mul(position, step)
    if start != 0:
        position = ops.add(position, start)
    return leaf_tensor(ops.cast(position, wanted), requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` numbers at equal distances from ``start`` to ``end``, both included.

    >>> linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    if steps < 0:
        raise RuntimeError("linspace: number of steps must be non-negative")
    wanted = dtype or float32
    name = canonical(device)
    if steps == 1:
        return leaf_tensor(constant(start, (1,), wanted, name), requires_grad)
    position = ops.arange(steps, name)
    step = (end - start) / max(steps - 1, 1)
    # From both ends, as torch does: the last number is exactly ``end``.
    forward = ops.add(ops.mul(ops.cast(position, wanted), step), float(start))
    backward = ops.sub(float(end), ops.mul(ops.cast(ops.sub(steps - 1, position), wanted), step))
    return leaf_tensor(ops.where(ops.lt(position, steps // 2), forward, backward), requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix of zeros; m is n unless given.

    >>> eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    return leaf_tensor(
        cast(diagonal_mask(n, n if m is None else m, 0, canonical(device)), dtype or float32), requires_grad
    )


def diagonal_mask(rows: int, columns: int, offset: int, device: str, compare: Any = ops.eq) -> Node:
    """Bool (rows, columns): whether ``compare(row + offset, column)``."""
    row = ops.arange(rows, device)
    if offset:
        row = ops.add(row, offset)
    return compare(  # type: ignore[no-any-return]
        ops.expand(ops.reshape(row, (rows, 1)), (rows, columns)),
        ops.expand(ops.reshape(ops.arange(columns, device), (1, columns)), (rows, columns)),
    )


def argument(value: Number, *, dtype: DType = float32, device: DeviceLike = None) -> Tensor:
    """A 0-dimensional tensor whose value is bound when kernels are launched, and never compiled in.

    For numbers that change from step to step: learning rates, step counts, temperatures.

    >>> import lazygrad as lg
    >>> lg.ones(2) * argument(0.5)
    tensor([0.5000, 0.5000])
    """
    return leaf_tensor(ops.argument(number(value), dtype, canonical(device)))
