"""Reductions and scans of the interpreter, on whole arrays: Triton's own take element by element.

In: tensors, an axis and a function that combines two partial results. Out: tensors. What NumPy can reduce by itself
it does; otherwise neighbours are combined, all pairs at once, until one is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from lazygrad_triton.interpreter_memory import Array

# How NumPy reduces what functions of two partial results, x and y, return.
REDUCTIONS: dict[str, numpy.ufunc] = {
    "x + y": numpy.add,
    "x * y": numpy.multiply,
    "x | y": numpy.bitwise_or,
    "x & y": numpy.bitwise_and,
    "tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)": numpy.maximum,
    "tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL)": numpy.minimum,
}


def block(data: Array, dtype: Any) -> Any:
    """A tensor of an array whose first axis is the programs'."""
    shape = list(data.shape[1:])
    return tl.tensor(TensorHandle(data, dtype), tl.block_type(dtype, shape) if shape else dtype)


def _combined(
    combine: Callable[..., Any], left: Sequence[Array], right: Sequence[Array], types: Sequence[Any]
) -> list[Array]:
    both = [block(data, dtype) for data, dtype in zip((*left, *right), (*types, *types), strict=True)]
    results = combine(*both)
    return [result.handle.data for result in (results if isinstance(results, tuple) else (results,))]


def reduce(input: Any, axis: int | None, combine_fn: Callable[..., Any], keep_dims: bool = False, **_: Any) -> Any:
    """What ``tl.reduce`` is for the interpreter. A function's attribute ``reduction`` names NumPy's way."""
    tensors = input if isinstance(input, tuple) else (input,)
    types = [tensor.dtype for tensor in tensors]
    arrays = [tensor.handle.data for tensor in tensors]
    rank = arrays[0].ndim - 1
    if axis is None:
        arrays = [data.reshape(data.shape[0], -1) for data in arrays]
    along = 1 if axis is None else int(axis) % rank + 1
    arrays = [numpy.moveaxis(data, along, -1) for data in arrays]
    reduction = getattr(combine_fn, "reduction", None)
    if reduction is not None and types[0] is not tl.bfloat16:
        arrays = [reduction.reduce(data, axis=-1, dtype=data.dtype, keepdims=True) for data in arrays]
    while (count := arrays[0].shape[-1]) > 1:
        pairs = count // 2
        rest = [data[..., 2 * pairs :] for data in arrays]
        left, right = ([data[..., start : 2 * pairs : 2] for data in arrays] for start in (0, 1))
        arrays = _combined(combine_fn, left, right, types)
        if count % 2:
            arrays = [numpy.concatenate(parts, axis=-1) for parts in zip(arrays, rest, strict=True)]
    results = []
    for data, dtype in zip(arrays, types, strict=True):
        reduced = data[..., 0]
        if keep_dims:
            reduced = reduced.reshape(-1, *(1,) * rank) if axis is None else numpy.expand_dims(reduced, along)
        results.append(block(reduced, dtype))
    return tuple(results) if isinstance(input, tuple) else results[0]


def scan(input: Any, axis: int, combine_fn: Callable[..., Any], reverse: bool = False, **_: Any) -> Any:
    """What ``tl.associative_scan`` is: one position after the other along the axis, everything beside it at once."""
    tensors = input if isinstance(input, tuple) else (input,)
    types = [tensor.dtype for tensor in tensors]
    along = int(axis) % (tensors[0].handle.data.ndim - 1) + 1
    arrays = [numpy.moveaxis(tensor.handle.data, along, -1) for tensor in tensors]
    results = [data.copy() for data in arrays]
    positions = range(arrays[0].shape[-1])
    order = list(reversed(positions)) if reverse else list(positions)
    for before, position in pairwise(order):
        combined = _combined(
            combine_fn, [data[..., before] for data in results], [data[..., position] for data in arrays], types
        )
        for result, data in zip(results, combined, strict=True):
            result[..., position] = data
    scanned = [block(numpy.moveaxis(data, -1, along), dtype) for data, dtype in zip(results, types, strict=True)]
    return tuple(scanned) if isinstance(input, tuple) else scanned[0]
