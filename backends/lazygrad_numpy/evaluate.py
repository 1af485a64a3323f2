"""Node by node evaluation on host arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from lazygrad.ir.composition import meaning
from lazygrad.ir.dtype import DTYPES, DType
from lazygrad.ir.layout import row_major
from lazygrad.ir.node import Node, topological
from lazygrad.runtime import Buffer, Device, DeviceInformation, EvaluatingDevice
from lazygrad.runtime.buffer import Allocation


class NumpyDevice(EvaluatingDevice):
    """Host memory and NumPy."""

    name = "numpy:0"
    is_processor = True
    survives_fork = True
    information = DeviceInformation("numpy:0", "NumPy reference", f"numpy {numpy.__version__}")
    dtypes = frozenset(DTYPES)

    def from_host(self, array: numpy.ndarray[Any, Any], dtype: DType) -> Buffer:
        return _buffer(numpy.array(array, dtype.numpy, order="C"), dtype)

    def to_host(self, buffer: Buffer) -> numpy.ndarray[Any, Any]:
        array: numpy.ndarray[Any, Any] = buffer.allocation.memory
        return numpy.array(array)

    def synchronize(self) -> None:
        """Nothing is ever pending."""

    def evaluate(self, roots: Sequence[Node]) -> None:
        order = topological(roots, _read)
        uses: dict[Node, int] = {}
        for current in order:
            for i in _read(current):
                uses[i] = uses.get(i, 0) + 1
        for root in roots:
            uses[root] = uses.get(root, 0) + 1
        arrays: dict[Node, Any] = {}
        with numpy.errstate(all="ignore"):
            for current in order:
                if current.result is not None:
                    arrays[current] = current.result.allocation.memory
                    continue
                arrays[current] = current.op.numpy(current, *(arrays[i] for i in _read(current)))
                for i in _read(current):
                    uses[i] -= 1
                    if not uses[i]:
                        del arrays[i]
        for root in roots:
            root.result = _buffer(numpy.array(arrays[root], root.dtype.numpy, order="C"), root.dtype)


def _read(of: Node) -> tuple[Node, ...]:
    """The nodes whose elements ``of`` is evaluated from."""
    return () if of.result is not None else meaning(of)


def _buffer(array: numpy.ndarray[Any, Any], dtype: DType) -> Buffer:
    allocation = Allocation(array, array.nbytes, None)
    return Buffer(allocation, array.shape, dtype, NumpyDevice.name, row_major(array.shape))


class NumpyBackend:
    """The entry point's object."""

    name = "numpy"
    preference = 0

    def devices(self) -> Sequence[DeviceInformation]:
        return (NumpyDevice.information,)

    def open(self, variant: str) -> Device:
        if variant not in ("", "0"):
            raise RuntimeError(f"numpy has one device, numpy:0; {variant!r} does not exist")
        return _DEVICE


_DEVICE = NumpyDevice()
backend = NumpyBackend()
