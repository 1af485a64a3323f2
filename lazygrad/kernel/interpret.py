"""The interpreter of kernels, in plain NumPy: what a kernel means, without a device and without any tiling.

In: a kernel, flat arrays for its buffers, offsets of the movable ones, scalars. Out: the written buffers hold what
the kernel computes. The parallel points and the loops of a stage become axes of arrays, one after the other, so that
every expression is evaluated for all points at once. Operations mean what their declarations say.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy

import lazygrad.ops.elementwise  # noqa: F401  (declares the operations)
from lazygrad.ir import value as kinds
from lazygrad.ir.index import Index, Mask, Variable, evaluate
from lazygrad.ir.op import REGISTRY
from lazygrad.ir.value import Value
from lazygrad.kernel.kernel import Access, Accumulator, Body, Contraction, Kernel, Stage, Store
from lazygrad.kernel.verify import KernelError
from lazygrad.kernel.walk import ordered_values, stage_values

# Parallel points are taken in portions, so that no intermediate array has many more elements than this.
PORTION = 1 << 22
_REDUCE: dict[str, Any] = {"sum": numpy.add, "prod": numpy.multiply, "max": numpy.maximum, "min": numpy.minimum}
_POSITION: dict[str, Any] = {"argmax": numpy.argmax, "argmin": numpy.argmin}


def interpret(
    kernel: Kernel,
    buffers: Sequence[numpy.ndarray[Any, Any]],
    offsets: Sequence[int] = (),
    scalars: Sequence[bool | int | float] = (),
) -> None:
    """Runs the kernel once. ``offsets`` has one number of elements for each movable buffer, in order."""
    movable = [number for number, declaration in enumerate(kernel.buffers) if declaration.movable]
    if (len(buffers), len(offsets), len(scalars)) != (len(kernel.buffers), len(movable), len(kernel.scalars)):
        raise KernelError(
            f"kernel {kernel.name} takes {len(kernel.buffers)} buffers, {len(movable)} offsets and "
            f"{len(kernel.scalars)} scalars, got {len(buffers)}, {len(offsets)} and {len(scalars)}"
        )
    starts = dict(zip(movable, offsets, strict=True))
    windows: list[numpy.ndarray[Any, Any]] = []
    for number, (array, declaration) in enumerate(zip(buffers, kernel.buffers, strict=True)):
        window = array[starts.get(number, 0) :][: declaration.size]
        if array.ndim != 1 or window.size != declaration.size or array.dtype != declaration.dtype.numpy:
            raise KernelError(
                f"kernel {kernel.name}: buffer {number} is {declaration.size} elements of {declaration.dtype.name}, "
                f"got {array.dtype}{list(array.shape)} from element {starts.get(number, 0)} on"
            )
        windows.append(window)
    arguments = [numpy.asarray(scalar).astype(d.numpy) for scalar, d in zip(scalars, kernel.scalars, strict=True)]
    with numpy.errstate(all="ignore"):
        for body in kernel.bodies:
            for fixed in _portions(body):
                _Run(kernel, body, windows, arguments, fixed).run()


def _portions(body: Body) -> Iterator[dict[Variable, int]]:
    """Values for the outer axes of a body, so that what is left of it fits into one portion."""
    points = max((_product(stage.axes) for stage in body.stages), default=1) * _product(body.axes)
    outer = 0
    while points > PORTION and outer < len(body.axes):
        points //= body.axes[outer].extent
        outer += 1
    fixed = body.axes[:outer]
    for values in itertools.product(*(range(axis.extent) for axis in fixed)):
        yield dict(zip(fixed, values, strict=True))


def _product(axes: Sequence[Variable]) -> int:
    total = 1
    for axis in axes:
        total *= axis.extent
    return total


class _Run:
    """One portion of a body. Every array of values has the body's axes first, then the axes of its stage."""

    def __init__(
        self,
        kernel: Kernel,
        body: Body,
        buffers: Sequence[numpy.ndarray[Any, Any]],
        arguments: Sequence[Any],
        fixed: Mapping[Variable, int],
    ) -> None:
        self.kernel = kernel
        self.body = body
        self.buffers = buffers
        self.arguments = arguments
        self.fixed = fixed
        self.reduced: list[Any] = []  # with the shape of the body's axes
        self.shape: tuple[int, ...] = ()
        self.points: dict[Variable, Any] = {}
        self.inner: tuple[int, ...] = ()  # which axes of arrays are the stage's

    def run(self) -> None:
        for stage in self.body.stages:
            self._stage(stage)

    def _stage(self, stage: Stage) -> None:
        axes = (*self.body.axes, *stage.axes)
        self.shape = tuple(1 if axis in self.fixed else axis.extent for axis in axes)
        self.inner = tuple(range(len(self.body.axes), len(axes)))
        self.points = {}
        for position, axis in enumerate(axes):
            values = numpy.asarray(self.fixed[axis]) if axis in self.fixed else numpy.arange(axis.extent)
            self.points[axis] = values.reshape([-1 if n == position else 1 for n in range(len(axes))])
        results = self._values(stage)
        self.reduced += [self._accumulated(accumulator, results) for accumulator in stage.accumulators]
        for store in stage.stores:
            self._store(store, results)

    def _values(self, stage: Stage) -> dict[Value, Any]:
        """The arrays of the stage's roots; others are dropped after their last use."""
        roots = set(stage_values(stage))
        order = ordered_values(stage_values(stage))
        last = {i: value for value in order for i in value.inputs}
        results: dict[Value, Any] = {}
        for value in order:
            results[value] = self._value(value, [results[i] for i in value.inputs])
            for i in set(value.inputs):
                if last[i] is value and i not in roots:
                    del results[i]
        return results

    def _value(self, value: Value, inputs: list[Any]) -> Any:
        dtype = value.dtype.numpy
        match value.op:
            case kinds.CONSTANT:
                return numpy.asarray(value.payload.number).astype(dtype)
            case kinds.ARGUMENT:
                return self.arguments[value.payload]
            case kinds.REDUCED:
                result = self.reduced[value.payload]
                return result.reshape(result.shape + (1,) * len(self.inner))
            case kinds.INDEX:
                return numpy.asarray(self._index(value.payload, {})).astype(dtype)
            case kinds.VALID:
                return self._holds(value.payload, {})
            case kinds.LOAD:
                return self._load(value.payload, inputs)
            case "cast":
                return inputs[0].astype(dtype)
            case "bitcast":
                return numpy.ascontiguousarray(inputs[0]).reshape(inputs[0].shape).view(dtype)
        meaning = REGISTRY.get(value.op)
        if meaning is None:
            raise KernelError(f"kernel {self.kernel.name}: there is no operation {value.op!r}")
        return numpy.asarray(meaning.numpy(None, *inputs)).astype(dtype, copy=False)

    # ---- accumulators

    def _accumulated(self, accumulator: Accumulator, results: Mapping[Value, Any]) -> Any:
        dtype = accumulator.dtype.numpy
        if isinstance(accumulator, Contraction):
            product = results[accumulator.a].astype(dtype) * results[accumulator.b].astype(dtype)
            return self._full(product).sum(axis=self.inner, dtype=dtype)
        values = self._full(results[accumulator.value])
        if accumulator.position is None:
            return _REDUCE[accumulator.op].reduce(values, axis=self.inner, dtype=dtype)
        outer = self.shape[: len(self.body.axes)]
        first = _POSITION[accumulator.op](values.reshape(*outer, -1), axis=-1)
        positions = self._full(numpy.asarray(self._index(accumulator.position, {}), numpy.int64))
        return numpy.take_along_axis(positions.reshape(*outer, -1), first[..., None], -1)[..., 0]

    def _full(self, array: Any) -> Any:
        return numpy.broadcast_to(array, self.shape)

    # ---- memory

    def _index(self, index: Index, dynamic: Mapping[Variable, Any]) -> Any:
        return evaluate(index, lambda v: dynamic[v] if v in dynamic else self.points[v])

    def _holds(self, mask: Mask, dynamic: Mapping[Variable, Any]) -> Any:
        holds: Any = numpy.ones((), bool)
        for bound in mask:
            index = self._index(bound.index, dynamic)
            holds = holds & (bound.low <= index) & (index < bound.high)
        return holds

    def _place(self, access: Access, dynamic_values: Sequence[Any]) -> tuple[Any, Any]:
        """Addresses, 0 where the mask does not hold, and where it does."""
        dynamic = {
            variable: value.astype(numpy.int64) for variable, value in zip(access.dynamic, dynamic_values, strict=True)
        }
        holds = self._holds(access.mask, dynamic)
        addresses = numpy.where(holds, self._index(access.address, dynamic), 0)
        size = self.kernel.buffers[access.buffer].size
        outside = holds & ((addresses < 0) | (addresses >= size))
        if outside.any():
            wrong = numpy.broadcast_to(addresses, outside.shape)[outside][0]
            raise KernelError(
                f"kernel {self.kernel.name}: element {wrong} of buffer {access.buffer}, which has {size}, is accessed "
                f"at {access.address}"
            )
        return addresses, holds

    def _load(self, access: Access, dynamic_values: Sequence[Any]) -> Any:
        buffer = self.buffers[access.buffer]
        addresses, holds = self._place(access, dynamic_values)
        if not holds.any():
            return numpy.zeros(numpy.shape(addresses), buffer.dtype)
        return numpy.where(holds, buffer[addresses], numpy.zeros((), buffer.dtype))

    def _store(self, store: Store, results: Mapping[Value, Any]) -> None:
        buffer = self.buffers[store.access.buffer]
        addresses, holds = self._place(store.access, [results[value] for value in store.dynamic_values])
        chosen = self._full(holds)
        # C order: the stage's loops run inside the body's, the last one fastest.
        where, values = self._full(addresses)[chosen], self._full(results[store.value])[chosen]
        if store.mode == "set":
            buffer[where] = values
        else:
            numpy.add.at(buffer, where, values)
