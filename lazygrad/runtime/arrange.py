"""From memory in any layout to an array in the order of its indices."""

from __future__ import annotations

from typing import Any

import numpy

from lazygrad.ir.index import evaluate, variable
from lazygrad.ir.layout import Layout


def row_major_array(flat: numpy.ndarray[Any, Any], layout: Layout) -> numpy.ndarray[Any, Any]:
    """The elements of ``layout`` in row-major order, from the flat array of all that its memory holds.

    >>> from lazygrad.ir.layout import strided
    >>> row_major_array(numpy.arange(6), strided((2, 3), (1, 2))).tolist()
    [[0, 2, 4], [1, 3, 5]]
    """
    if 0 in layout.shape:
        return numpy.empty(layout.shape, flat.dtype)
    if layout.is_row_major:
        return flat.reshape(layout.shape)
    strides = layout.strides
    if strides is not None:
        steps = [stride * flat.itemsize for stride in strides]
        view = numpy.lib.stride_tricks.as_strided(flat[layout.offset :], layout.shape, steps)
        return numpy.array(view, order="C")
    point = [variable(f"i{axis}", extent) for axis, extent in enumerate(layout.shape)]
    grids = numpy.indices(layout.shape, sparse=True)
    values: dict[str, Any] = {f"i{axis}": grid for axis, grid in enumerate(grids)}
    addresses = numpy.broadcast_to(evaluate(layout.address(point), lambda v: values[v.name]), layout.shape)
    return numpy.array(flat[addresses])
