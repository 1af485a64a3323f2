"""Between host arrays and buffers."""

from __future__ import annotations

from typing import Any

import numpy

from lazygrad.ir.dtype import DType
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.interrupts import undivided
from lazygrad.runtime.registry import device


def from_host(array: numpy.ndarray[Any, Any], dtype: DType, device_name: str) -> Buffer:
    """A buffer on ``device_name`` with the elements of ``array``, converted to ``dtype``."""
    opened = device(device_name)
    if dtype not in opened.dtypes:
        raise TypeError(
            f"{device_name} ({opened.information.description}) has no {dtype.name}; it supports "
            f"{', '.join(sorted(d.name for d in opened.dtypes))}"
        )
    elements = numpy.ascontiguousarray(array, dtype.numpy).reshape(array.shape)
    with opened.lock, undivided:
        return opened.from_host(elements, dtype)


def to_host(buffer: Buffer) -> numpy.ndarray[Any, Any]:
    """The elements as a new row-major host array."""
    return device(buffer.device).to_host(buffer)
