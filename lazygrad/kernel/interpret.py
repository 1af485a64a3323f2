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

import lazygrad.ops  # noqa: F401  (declares the operations)
from lazygrad.ir import value as kinds
from lazygrad.ir.index import Index, Mask, Variable, evaluate
from lazygrad.ir.op import REGISTRY
from lazygrad.ir.value import Value
from lazygrad.kernel.axes import point_count
from lazygrad.kernel.kernel import (
    Access,
    Accumulator,
    Average,
    Body,
    Contraction,
    Kernel,
    Product,
    Reduction,
    Stage,
    Store,
)
from lazygrad.kernel.verify import KernelError
from lazygrad.kernel.walk import stage_values

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
    points = max((point_count(_loops(stage)) for stage in body.stages), default=1) * point_count(body.axes)
    outer = 0
    while points > PORTION and outer < len(body.axes):
        points //= body.axes[outer].extent
        outer += 1
    fixed = body.axes[:outer]
    for values in itertools.product(*(range(axis.extent) for axis in fixed)):
        yield dict(zip(fixed, values, strict=True))


def _loops(stage: Stage) -> tuple[Variable, ...]:
    """The stage's axes and behind them those that its products and accumulators have of their own."""
    own = (axis for part in (*stage.products, *stage.accumulators) for axis in part.axes)
    return tuple(dict.fromkeys((*stage.axes, *own)))


class _Run:
    """One portion of a body. Arrays of values have the body's axes first, then the stage's, then its parts' own."""

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
        self.reduced: list[tuple[Any, tuple[Variable, ...]]] = []  # over the body's axes and the accumulator's own
        self.products: list[Product] = []
        self.loops: tuple[Variable, ...] = ()  # all axes of the stage's arrays but the body's
        self.shape: tuple[int, ...] = ()  # of the body's axes and the stage's
        self.points: dict[Variable, Any] = {}
        self.inner: tuple[int, ...] = ()  # which axes of arrays are the stage's

    def run(self) -> None:
        for stage in self.body.stages:
            self._stage(stage)

    def _stage(self, stage: Stage) -> None:
        self.loops = _loops(stage)
        axes = (*self.body.axes, *self.loops)
        rank = len(self.body.axes) + len(stage.axes)
        self.shape = tuple(1 if axis in self.fixed else axis.extent for axis in axes[:rank])
        self.inner = tuple(range(len(self.body.axes), rank))
        self.products += stage.products
        self.points = {}
        for position, axis in enumerate(axes):
            values = numpy.asarray(self.fixed[axis]) if axis in self.fixed else numpy.arange(axis.extent)
            self.points[axis] = values.reshape([-1 if n == position else 1 for n in range(len(axes))])
        results = self._values(stage)
        for found in stage.accumulators:
            own = tuple(axis for axis in self.loops if axis in found.axes)
            self.reduced.append((self._accumulated(found, own, results), own))
        for store in stage.stores:
            self._store(store, results)

    def _values(self, stage: Stage) -> dict[Value, Any]:
        """The arrays of the stage's roots; others are dropped after their last use."""
        roots = set(stage_values(stage))
        order = stage.values
        last = {i: value for value in order for i in value.inputs}
        results: dict[Value, Any] = {}
        for value in order:
            if value.op == kinds.PRODUCT:
                product = self.products[value.payload]
                inputs = [results[i] for i in product.operands]
            else:
                inputs = [results[i] for i in value.inputs]
            results[value] = self._value(value, inputs)
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
                return self._reduced(*self.reduced[value.payload])
            case kinds.PRODUCT:
                return self._product(self.products[value.payload], *inputs)
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

    def _accumulated(self, accumulator: Accumulator, own: Sequence[Variable], results: Mapping[Value, Any]) -> Any:
        dtype = accumulator.dtype.numpy
        operands = [results[value] for value in accumulator.operands]
        match accumulator:
            case Contraction():
                a, b = operands
                return self._full(a.astype(dtype) * b.astype(dtype), own).sum(axis=self.inner, dtype=dtype)
            case Average():
                weights = self._exponentials(operands[0])[1]
                total = weights.sum(axis=self.inner, keepdims=True)
                weighted = (weights / numpy.where(total == 0, 1, total)).astype(dtype)
                weighted = weighted.reshape(weighted.shape + (1,) * (len(self.loops) - len(self.inner)))
                return self._full(weighted * operands[1], own).sum(axis=self.inner, dtype=dtype)
            case Reduction(op="logsumexp"):
                largest, exponentials = self._exponentials(operands[0])
                return largest + numpy.log(exponentials.sum(axis=self.inner, dtype=dtype))
        values = self._full(operands[0])
        if accumulator.position is None:
            return _REDUCE[accumulator.op].reduce(values, axis=self.inner, dtype=dtype)
        outer = self.shape[: len(self.body.axes)]
        first = _POSITION[accumulator.op](values.reshape(*outer, -1), axis=-1)
        positions = self._full(numpy.asarray(self._index(accumulator.position, {}), numpy.int64))
        return numpy.take_along_axis(positions.reshape(*outer, -1), first[..., None], -1)[..., 0]

    def _exponentials(self, scores: Any) -> tuple[Any, Any]:
        """The largest score of each row, or 0 where that is -inf, and the exponentials of how much less each is."""
        full = self._full(scores)
        largest = full.max(axis=self.inner, keepdims=True)
        largest = numpy.where(largest == -numpy.inf, 0, largest).astype(full.dtype)
        return largest.squeeze(self.inner), numpy.exp(full - largest)

    def _product(self, product: Product, a: Any, b: Any) -> Any:
        """Of the rank of all values, with an extent of 1 along the product's own axes."""
        dtype = product.dtype.numpy
        summed = tuple(len(self.body.axes) + self.loops.index(axis) for axis in product.axes)
        multiplied = a.astype(dtype) * b.astype(dtype)
        shape = list(numpy.broadcast_shapes(multiplied.shape, (1,) * (len(self.body.axes) + len(self.loops))))
        for axis, position in zip(product.axes, summed, strict=True):
            shape[position] = axis.extent
        return numpy.broadcast_to(multiplied, shape).sum(axis=summed, dtype=dtype, keepdims=True)

    def _reduced(self, result: Any, own: Sequence[Variable]) -> Any:
        """An accumulator's results at the points of this stage."""
        outer = len(self.body.axes)
        order = (*range(outer), *(outer + own.index(axis) for axis in self.loops if axis in own))
        shape = (*result.shape[:outer], *(axis.extent if axis in own else 1 for axis in self.loops))
        return result.transpose(order).reshape(shape)

    def _full(self, array: Any, own: Sequence[Variable] = ()) -> Any:
        """At every point of the body's axes and the stage's, and of those named."""
        behind = self.loops[len(self.inner) :]
        spread = numpy.broadcast_to(array, (*self.shape, *(axis.extent if axis in own else 1 for axis in behind)))
        return spread.reshape((*self.shape, *(axis.extent for axis in behind if axis in own)))

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
