"""A backend as a third party would write it: two devices that evaluate with NumPy and count what they do.

It imports nothing of lazygrad but what is published for backends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from lazygrad.ir.dtype import DType, bool_, float32, int64
from lazygrad.ir.layout import row_major
from lazygrad.ir.node import Node, topological
from lazygrad.runtime import BackendError, Buffer, Device, DeviceInformation, EvaluatingDevice
from lazygrad.runtime.buffer import Allocation

DEVICES = 2


class FakeDevice(EvaluatingDevice):
    """Host memory under another name, for three dtypes only."""

    dtypes = frozenset({bool_, int64, float32})

    def __init__(self, number: int) -> None:
        self.name = f"fake:{number}"
        self.information = DeviceInformation(self.name, f"fake device {number}", "1.0")
        self.evaluated = 0

    def from_host(self, array: numpy.ndarray, dtype: DType) -> Buffer:
        return self._buffer(numpy.array(array, dtype.numpy, order="C"), dtype)

    def to_host(self, buffer: Buffer) -> numpy.ndarray:
        return numpy.array(buffer.allocation.memory)

    def synchronize(self) -> None:
        """Nothing is ever pending."""

    def evaluate(self, roots: Sequence[Node]) -> None:
        values = {}
        for node in topological(roots):
            if node.result is not None:
                values[node] = node.result.allocation.memory
            else:
                values[node] = node.op.numpy(node, *(values[i] for i in node.inputs))
                self.evaluated += 1
        for root in roots:
            root.result = self._buffer(numpy.array(values[root], root.dtype.numpy, order="C"), root.dtype)

    def _buffer(self, array: numpy.ndarray, dtype: DType) -> Buffer:
        return Buffer(Allocation(array, array.nbytes, None), array.shape, dtype, self.name, row_major(array.shape))


class FakeBackend:
    """The entry point's object. It is never the default: its preference is below the reference's."""

    name = "fake"
    preference = -10

    def __init__(self) -> None:
        self._devices = [FakeDevice(number) for number in range(DEVICES)]

    def devices(self) -> Sequence[DeviceInformation]:
        return tuple(device.information for device in self._devices)

    def open(self, variant: str) -> Device:
        if variant not in ("", *map(str, range(DEVICES))):
            raise BackendError(f"there is no device 'fake:{variant}'; there are fake:0 and fake:1")
        return self._devices[int(variant or 0)]


backend = FakeBackend()
